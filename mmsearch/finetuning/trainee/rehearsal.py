"""Rehearsal: keeps the model close to the original one on data beyond the training set.

Some 3,500 captioned drawings of all kinds ship for it (rehearsal/, built by
tools/build_rehearsal.py); with the names of ImageNet's classes they stand for everything. On them
the trained model is to reproduce the original one (learning without forgetting, Li and Hoiem 2016;
for CLIP over a reference set, ZSCL, Zheng et al. 2023). None of them is in the general set.
"""

import csv
import io
import zipfile
from collections.abc import Sequence
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
from mmsearch.finetuning.towers.image_tower import FrozenTower, ImageEncoder, mixed
from mmsearch.finetuning.towers.text_inputs import EncodeTexts
from mmsearch.media import Preprocessing, prepare
from mmsearch.records import Floats, Ids, Pixels
from mmsearch.training.losses import similarity_kl

_CLASSES = 1000
# Texts of a step, and the share of its drawings that are mixed.
_TEXTS_DRAWN, _MIXED = 128, 0.7
_STEP = 5
# Largest share of feature dropout. Projections on trained towers are averaged over several runs,
# which forget less and may learn more.
FEATURE_DROPOUT, FEATURE_DROPOUT_ON_TRAINED = 0.7, 0.6
_VECTORS = 2
_THREADS = 4
# Memory for the drawings' activations, which are pixels if whole towers are trained.
MAX_BYTES = 2**30
_FOLDER = files("mmsearch.finetuning") / "rehearsal"


@dataclass(frozen=True, slots=True)
class RehearsalBatch:
    """Rehearsed drawings and texts of one step.

    inputs: activations, (p, …). texts: t of them. image_targets, text_targets: (p, dim) and
    (t, dim), the original model's unit rows.
    """

    inputs: Tensor
    texts: list[str]
    image_targets: Tensor
    text_targets: Tensor

    def drift(self, images: Tensor, texts: Tensor, scale: float) -> Tensor:
        """Returns how far embeddings are from the original model's.

        The sum of 1 − cosine of images and of texts, and of the KL divergence of similarities.
        """
        similarities = similarity_kl(
            images,
            texts,
            torch.tensor(scale, device=images.device),
            teacher_images=self.image_targets,
            teacher_texts=self.text_targets,
            teacher_scale=scale,
        )
        distances = [
            1 - (new.float() * old).sum(dim=1).mean()
            for new, old in ((images, self.image_targets), (texts, self.text_targets))
        ]
        return similarities + distances[0] + distances[1]


@dataclass(frozen=True, slots=True)
class ReferenceModel:
    """The model to stay close to: its frozen tower, the encoder on top of it, and its texts."""

    frozen: FrozenTower
    encoder: ImageEncoder
    encode_texts: EncodeTexts


