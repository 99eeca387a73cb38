"""What a model knows beyond the catalog, held in place while it learns the catalog.

Some 3,500 captioned drawings of all kinds of things ship for it (rehearsal/, drawn by
tools/build_rehearsal.py); with the names of ImageNet's classes they stand for everything: on them
the trained model is to go on saying what the start model says (learning without forgetting, Li and
Hoiem 2016; for CLIP over a foreign reference set, ZSCL, Zheng et al. 2023). None of them is among
the pictures by which forgetting is measured.
"""

import csv
import io
import zipfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from mmsearch.evaluation.zero_shot import TEMPLATES
from mmsearch.finetuning.towers.image_inputs import Activations, ImageSide
from mmsearch.finetuning.towers.start_model import StartModel
from mmsearch.finetuning.trainee.mixup import between
from mmsearch.media import Preprocessing, prepare
from mmsearch.records import Floats, Ids, Pixels
from mmsearch.training.losses import similarity_kl

_CLASSES = 1000
# Of a step.
_TEXTS_DRAWN, _MIXED = 128, 0.7
_STEP = 5
# Largest share of holes in what a projection is given. On towers that were trained several are
# averaged, which forget less and may learn more.
HOLES, HOLES_ON_TRAINED = 0.7, 0.6
_VECTORS = 2
_THREADS = 4
# Of drawings' activations; where whole towers are trained these are pixels.
MOST_BYTES = 2**30
_FOLDER = files("mmsearch.finetuning") / "rehearsal"

EncodeTexts = Callable[[Sequence[str]], Tensor]


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """One step's share. inputs: (p, …), as the trained part of the image tower takes them; texts: t
    of them; images, words: (p, dim) and (t, dim), the start model's unit rows for both."""

    inputs: Tensor
    texts: list[str]
    images: Tensor
    words: Tensor

    def strayed(self, images: Tensor, words: Tensor, scale: float) -> Tensor:
        """How far the trained model's vectors are from the start's, and what they say of each
        other: 1 − cosine of either, and the KL of their similarities."""
        told = similarity_kl(
            images,
            words,
            torch.tensor(scale, device=images.device),
            self.images,
            self.words,
            scale,
        )
        apart = [
            1 - (new.float() * old).sum(dim=1).mean()
            for new, old in ((images, self.images), (words, self.words))
        ]
        return told + apart[0] + apart[1]


class Replay:
    """Everything that is rehearsed, as the model whose knowledge is to be kept sees it; steps draw
    from it."""

    def __init__(
        self,
        known: StartModel,
        side: ImageSide,
        activations: Activations,
        encode_texts: EncodeTexts,
        *,
        trained: Activations | None = None,
        most: int,
        pictures: int,
        most_gone: float,
        seed: int,
    ) -> None:
        """known: whose knowledge is kept, and its side, texts, and activations of the frozen part.
        trained: the trained model's activations, where its frozen part is another. most: drawings
        in all; pictures: of them in a step. most_gone: largest share of holes in a vector.
        """
        shown = rehearsed_pictures(known.preprocessing, most)
        shown = shown[: max(pictures, MOST_BYTES // activations.once(shown[:1]).nbytes)]
        self._side = side
        self._known = activations.once(shown)
        self._inputs = self._known if trained is None else trained.once(shown)
        self._texts = list(dict.fromkeys([*class_names(), *rehearsed_captions(most)]))
        self._words = encode_texts(self._texts)
        self._seed, self._drawn = seed, min(pictures, len(self._inputs))
        self._most_gone = most_gone

    def reseeded(self, seed: int) -> "Replay":
        """Another order of the same, which is not computed again."""
        other = copy(self)
        other._seed = seed
        return other

    def draw(self, step: int) -> Rehearsed:
        chance = np.random.default_rng([self._seed, _STEP, step])
        mixture = self._mixture(chance)
        inputs = known = _mixed(self._inputs, *mixture)
        if self._known is not self._inputs:
            known = _mixed(self._known, *mixture)
        if inputs.ndim == _VECTORS:
            holes = _holes(inputs, self._most_gone, chance)
            inputs, known = inputs * holes, known * holes
        with torch.no_grad():
            images = self._side.encode(known)
        words = chance.choice(len(self._texts), _TEXTS_DRAWN, replace=False)
        return Rehearsed(
            inputs,
            [self._texts[at] for at in words],
            images,
            self._words[torch.from_numpy(words).to(self._words.device)],
        )

    def _mixture(self, chance: np.random.Generator) -> tuple[Ids, Ids, Floats]:
        """Which pictures, which others, int64 (p,) each, and the share of the former, (p,)."""
        count, drawn = len(self._inputs), self._drawn
        ones, others = (chance.choice(count, drawn, replace=False) for _ in range(2))
        shares = np.where(chance.random(drawn) < _MIXED, chance.random(drawn), 1.0)
        return ones, others, shares.astype(np.float32)


def _holes(vectors: Tensor, most_gone: float, chance: np.random.Generator) -> Tensor:
    """float32 (p, width), factors as dropout's, of another strength for each row, up to most_gone.

    A projection can learn a few thousand vectors by heart and say something else of all others: on
    pictures that were not rehearsed it strayed five times as far. With a share of their numbers
    gone, other ones in every step, no two are alike.
    """
    gone = chance.uniform(0, most_gone, (len(vectors), 1)).astype(np.float32)
    left = chance.random(vectors.shape, dtype=np.float32) >= gone
    return torch.from_numpy(left / (1 - gone)).to(vectors.device)


def _mixed(activations: Tensor, ones: Ids, others: Ids, shares: Floats) -> Tensor:
    """float32 (p, …), each on the line between two pictures' activations, or at its end."""
    one, other = (activations[torch.from_numpy(rows)].float() for rows in (ones, others))
    return between(one, other, torch.from_numpy(shares).to(one.device))


def class_names() -> list[str]:
    """The first name of each of ImageNet's classes, in the evaluation's templates in turn."""
    from timm.data.imagenet_info import ImageNetInfo

    info = ImageNetInfo()
    names = [info.index_to_description(at).split(",")[0] for at in range(_CLASSES)]
    return [TEMPLATES[at % len(TEMPLATES)].replace("{}", name) for at, name in enumerate(names)]


def rehearsed_captions(most: int | None = None) -> list[str]:
    return [row["caption"] for row in _rows()[:most]]


@lru_cache(maxsize=1)
def rehearsed_pictures(preprocessing: Preprocessing, most: int | None = None) -> Pixels:
    """uint8 (p, size, size, 3), in the captions' order, which is one of chance."""
    names = [row["file"] for row in _rows()[:most]]
    with (_FOLDER / "drawings.zip").open("rb") as file, zipfile.ZipFile(file) as archive:
        drawings = [archive.read(name) for name in names]

    def square(drawing: bytes) -> Pixels:
        with Image.open(io.BytesIO(drawing)) as picture:
            return prepare(picture.convert("RGB"), preprocessing)

    with ThreadPoolExecutor(_THREADS) as threads:
        return np.stack(list(threads.map(square, drawings)))


def _rows() -> list[dict[str, str]]:
    text = (_FOLDER / "captions.csv").read_text("utf-8")
    return list(csv.DictReader(text.splitlines()))
