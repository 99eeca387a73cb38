"""What the training loop trains: an OpenCLIP model's heads, adapters, last blocks, or all of it.

draw → vectors of pictures, texts and class titles → losses → gradients, in chunks (GradCache). Only
what is trained is computed in a step; batch norms keep their statistics.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mmsearch.encoders.base import Encoder
from mmsearch.finetuning.data.augment import Views
from mmsearch.finetuning.data.sampling import Draw, Sampler
from mmsearch.finetuning.options import SettledOptions
from mmsearch.finetuning.towers.image_inputs import (
    Activations,
    ImageSide,
    Readable,
    cut_for,
    frozen_part,
    picture_inputs,
)
from mmsearch.finetuning.towers.lora import merged
from mmsearch.finetuning.towers.parameters import choose_parameters, groups, trains_text_blocks
from mmsearch.finetuning.towers.start_model import StartModel
from mmsearch.finetuning.towers.text_inputs import Depth, StartTexts, TextSide, encode_all
from mmsearch.finetuning.trainee.batches import Batches, teacher_model
from mmsearch.finetuning.trainee.mixup import Mixture, draw_shares, neighbours
from mmsearch.finetuning.trainee.objective import Objective
from mmsearch.finetuning.trainee.rehearsal import HOLES, HOLES_ON_TRAINED, Replay
from mmsearch.media import Preprocessing
from mmsearch.progress import ProgressListener
from mmsearch.records import Floats, Ids, Pixels
from mmsearch.training.distributed import gather_rows, ranks
from mmsearch.training.gradcache import Encoding, cached_backward
from mmsearch.training.loop import LoopOptions
from mmsearch.training.weight_interpolation import Weights


def rehearsed_in_a_step(options: SettledOptions) -> int:
    """Pictures; to a head each is a vector, to deeper parts a pass through them."""
    return 512 if options.method == "head" else 64


class FineTuneModel:
    """A Trainee of `mmsearch.training.loop`. The start model stays as it is."""

    def __init__(
        self,
        start: StartModel,
        sampler: Sampler,
        views: Views,
        options: SettledOptions,
        *,
        others: Ids,
        view_key: str,
        cache: Path,
        progress: ProgressListener,
        teacher: Encoder | None = None,
        known: StartModel | None = None,
        like: "FineTuneModel | None" = None,
    ) -> None:
        """options: with nothing left open (`options.settled`). others: items that are only
        measured. view_key: names how random views are made; with the weights it tells the files
        in `cache` apart, which hold the frozen part's activations. known: the model whose
        knowledge is rehearsed, where it is not `start`. like: another model of the same start and
        options but the seed, what was computed for which serves this one too.

        Raises InputError for a tower that the method cannot train, or if `cache` cannot be written.
        """
        self._start, self._sampler, self._options = start, sampler, options
        self._known = known or start
        self._catalog = sampler.catalog
        self._model = start.copy()
        self._probe: Any = None
        parts = cut_for(options, self._model.visual)
        self._heads = choose_parameters(self._model, parts, options)
        self._model.eval()
        frozen = frozen_part(options, start)
        self._inputs = picture_inputs(
            start,
            self._catalog,
            views,
            frozen,
            train=sampler.positions,
            others=others,
            count=sampler.options.views,
            key=view_key,
            cache=cache,
            progress=progress,
        )
        dropout = 0.0 if options.lock == "image" else options.dropout
        self._images = ImageSide(parts, self._inputs, dropout=dropout)
        self._start_texts = StartTexts(start)
        self._texts = TextSide(start, self._model, self._text_depth, self._start_texts)
        bias = getattr(start.model, "logit_bias", None)
        self._objective = Objective(
            options,
            scale=start.scale,
            bias=None if bias is None else float(bias.mean()),
            dim=start.dim,
            classes=len(self._catalog.classes),
        ).to(start.device)
        self._activations = Activations(start, frozen)
        self._batches = self._make_batches(teacher, progress)
        self._replay = self._make_replay(like, progress)
        self._accumulate = 1

    @property
    def sampler(self) -> Sampler:
        return self._sampler

    # --- the loop's Trainee ---

    def parameter_groups(self, options: LoopOptions) -> list[dict[str, Any]]:
        self._accumulate = options.accumulate
        named = self._named()
        return groups(
            named,
            [*self._heads, *self._objective.parameters()],
            method=self._options.method,
            learning_rate=options.learning_rate,
            weight_decay=options.weight_decay,
        )

    def trained(self) -> dict[str, Tensor]:
        return dict(self._named())

    def train(self) -> None:
        """Switches dropout on; the modules stay as they are, for the batch norms' statistics."""
        self._images.training = True

    def eval(self) -> None:
        self._images.training = False

    def backward(self, step: int, micro: int) -> dict[str, float]:
        here, place = ranks(), step * self._accumulate + micro
        whole = self._sampler.draw(place)
        mine = whole.part(here.rank, here.world)
        inputs, readable = self._inputs(mine.items, mine.views)
        second = self._second(mine)
        following = self._sampler.draw(place + 1, rank=here.rank, world=here.world)
        self._inputs.prepare(following.items, following.views)
        titles, places = self._batches.titles(whole, place)
        inputs, mixture = self._mixed(whole, place, inputs, readable)
        seen = self._all_ranks(readable.astype(np.float32)) > 0
        targets = self._batches.targets(whole, places, seen.cpu().numpy(), mixture)
        parts: dict[str, float] = {}

        def loss(images: Tensor, texts: Tensor, named: Tensor, *more: Tensor) -> Tensor:
            views = gather_rows(more[0]) if more else None
            found = self._objective.parts(
                gather_rows(images), gather_rows(texts), named, views, targets
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
        cached_backward(encodings, loss, chunk=self._options.micro_batch)
        if self._replay is not None:
            parts["kept"] = self._rehearse(self._replay, place)
            parts["loss"] += parts["kept"]
        return parts

    # --- weights in and out ---

    def start_weights(self) -> dict[str, Tensor]:
        """The whole state dict of the start model, on the CPU."""
        return self._start.weights()

    def tuned_weights(self) -> dict[str, Tensor]:
        """The whole state dict as it is trained so far, adapters merged, on the CPU."""
        model = merged(self._model) if self._options.method == "lora" else self._model
        weights = {name: value.detach().cpu().clone() for name, value in model.state_dict().items()}
        return {**weights, **self._learned_scale(weights)}

    def encode_items(self, kind: str, positions: Ids, weights: Weights | None = None) -> Floats:
        """kind: 'image', the plain view, or 'text', the first text of each item.

        weights: a whole state dict that differs from the start only where this method trains; None
        for the weights as trained so far. → float32 (n, dim), unit rows; zeros where an item has
        no such thing, or its picture cannot be read.
        """
        images, texts = self._sides(weights)
        if kind == "image":
            vectors, readable = images.encode_plain(positions)
            return np.where(readable[:, None], vectors.numpy(), np.float32(0))
        found = [next(iter(self._catalog.items[place].texts), "") for place in positions.tolist()]
        given = np.array([bool(text) for text in found], np.bool_)
        return np.where(given[:, None], encode_all(texts.encode, found), np.float32(0))

    def encode_texts(self, texts: Sequence[str], weights: Weights | None = None) -> Floats:
        """Any texts, such as class prompts → float32 (n, dim), unit rows. weights: see above."""
        return encode_all(self._sides(weights)[1].encode, texts)

    def towers(self, weights: Weights) -> "TowersUnder":
        """For measuring other pictures; what stands still is computed once for all weights."""
        images, texts = self._sides(weights)
        return TowersUnder(self._start, images, texts, self._activations)

    # --- inside ---

    @property
    def _text_depth(self) -> Depth:
        if self._options.lock == "text":
            return "none"
        return "blocks" if trains_text_blocks(self._options) else "head"

    def _named(self) -> dict[str, nn.Parameter]:
        modules = {"model": self._model, "objective": self._objective}
        return {
            f"{prefix}.{name}": parameter
            for prefix, module in modules.items()
            for name, parameter in module.named_parameters()
            if parameter.requires_grad
        }

    def _make_batches(self, teacher: Encoder | None, progress: ProgressListener) -> Batches:
        options, items, device = self._options, self._sampler.positions, self._start.device
        taught = None
        if teacher is not None and options.teacher_weight:
            progress.start("the teacher's vectors", len(items), device=device)
            taught = teacher_model(teacher, self._catalog, items, device, progress.advance)
        return Batches(
            self._catalog, options, self._start_texts.encode, teacher=taught, device=device
        )

    def _make_replay(
        self, like: "FineTuneModel | None", progress: ProgressListener
    ) -> Replay | None:
        if not self._options.rehearses:
            return None
        if like is not None and like._replay is not None:
            return like._replay.reseeded(self._options.seed)
        progress.start("what the start model knows", None, device=self._start.device)
        known, parts = self._known, cut_for(self._options, self._known.model.visual)
        same = known is self._start
        activations = self._activations
        if not same:
            activations = Activations(known, frozen_part(self._options, known))
        return Replay(
            known,
            ImageSide(parts, self._inputs, dropout=0.0),
            activations,
            (self._start_texts if same else StartTexts(known)).encode,
            trained=None if same else self._activations,
            most=self._options.rehearsed,
            pictures=rehearsed_in_a_step(self._options),
            most_gone=HOLES if same else HOLES_ON_TRAINED,
            seed=self._options.seed,
        )

    def _rehearse(self, replay: Replay, place: int) -> float:
        """Adds the gradient of having strayed from the start model beyond the catalog."""
        drawn, weight = replay.draw(place), self._options.keep_weight

        def loss(images: Tensor, words: Tensor) -> Tensor:
            return weight * drawn.strayed(images, words, self._start.scale)

        encodings = [
            Encoding(
                lambda rows: self._images.encode(drawn.inputs[rows], dropout=False),
                len(drawn.inputs),
            ),
            Encoding(lambda rows: self._texts.encode(drawn.texts[rows]), len(drawn.texts)),
        ]
        return float(cached_backward(encodings, loss, chunk=self._options.micro_batch))

    def _second(self, draw: Draw) -> Tensor | None:
        if not self._options.consistency_weight or draw.second_views is None:
            return None
        return self._inputs(draw.items, draw.second_views)[0]

    def _mixed(
        self, whole: Draw, place: int, inputs: Tensor, readable: Readable
    ) -> tuple[Tensor, Mixture | None]:
        """inputs: those of this rank's part → the same mixed two by two, and how the whole batch
        is."""
        options, here = self._options, ranks()
        if not options.mixup:
            return inputs, None
        shares = draw_shares(whole, chance=options.mixup, seed=options.seed, step=place)
        count = len(inputs)
        mine = shares[here.rank * count : (here.rank + 1) * count]
        partners = neighbours(count)
        mine = np.where(readable & readable[partners], mine, np.float32(1))
        device = self._start.device
        part = Mixture(torch.from_numpy(partners).to(device), torch.from_numpy(mine).to(device))
        ends = torch.arange(here.world, device=device).repeat_interleave(count) * count
        everyone = part.partners.repeat(here.world) + ends
        return part.of(inputs), Mixture(everyone, self._all_ranks(mine))

    def _all_ranks(self, values: Floats) -> Tensor:
        """float32 (b / ranks,) → (b,)."""
        here = torch.from_numpy(values).to(self._start.device)
        return gather_rows(here[:, None])[:, 0]

    def _sides(self, weights: Weights | None) -> tuple[ImageSide, TextSide]:
        if weights is None:
            return self._images, self._texts
        if self._probe is None:
            self._probe = self._start.copy()
        self._probe.load_state_dict(dict(weights))
        images = ImageSide(cut_for(self._options, self._probe.visual), self._inputs, dropout=0.0)
        return images, self._texts.beside(self._probe)

    def _learned_scale(self, weights: Weights) -> dict[str, Tensor]:
        """The temperature, where it is of the kind that the model was made for."""
        sigmoid, bias = self._options.loss == "sigmoid", weights.get("logit_bias")
        if sigmoid != (bias is not None):
            return {}
        learned = {"logit_scale": torch.full_like(weights["logit_scale"], self._log_scale)}
        if bias is not None:
            learned["logit_bias"] = torch.full_like(bias, float(self._objective.bias.detach()))
        return learned

    @property
    def _log_scale(self) -> float:
        return float(self._objective.scale.log().detach())


class TowersUnder:
    """Both towers under some weights, until the next ones are asked for."""

    def __init__(
        self, start: StartModel, images: ImageSide, texts: TextSide, activations: Activations
    ) -> None:
        self._start, self._activations = start, activations
        self._images, self._texts = images, texts

    @property
    def preprocessing(self) -> Preprocessing:
        return self._start.preprocessing

    def encode_pixels(self, pixels: Pixels) -> Floats:
        """pixels: uint8 (n, size, size, 3) → float32 (n, dim), unit rows."""
        with torch.no_grad():
            found = [self._images.encode(part).cpu() for part in self._activations(pixels)]
        return torch.cat(found).numpy()

    def encode_texts(self, texts: Sequence[str]) -> Floats:
        """→ float32 (n, dim), unit rows."""
        return encode_all(self._texts.encode, texts)
