"""What is known before anything is trained: the catalog, its split, the model, the settings."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from mmsearch.encoders.devices import DeviceChoice, choose_device
from mmsearch.encoders.registry import load_encoder
from mmsearch.finetuning.data.augment import AugmentOptions, Views
from mmsearch.finetuning.data.sampling import Sampler, SamplingOptions
from mmsearch.finetuning.data.splits import Split, split_items
from mmsearch.finetuning.data.training_set import SPLIT_NAMES, TrainCatalog, read_train_catalog
from mmsearch.finetuning.options import FinetuneOptions, Lock, SettledOptions, settled
from mmsearch.finetuning.scoring.domain import DomainSet, domain_set
from mmsearch.finetuning.towers.image_inputs import Activations, cut_for, frozen_part
from mmsearch.finetuning.towers.parameters import projections, trains_text_blocks
from mmsearch.finetuning.towers.start_model import NEITHER_TOWER, StartModel, load_start
from mmsearch.finetuning.trainee.mining import Mining
from mmsearch.finetuning.trainee.trainee import FineTuneModel, rehearsed_in_a_step
from mmsearch.media import MediaBounds
from mmsearch.progress import ProgressListener
from mmsearch.sources import Source
from mmsearch.training.distributed import local_device
from mmsearch.training.loop import LoopOptions, Trainee
from mmsearch.training.tower_split import block_count
from mmsearch.training.weight_interpolation import Weights

# Of the weight of staying near the start, once the towers have learned their part.
REFIT_KEEP = 2.0
# Trainings of projections on towers that stand still, at the least; on how many views of a picture.
REFIT_RUNS, REFIT_VIEWS = 3, 4
# How often pictures are mixed, and what share of a vector is dropped, if nothing else is asked for:
# so that projections do not learn the training split by heart.
REFIT_MIXUP = 0.5
REFIT_DROPOUT = 0.3
_LOOKS = {
    "mild": AugmentOptions(),
    "strong": AugmentOptions(
        least_area=0.3, brightness=0.4, contrast=0.4, saturation=0.4, hue=0.03
    ),
}


@dataclass(frozen=True, slots=True)
class Preparation:
    """asked: settings as given; options: with nothing left open. start: the model, loaded, as it
    was. known: whose knowledge is to be kept, if it is not the start's. turn: which of several runs
    on the same views, from 0.
    """

    asked: FinetuneOptions
    options: SettledOptions
    device: DeviceChoice
    catalog: TrainCatalog
    split: Split
    start: StartModel
    bounds: MediaBounds
    known: StartModel | None = None
    turn: int = 0

    def with_turn(self, turn: int) -> "Preparation":
        """Other batches, drawings and dropout, of the same views."""
        seed = self.options.seed - self.turn + turn
        return replace(self.with_options(replace(self.asked, seed=seed)), turn=turn)

    @property
    def refits(self) -> bool:
        """Whether projections are trained once more when towers have been."""
        options = self.options
        wanted = options.method != "head" and options.refit_epochs > 0 and options.rehearses
        known = options.lock == "image" or block_count(self.start.model.visual) is not None
        return wanted and known and self.known is None

    def for_refit(self, tuned: Weights) -> "Preparation":
        """The towers of `tuned` under the start's projections, of which these alone are trained.

        The rest of the start's knowledge is in the towers still: what a projection forgets with few
        rehearsed drawings a step, it keeps with many, which cost little once towers stand still.
        A text tower that was not trained keeps the start's projection too: pictures come to what it
        says as well as both would come to each other, and all that it said of other things stays.
        """
        weights = self.start.weights()
        parts = cut_for(self.options, self.start.model.visual)
        kept = {*projections(self.start.model, parts), *NEITHER_TOWER}
        weights |= {name: value for name, value in tuned.items() if name not in kept}
        alone = self.options.lock == "none" and not trains_text_blocks(self.options)
        lock: Lock = "text" if alone else self.options.lock
        asked = self.asked
        mixup = 0.0 if asked.consistency_weight else REFIT_MIXUP
        wanted = replace(
            asked,
            method="head",
            lock=lock,
            views=REFIT_VIEWS if asked.views is None else asked.views,
            # What is learned from strong views is in the tower; a projection is to fit plain ones.
            augmentation="mild",
            keep_weight=REFIT_KEEP * self.options.keep_weight,
            runs=max(REFIT_RUNS, self.options.runs),
            epochs=asked.refit_epochs,
            steps=None,
            batch_size=None,
            micro_batch=None,
            mixup=mixup if asked.mixup is None else asked.mixup,
            dropout=REFIT_DROPOUT if asked.dropout is None else asked.dropout,
            learning_rate=None,
            validate_every=None,
            checkpoint_every=None,
        )
        towers = replace(self, start=self.start.under(weights), known=self.start)
        return towers.with_options(wanted)

    def with_options(self, options: FinetuneOptions) -> "Preparation":
        """The same data with other settings; what they leave open is decided anew."""
        chosen = settled(options, train_items=len(self.split.train), device=self.device)
        return replace(self, asked=options, options=chosen)

    def sampler(self) -> Sampler:
        return Sampler(self.catalog, self.split.train, sampling(self.options, self.catalog))

    def validation_set(self) -> DomainSet:
        return domain_set(self.catalog, self.split.val, self.options.templates, "val")

    def views(self) -> Views:
        return Views(
            self.catalog,
            self.start.preprocessing,
            self._look,
            seed=self._view_seed,
            bounds=self.bounds,
        )

    @property
    def _view_seed(self) -> int:
        return self.options.seed - self.turn

    @property
    def _look(self) -> AugmentOptions:
        return _LOOKS[self.options.augmentation]

    def trainee(
        self, cache: Path, progress: ProgressListener, *, like: FineTuneModel | None = None
    ) -> FineTuneModel:
        """A model to train; activations of its frozen part are kept in `cache`. like: that of
        another turn."""
        options = self.options
        teacher = options.teacher and load_encoder(options.teacher, device=self.device.name)
        return FineTuneModel(
            self.start,
            self.sampler(),
            self.views(),
            options,
            others=self.split.val,
            view_key=f"{self._view_seed} {self._look}",
            cache=cache,
            progress=progress,
            teacher=teacher or None,
            known=self.known,
            like=like,
        )

    def mining(self, model: FineTuneModel) -> Trainee:
        """The model, with hard negatives in its batches if they were asked for."""
        count = self.options.hard_negatives
        return Mining(model, model.sampler, count) if count else model

    def counts(self) -> dict[str, int]:
        """Of all that was read, by name."""
        items = self.catalog.items
        return {
            "items": len(items),
            "pictures": sum(item.picture is not None for item in items),
            "texts": sum(bool(item.texts) for item in items),
            "classes": len(self.catalog.classes),
            "groups": len({item.group for item in items}),
        }

    def split_sizes(self) -> dict[str, int]:
        return {name: len(self.split.of(name)) for name in SPLIT_NAMES}


# A step through a tower costs about three passes without gradients: one, and back, which is two;
# one more where the batch goes through in chunks (GradCache).
_STEP_PASSES = 3
_TIMED_PICTURES, _TIMED_PASSES = 32, 3


def estimated_seconds(prepared: Preparation) -> float:
    """Of training on this machine: a few pictures' time in the image tower, times the passes."""
    if prepared.refits:
        again = prepared.for_refit(prepared.start.weights())
        return _seconds_of(prepared) + _seconds_of(again)
    return _seconds_of(prepared)


