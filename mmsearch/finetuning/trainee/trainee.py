"""Trains an OpenCLIP model's heads, adapters, last blocks, or all of it: the loop's Trainee.

batch → embeddings of images, texts and class titles → losses → gradients, in chunks. Only what is
trained is computed in a step; batch norms keep their statistics.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmsearch.arrays import blocks
from mmsearch.encoders.base import Encoder
from mmsearch.finetuning.data.sampling import PLAIN_VIEW, Draw, Sampler
from mmsearch.finetuning.data.views import ImageViews
from mmsearch.finetuning.resolved import ResolvedOptions
from mmsearch.finetuning.towers.image_inputs import ImageCache, Readable, open_image_inputs
from mmsearch.finetuning.towers.image_tower import (
    BATCH,
    FrozenTower,
    ImageEncoder,
    split_image_tower,
)
from mmsearch.finetuning.towers.parameters import (
    choose_parameters,
    merged,
    parameter_groups,
    trains_text_blocks,
)
from mmsearch.finetuning.towers.start_model import StartModel
from mmsearch.finetuning.towers.text_inputs import (
    Depth,
    FrozenTextTower,
    TextEncoder,
    encode_all,
)
from mmsearch.finetuning.trainee.batches import (
    Mixup,
    TargetBuilder,
    TeacherModel,
    draw_shares,
    partners,
)
from mmsearch.finetuning.trainee.objective import Objective
from mmsearch.finetuning.trainee.rehearsal import (
    FEATURE_DROPOUT,
    FEATURE_DROPOUT_ON_TRAINED,
    ReferenceModel,
    Rehearsal,
)
from mmsearch.progress import ProgressListener
from mmsearch.records import Floats, Ids, Pixels
from mmsearch.training.distributed import gather_rows, ranks
from mmsearch.training.gradcache import Encoding, cached_backward
from mmsearch.training.loop import LoopOptions
from mmsearch.training.weight_interpolation import Weights


def rehearsal_batch(options: ResolvedOptions) -> int:
    """Returns the number of rehearsed drawings a step; a head's inputs are vectors, and cheap."""
    return 512 if options.model.method == "head" else 64