class Rehearsal:
    """All rehearsed drawings and texts, as encoded by the reference model."""

    def __init__(
        self,
        reference: ReferenceModel,
        *,
        trained: FrozenTower | None = None,
        drawings: int,
        batch: int,
        feature_dropout: float,
        seed: int,
    ) -> None:
        """trained: the trained model's frozen part, if it differs from the reference's.

        drawings: number in all. batch: drawings a step. feature_dropout: largest share.
        """
        pixels = rehearsed_images(reference.frozen.start.preprocessing, drawings)
        one = reference.frozen.half_activations(pixels[:1])
        pixels = pixels[: max(batch, MAX_BYTES // one.nbytes)]
        self._encoder = reference.encoder
        self._reference_inputs = reference.frozen.half_activations(pixels)
        self._inputs = trained.half_activations(pixels) if trained else self._reference_inputs
        self._texts = list(dict.fromkeys([*class_prompts(), *rehearsed_captions(drawings)]))
        self._text_targets = reference.encode_texts(self._texts)
        self._seed, self._batch = seed, min(batch, len(self._inputs))
        self._feature_dropout = feature_dropout

    def with_seed(self, seed: int) -> "Rehearsal":
        """Returns the same data in another order, without computing it again."""
        other = copy(self)
        other._seed = seed
        return other

    def draw(self, step: int) -> RehearsalBatch:
        """Returns the batch of a step."""
        rng = np.random.default_rng([self._seed, _STEP, step])
        pairs = self._pairs(rng)
        inputs = reference = _mixed(self._inputs, *pairs)
        if self._reference_inputs is not self._inputs:
            reference = _mixed(self._reference_inputs, *pairs)
        if inputs.ndim == _VECTORS:
            factors = _dropout_factors(inputs, self._feature_dropout, rng)
            inputs, reference = inputs * factors, reference * factors
        with torch.no_grad():
            image_targets = self._encoder.encode(reference)
        texts = rng.choice(len(self._texts), _TEXTS_DRAWN, replace=False)
        return RehearsalBatch(
            inputs,
            [self._texts[at] for at in texts],
            image_targets,
            self._text_targets[torch.from_numpy(texts).to(self._text_targets.device)],
        )

    def _pairs(self, rng: np.random.Generator) -> tuple[Ids, Ids, Floats]:
        """Returns pairs of drawings to mix, int64 (p,) each, and the weight of the first."""
        count, drawn = len(self._inputs), self._batch
        ones, others = (rng.choice(count, drawn, replace=False) for _ in range(2))
        shares = np.where(rng.random(drawn) < _MIXED, rng.random(drawn), 1.0)
        return ones, others, shares.astype(np.float32)


def _dropout_factors(vectors: Tensor, largest: float, rng: np.random.Generator) -> Tensor:
    """Returns dropout factors, float32 (p, width), of a random strength for each row.

    A projection can memorise a few thousand vectors and change all others: on drawings that were
    not rehearsed the drift was five times as large. With random dropout no two steps are alike.
    """
    dropped = rng.uniform(0, largest, (len(vectors), 1)).astype(np.float32)
    kept = rng.random(vectors.shape, dtype=np.float32) >= dropped
    return torch.from_numpy(kept / (1 - dropped)).to(vectors.device)


def _mixed(activations: Tensor, ones: Ids, others: Ids, shares: Floats) -> Tensor:
    """Returns interpolated activations of pairs, float32 (p, …)."""
    one, other = (activations[torch.from_numpy(rows)].float() for rows in (ones, others))
    return mixed(one, other, torch.from_numpy(shares).to(one.device))


def class_prompts() -> list[str]:
    """Returns the first name of each ImageNet class, in the evaluation's templates in turn."""
    from timm.data.imagenet_info import ImageNetInfo

    info = ImageNetInfo()
    names = [info.index_to_description(at).split(",")[0] for at in range(_CLASSES)]
    return [TEMPLATES[at % len(TEMPLATES)].replace("{}", name) for at, name in enumerate(names)]


def rehearsed_captions(count: int | None = None) -> list[str]:
    """Returns the captions of the first `count` drawings."""
    return [row["caption"] for row in _rows()[:count]]


@lru_cache(maxsize=1)
def rehearsed_images(preprocessing: Preprocessing, count: int | None = None) -> Pixels:
    """Returns the drawings, uint8 (p, size, size, 3), in the random order of their captions."""
    names = [row["file"] for row in _rows()[:count]]
    with (_FOLDER / "drawings.zip").open("rb") as file, zipfile.ZipFile(file) as archive:
        drawings = [archive.read(name) for name in names]

    def decoded(drawing: bytes) -> Pixels:
        with Image.open(io.BytesIO(drawing)) as image:
            return prepare(image.convert("RGB"), preprocessing)

    with ThreadPoolExecutor(_THREADS) as threads:
        return np.stack(list(threads.map(decoded, drawings)))


def _rows() -> Sequence[dict[str, str]]:
    text = (_FOLDER / "captions.csv").read_text("utf-8")
    return list(csv.DictReader(text.splitlines()))