def _seconds_of(prepared: Preparation) -> float:
    options = prepared.options
    frozen, trained = _seconds_a_picture(prepared)
    kept = 1 + (options.views if options.augment else 0)
    cached = 0 if options.method == "full" else len(prepared.split.train) * kept
    rehearsed = rehearsed_in_a_step(options) if options.rehearses else 0
    passed = options.runs * options.steps * (options.batch_size + rehearsed)
    measured = (frozen + trained) * len(prepared.split.val)
    passes = _STEP_PASSES + (options.batch_size > options.micro_batch)
    return frozen * cached + trained * passes * passed + measured


def _seconds_a_picture(prepared: Preparation) -> tuple[float, float]:
    """In the part of the image tower that stands still, decoding included, and in the trained."""
    start, chance = prepared.start, np.arange(_TIMED_PICTURES)
    shown = [at for at in prepared.split.train.tolist() if prepared.catalog.items[at].picture]
    items = np.resize(np.array(shown, np.int64), _TIMED_PICTURES)
    looks = Views(prepared.catalog, start.preprocessing, bounds=prepared.bounds)
    parts = cut_for(prepared.options, start.model.visual)
    activations = Activations(start, frozen_part(prepared.options, start))
    times = []
    # The first pass of all is slower than any that follows.
    for _ in range(_TIMED_PASSES):
        began = time.monotonic()
        pixels, _ = looks.batch(items, chance)
        with torch.inference_mode():
            found = activations.once(pixels).float()
            cut = time.monotonic()
            parts.head(parts.features(found))
        times.append((cut - began, time.monotonic() - cut))
    frozen, trained = np.min(times, axis=0) / _TIMED_PICTURES
    return float(frozen), float(trained)