class FineTuneModel:
    """A model in training; the start model is not modified. sampler: samples its batches."""

    def __init__(
        self,
        start: StartModel,
        sampler: Sampler,
        options: ResolvedOptions,
        *,
        cache: ImageCache,
        progress: ProgressListener,
        teacher: Encoder | None = None,
        reference: StartModel | None = None,
        sibling: "FineTuneModel | None" = None,
    ) -> None:
        """Loads, caches and computes what all steps need.

        reference: the model to stay close to, if it is not `start`. sibling: a model of the same
        start and options but the seed, whose rehearsal data is reused.
        Raises InputError for a tower that the method cannot train, or if `cache` cannot be written.
        """
        self._start, self.sampler, self._options = start, sampler, options
        self._model = start.copy()
        self._evaluated: Any = None
        parts = split_image_tower(options.model, self._model.visual)
        self._heads = choose_parameters(self._model, parts, options.model, seed=options.run.seed)
        self._model.eval()
        self._frozen = FrozenTower(start, options.model)
        self._inputs = open_image_inputs(self._frozen, sampler, cache, progress)
        dropout = 0.0 if options.model.lock == "image" else options.model.dropout
        self._images = ImageEncoder(parts, dropout=dropout)
        frozen_texts = FrozenTextTower(start)
        depth: Depth = "blocks" if trains_text_blocks(options.model) else "head"
        depth = "none" if options.model.lock == "text" else depth
        self._texts = TextEncoder(start, self._model, depth, frozen_texts)
        bias = getattr(start.model, "logit_bias", None)
        self._objective = Objective(
            options,
            scale=start.scale,
            bias=None if bias is None else float(bias.mean()),
            dim=start.dim,
            classes=len(sampler.training_set.classes),
        ).to(start.device)
        taught = None
        if teacher is not None and options.loss.teacher_weight:
            items = sampler.positions
            progress.start("the teacher's embeddings", len(items), device=start.device)
            views = ImageViews(sampler.training_set, teacher.preprocessing)
            taught = TeacherModel(
                teacher, views, items, device=start.device, advance=progress.advance
            )
        self._targets = TargetBuilder(
            sampler.training_set,
            options,
            frozen_texts.encode,
            teacher=taught,
            device=start.device,
        )
        self._rehearsal: Rehearsal | None = None
        if sibling is not None and sibling._rehearsal is not None:
            self._rehearsal = sibling._rehearsal.with_seed(options.run.seed)
        elif options.loss.rehearses:
            progress.start("embeddings to rehearse", None, device=start.device)
            self._rehearsal = self._prepare_rehearsal(reference, frozen_texts)
        self._accumulate = 1

    def _prepare_rehearsal(
        self, reference: StartModel | None, frozen_texts: FrozenTextTower
    ) -> Rehearsal:
        options, known, frozen = self._options, reference or self._start, self._frozen
        if reference is not None:
            frozen, frozen_texts = FrozenTower(reference, options.model), FrozenTextTower(reference)
        parts = split_image_tower(options.model, known.model.visual)
        return Rehearsal(
            ReferenceModel(frozen, ImageEncoder(parts, dropout=0.0), frozen_texts.encode),
            trained=self._frozen if reference else None,
            drawings=options.loss.rehearsed,
            batch=rehearsal_batch(options),
            feature_dropout=FEATURE_DROPOUT_ON_TRAINED if reference else FEATURE_DROPOUT,
            seed=options.run.seed,
        )

    # --- the loop's Trainee ---

    def parameter_groups(self, options: LoopOptions) -> list[dict[str, Any]]:
        """See Trainee."""
        self._accumulate = options.accumulate
        heads = [*self._heads, *self._objective.parameters()]
        return parameter_groups(self.trained(), heads, self._options.model.method, options)

    def trained(self) -> dict[str, Tensor]:
        """See Trainee."""
        modules = {"model": self._model, "objective": self._objective}
        return {
            f"{prefix}.{name}": parameter
            for prefix, module in modules.items()
            for name, parameter in module.named_parameters()
            if parameter.requires_grad
        }

    def train(self) -> None:
        """Enables dropout; modules stay in evaluation mode, for the batch norms' statistics."""
        self._images.training = True

    def eval(self) -> None:
        """See Trainee."""
        self._images.training = False

    def backward(self, step: int, micro: int) -> dict[str, float]:
        """See Trainee."""
        here, place = ranks(), step * self._accumulate + micro
        whole = self.sampler.draw(place)
        mine = whole.part(here.rank, here.world)
        inputs, readable = self._inputs(mine.items, mine.views)
        second: Tensor | None = None
        if self._options.loss.consistency_weight and mine.second_views is not None:
            second = self._inputs(mine.items, mine.second_views)[0]
        following = self.sampler.draw(place + 1).part(here.rank, here.world)
        self._inputs.prefetch(following.items, following.views)
        titles, title_labels = self._targets.titles(whole, place)
        inputs, mixup = self._mixup(whole, place, inputs, readable)
        seen = self._all_ranks(readable.astype(np.float32)) > 0
        targets = self._targets.targets(whole, title_labels, seen.cpu().numpy(), mixup)
        parts: dict[str, float] = {}

        def loss(images: Tensor, texts: Tensor, named: Tensor, *more: Tensor) -> Tensor:
            found = self._objective.parts(
                gather_rows(images),
                gather_rows(texts),
                named,
                second=gather_rows(more[0]) if more else None,
                targets=targets,
            )
            parts.update({name: float(value.detach()) for name, value in found.items()})
            return found["loss"]

        encodings = [
            Encoding(lambda rows: self._images.encode(inputs[rows]), len(inputs)),
            Encoding(lambda rows: self._texts.encode(mine.texts[rows]), len(mine.texts)),
            Encoding(lambda rows: self._texts.encode(titles[rows]), len(titles)),
        ]
        if second is not None:
            encodings.append(Encoding(lambda rows: self._images.encode(second[rows]), len(second)))
        cached_backward(encodings, loss, chunk=self._options.schedule.micro_batch)
        if self._rehearsal is not None:
            parts["kept"] = self._rehearse(self._rehearsal, place)
            parts["loss"] += parts["kept"]
        return parts

    def _mixup(
        self, whole: Draw, place: int, inputs: Tensor, readable: Readable
    ) -> tuple[Tensor, Mixup | None]:
        """Mixes this rank's inputs; returns them and how the global batch is mixed."""
        probability, here = self._options.data.mixup, ranks()
        if not probability:
            return inputs, None
        seed, count = self._options.run.seed, len(inputs)
        shares = draw_shares(whole, probability=probability, seed=seed, step=place)
        mine, pairs = shares[here.rank * count : (here.rank + 1) * count], partners(count)
        mine = np.where(readable & readable[pairs], mine, np.float32(1))
        device = self._start.device
        part = Mixup(torch.from_numpy(pairs).to(device), torch.from_numpy(mine).to(device))
        offsets = torch.arange(here.world, device=device).repeat_interleave(count) * count
        everyone = part.partners.repeat(here.world) + offsets
        return part.of(inputs), Mixup(everyone, self._all_ranks(mine))

    def _all_ranks(self, values: Floats) -> Tensor:
        """Gathers float32 (b / ranks,) → (b,)."""
        here = torch.from_numpy(values).to(self._start.device)
        return gather_rows(here[:, None])[:, 0]

    def _rehearse(self, rehearsal: Rehearsal, place: int) -> float:
        """Adds the gradient of the drift from the reference model and returns the loss."""
        drawn, weight = rehearsal.draw(place), self._options.loss.keep_weight

        def loss(images: Tensor, texts: Tensor) -> Tensor:
            return weight * drawn.drift(images, texts, self._start.scale)

        encodings = [
            Encoding(
                lambda rows: self._images.encode(drawn.inputs[rows], dropout=False),
                len(drawn.inputs),
            ),
            Encoding(lambda rows: self._texts.encode(drawn.texts[rows]), len(drawn.texts)),
        ]
        return float(cached_backward(encodings, loss, chunk=self._options.schedule.micro_batch))

    # --- weights and embeddings ---

    def start_weights(self) -> dict[str, Tensor]:
        """Returns the complete state dict of the start model, on the CPU."""
        return self._start.weights()

    def tuned_weights(self) -> dict[str, Tensor]:
        """Returns the complete current state dict, adapters merged, on the CPU."""
        model = merged(self._model) if self._options.model.method == "lora" else self._model
        weights = {name: value.detach().cpu().clone() for name, value in model.state_dict().items()}
        bias = weights.get("logit_bias")
        if (self._options.loss.kind == "sigmoid") == (bias is not None):
            # The learned temperature suits the loss that the model was made for.
            scale = float(self._objective.scale.log().detach())
            weights["logit_scale"] = torch.full_like(weights["logit_scale"], scale)
            if bias is not None:
                learned = float(self._objective.bias.detach())
                weights["logit_bias"] = torch.full_like(bias, learned)
        return weights

    @torch.no_grad()
    def encode_images(self, positions: Ids, weights: Weights | None = None) -> Floats:
        """Encodes the plain views of items' images: float32 (n, dim), unit rows.

        weights: a complete state dict, which differs from the start only in what the method trains;
        None for the current weights. Rows of missing and unreadable images are zeros.
        """
        encoder, _ = self._encoders(weights)
        vectors = []
        for block in blocks(len(positions), BATCH):
            batch = positions[block]
            inputs, readable = self._inputs(batch, np.full(len(batch), PLAIN_VIEW))
            found = encoder.encode(inputs).cpu().numpy()
            vectors.append(np.where(readable[:, None], found, np.float32(0)))
        return np.concatenate(vectors)

    def encode_texts(self, texts: Sequence[str], weights: Weights | None = None) -> Floats:
        """Encodes texts: float32 (n, dim), unit rows. weights: see `encode_images`."""
        return encode_all(self._encoders(weights)[1].encode, texts)

    def towers(self, weights: Weights) -> "WeightedTowers":
        """Returns both towers under given weights; frozen parts are computed once for all."""
        return WeightedTowers(*self._encoders(weights), self._frozen)

    def _encoders(self, weights: Weights | None) -> tuple[ImageEncoder, TextEncoder]:
        if weights is None:
            return self._images, self._texts
        if self._evaluated is None:
            self._evaluated = self._start.copy()
        self._evaluated.load_state_dict(dict(weights))
        parts = split_image_tower(self._options.model, self._evaluated.visual)
        return ImageEncoder(parts, dropout=0.0), self._texts.with_weights_of(self._evaluated)


class WeightedTowers:
    """Both towers under given weights, valid until others are requested."""

    def __init__(self, images: ImageEncoder, texts: TextEncoder, frozen: FrozenTower) -> None:
        self._images, self._texts, self._frozen = images, texts, frozen

    def encode_pixels(self, pixels: Pixels) -> Floats:
        """Encodes pixels, uint8 (n, size, size, 3) → float32 (n, dim), unit rows."""
        with torch.no_grad():
            found = [self._images.encode(batch).cpu() for batch in self._frozen.batches(pixels)]
        return torch.cat(found).numpy()

    def encode_texts(self, texts: Sequence[str]) -> Floats:
        """Returns float32 (n, dim), unit rows."""
        return encode_all(self._texts.encode, texts)
