"""Prepares a fine-tuning: reads and splits the training set, loads the model, resolves options."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mmsearch.deprecation import warn_renamed
from mmsearch.encoders.devices import DeviceChoice, choose_device
from mmsearch.encoders.registry import load_encoder
from mmsearch.finetuning.data.sampling import Sampler, SamplingOptions
from mmsearch.finetuning.data.splits import Split, split_items
from mmsearch.finetuning.data.training_set import SPLIT_NAMES, TrainingSet, read_training_set
from mmsearch.finetuning.data.views import ImageViews
from mmsearch.finetuning.options import FinetuneOptions
from mmsearch.finetuning.resolved import ResolvedOptions, resolve
from mmsearch.finetuning.scoring import DomainSet, domain_set
from mmsearch.finetuning.towers.image_inputs import ImageCache
from mmsearch.finetuning.towers.image_tower import split_image_tower
from mmsearch.finetuning.towers.parameters import projections, trains_text_blocks
from mmsearch.finetuning.towers.start_model import NEITHER_TOWER, StartModel, load_start
from mmsearch.finetuning.trainee.mining import MiningModel
from mmsearch.finetuning.trainee.trainee import FineTuneModel
from mmsearch.media import MediaBounds
from mmsearch.progress import ProgressListener
from mmsearch.sources import Source
from mmsearch.training.augment import AugmentOptions
from mmsearch.training.distributed import local_device
from mmsearch.training.loop import LoopOptions
from mmsearch.training.tower_split import block_count
from mmsearch.training.weight_interpolation import Weights

# When only projections are retrained on trained towers: factor of keep_weight, the least number of
# runs, and defaults against memorising the training split.
_REFIT_KEEP_FACTOR, _REFIT_RUNS = 2.0, 3
_REFIT_VIEWS, _REFIT_MIXUP, _REFIT_DROPOUT = 4, 0.5, 0.3
_AUGMENTATIONS = {
    "mild": AugmentOptions(),
    "strong": AugmentOptions(
        least_area=0.3, brightness=0.4, contrast=0.4, saturation=0.4, hue=0.03
    ),
}


class Counts(dict[str, int]):
    """Numbers of items, images, texts, classes and groups, by these names."""

    def __missing__(self, name: str) -> int:
        """Answers to the old name of 'images', for one version."""
        if name != "pictures":
            raise KeyError(name)
        warn_renamed("counts['pictures']", "counts['images']")
        return self["images"]


@dataclass(frozen=True, slots=True)
class Preparation:
    """Everything that is known before training.

    requested: options as given; options: resolved. reference: the model to stay close to, if it is
    not the start. run_index: which of several runs on the same views, from 0.
    """

    requested: FinetuneOptions
    options: ResolvedOptions
    device: DeviceChoice
    training_set: TrainingSet
    split: Split
    start: StartModel
    bounds: MediaBounds
    reference: StartModel | None = None
    run_index: int = 0

    def with_options(self, options: FinetuneOptions) -> "Preparation":
        """Returns the same data with other options, resolved again."""
        resolved = resolve(options, train_items=len(self.split.train), device=self.device)
        return replace(self, requested=options, options=resolved)

    def for_run(self, index: int) -> "Preparation":
        """Returns another of several runs: the same views, but another seed for the rest."""
        options = self.requested.with_settings(seed=self._view_seed + index)
        return replace(self.with_options(options), run_index=index)

    @property
    def refits(self) -> bool:
        """Whether projections are retrained after the towers."""
        options = self.options
        if self.reference is not None or options.model.method == "head":
            return False
        supported = options.model.lock == "image" or block_count(self.start.model.visual)
        return bool(options.schedule.refit_epochs and options.loss.rehearses and supported)

    def for_refit(self, tuned: Weights) -> "Preparation":
        """Returns the training of the start's projections on top of the towers of `tuned`.

        Towers keep the start's general knowledge. Projections forget it with the few rehearsed
        drawings that fit into a step through the towers, but keep it with many, which are cheap on
        frozen towers. The projection of an untrained text tower stays the start's, so that images
        are fitted to its embeddings.
        """
        requested, options = self.requested, self.options
        parts = split_image_tower(options.model, self.start.model.visual)
        kept = {*projections(self.start.model, parts), *NEITHER_TOWER}
        weights = self.start.weights()
        weights |= {name: value for name, value in tuned.items() if name not in kept}
        data, model = requested.data, requested.model
        text_only_projection = model.lock == "none" and not trains_text_blocks(options.model)
        no_mixup = requested.loss.consistency_weight > 0
        refit = requested.with_settings(
            method="head",
            lock="text" if text_only_projection else model.lock,
            views=_REFIT_VIEWS if data.views is None else data.views,
            # Towers learned from strong augmentation; projections are to fit the plain views.
            augmentation="mild",
            keep_weight=_REFIT_KEEP_FACTOR * options.loss.keep_weight,
            runs=max(_REFIT_RUNS, options.schedule.runs),
            epochs=requested.schedule.refit_epochs,
            mixup=data.mixup if data.mixup is not None else 0.0 if no_mixup else _REFIT_MIXUP,
            dropout=_REFIT_DROPOUT if model.dropout is None else model.dropout,
            **dict.fromkeys(
                ("steps", "batch_size", "micro_batch", "learning_rate", "validate_every")
            ),
            checkpoint_every=None,
        )
        towers = replace(self, start=self.start.under(weights), reference=self.start)
        return towers.with_options(refit)

    def sampler(self) -> Sampler:
        """Samples the batches of the training split. Raises InputError if there is not even one."""
        options = sampling_options(self.options, self.training_set)
        return Sampler(self.training_set, self.split.train, options)

    def validation_set(self) -> DomainSet:
        """Returns the validation split, prepared to be scored."""
        templates = self.options.data.templates
        return domain_set(self.training_set, self.split.val, templates, "val")

    def views(self) -> ImageViews:
        """Returns the views that are trained on."""
        return ImageViews(
            self.training_set,
            self.start.preprocessing,
            _AUGMENTATIONS[self.options.data.augmentation],
            seed=self._view_seed,
            bounds=self.bounds,
        )

    @property
    def _view_seed(self) -> int:
        return self.options.run.seed - self.run_index

    def trainee(
        self, folder: Path, progress: ProgressListener, *, sibling: FineTuneModel | None = None
    ) -> FineTuneModel:
        """Returns a model to train. folder: of cached activations. sibling: of another run."""
        name = self.options.loss.teacher
        augmentation = _AUGMENTATIONS[self.options.data.augmentation]
        kind = MiningModel if self.options.loss.hard_negatives else FineTuneModel
        return kind(
            self.start,
            self.sampler(),
            self.options,
            cache=ImageCache(
                self.views(), self.split.val, f"{self._view_seed} {augmentation}", folder
            ),
            progress=progress,
            teacher=load_encoder(name, device=self.device.name) if name else None,
            reference=self.reference,
            sibling=sibling,
        )

    def loop_options(self) -> LoopOptions:
        """Returns the options of the training loop."""
        schedule, run = self.options.schedule, self.options.run
        return LoopOptions(
            steps=schedule.steps,
            learning_rate=schedule.learning_rate,
            weight_decay=schedule.weight_decay,
            clip=schedule.clip,
            average=schedule.average,
            validate_every=schedule.validate_every,
            patience=schedule.patience,
            checkpoint_every=schedule.checkpoint_every,
            seed=run.seed,
            device=self.device.name,
            resume=run.resume,
            tensorboard=run.tensorboard,
        )

    def counts(self) -> Counts:
        """Returns numbers of items, images, texts, classes and groups."""
        items = self.training_set.items
        numbers = {
            "items": len(items),
            "images": sum(item.image is not None for item in items),
            "texts": sum(bool(item.texts) for item in items),
            "classes": len(self.training_set.classes),
            "groups": len({item.group for item in items}),
        }
        return Counts(numbers)

    def split_sizes(self) -> dict[str, int]:
        """Returns the number of items by split."""
        return {name: len(self.split.of(name)) for name in SPLIT_NAMES}


def prepare(
    sources: Sequence[Source],
    options: FinetuneOptions,
    *,
    split_file: Path | None,
    bounds: MediaBounds,
    progress: ProgressListener,
) -> Preparation:
    """Reads, splits and loads. split_file: where the split is saved and reused, None for nowhere.

    Raises InputError if there is too little to train on; ConfigError, MissingModel.
    """
    device = choose_device(options.run.device)
    device = replace(device, name=local_device(device.name))
    progress.note(f"training on {device.name} ({device.reason})")
    data = options.data
    training_set = read_training_set(
        sources,
        classes=data.classes,
        group=data.group,
        split_column=data.split_column,
        text_columns=data.text_columns,
        bounds=bounds,
        progress=progress,
    )
    split = split_items(
        training_set,
        shares=data.shares,
        seed=options.run.seed,
        file=split_file,
        allow_straddling=data.allow_straddling,
    )
    for note in (*training_set.notes, *split.notes):
        progress.note(note)
    prepared = Preparation(
        options,
        resolve(options, train_items=len(split.train), device=device),
        device,
        training_set,
        split,
        load_start(options.model.name, device),
        bounds,
    )
    # Fails early if there is less than a batch.
    prepared.sampler()
    return prepared


def sampling_options(options: ResolvedOptions, training_set: TrainingSet) -> SamplingOptions:
    """Returns the options of the sampler."""
    data = options.data
    # If the whole tower is trained nothing is cached, so that each view can be a new one.
    views = None if options.model.method == "full" else data.views
    return SamplingOptions(
        batch_size=options.schedule.batch_size,
        seed=options.run.seed,
        class_balanced=data.class_balanced and len(training_set.classes) > 1,
        templates=data.templates,
        text_templates=data.text_templates,
        class_prompts=data.class_prompts,
        word_dropout=data.word_dropout,
        modality_dropout=data.modality_dropout,
        views=views if data.augment else 0,
        second_views=options.loss.consistency_weight > 0,
    )