def loop_options(
    prepared: Preparation, *, resume: bool = False, validate: bool = True
) -> LoopOptions:
    options = prepared.options
    return LoopOptions(
        steps=options.steps,
        learning_rate=options.learning_rate,
        weight_decay=options.weight_decay,
        clip=options.clip,
        average=options.average,
        validate_every=options.validate_every if validate else 0,
        patience=options.patience,
        checkpoint_every=options.checkpoint_every if validate else 0,
        seed=options.seed,
        device=prepared.device.name,
        resume=resume,
        tensorboard=options.tensorboard,
    )


def prepare(
    sources: Sequence[Source],
    options: FinetuneOptions,
    *,
    split_file: Path | None,
    bounds: MediaBounds,
    progress: ProgressListener,
) -> Preparation:
    """split_file: where the split is kept; None saves it nowhere.

    Raises InputError where there is too little to train on; ConfigError, MissingModel.
    """
    device = choose_device(options.device)
    device = replace(device, name=local_device(device.name))
    progress.note(f"training on {device.name} ({device.reason})")
    catalog = read_train_catalog(
        sources,
        classes=options.classes,
        group=options.group,
        split_column=options.split_column,
        text_columns=options.text_columns,
        bounds=bounds,
        progress=progress,
    )
    split = split_items(
        catalog,
        shares=options.shares,
        seed=options.seed,
        file=split_file,
        allow_straddling=options.allow_straddling,
    )
    for note in (*catalog.notes, *split.notes):
        progress.note(note)
    start = load_start(options.model, device)
    chosen = settled(options, train_items=len(split.train), device=device)
    prepared = Preparation(options, chosen, device, catalog, split, start, bounds)
    # Raises where there are fewer items than a batch has, before anything is computed.
    prepared.sampler()
    return prepared


def sampling(options: SettledOptions, catalog: TrainCatalog) -> SamplingOptions:
    # Where the whole tower is trained nothing is kept, so that each view may be a new one.
    views = None if options.method == "full" else options.views
    return SamplingOptions(
        batch_size=options.batch_size,
        seed=options.seed,
        class_balanced=options.class_balanced and len(catalog.classes) > 1,
        templates=options.templates,
        text_templates=options.text_templates,
        class_prompts=options.class_prompts,
        word_dropout=options.word_dropout,
        modality_dropout=options.modality_dropout,
        views=views if options.augment else 0,
        second_views=options.consistency_weight > 0,
    )
