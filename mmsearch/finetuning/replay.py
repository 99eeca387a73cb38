"""What a model knows beyond the catalog, held in place while it learns the catalog.

There are no pictures of everything to rehearse with, so shapes drawn by chance and the names of
ImageNet's classes stand for it: on them the trained model is to go on saying what the start model
says (learning without forgetting, Li and Hoiem 2016; for CLIP over a foreign reference set, ZSCL,
Zheng et al. 2023).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor

from mmsearch.evaluation.zero_shot import TEMPLATES
from mmsearch.finetuning.images import Activations, ImageSide
from mmsearch.finetuning.start import StartModel
from mmsearch.finetuning.texts import encode_all
from mmsearch.records import Pixels
from mmsearch.training.losses import similarity_kl

PICTURES, _CLASSES = 500, 1000
# Of a step.
_PICTURES_DRAWN, _TEXTS_DRAWN = 64, 128
_STEP, _SHAPES = 5, 6
# Shapes are drawn on a canvas of this side, then brought to the model's.
_SIDE = 224
_WHITE, _BLACK = (255, 255, 255), (0, 0, 0)

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
    """Everything that is rehearsed, as the start model sees it; steps draw from it."""

    def __init__(
        self,
        start: StartModel,
        side: ImageSide,
        activations: Activations,
        encode_texts: EncodeTexts,
        *,
        seed: int,
    ) -> None:
        """side: the start model's. activations: of the frozen part."""
        pixels = drawn_shapes(PICTURES, start.preprocessing.size, seed=seed)
        parts = activations(pixels)
        with torch.no_grad():
            self._images = torch.cat([side.encode(part) for part in parts])
        self._inputs = torch.cat(parts).half()
        self._texts = class_names()
        self._words = torch.from_numpy(encode_all(encode_texts, self._texts)).to(start.device)
        self._seed = seed

    def draw(self, step: int) -> Rehearsed:
        chance = np.random.default_rng([self._seed, _STEP, step])
        pictures = torch.from_numpy(chance.choice(PICTURES, _PICTURES_DRAWN, replace=False))
        words = chance.choice(len(self._texts), _TEXTS_DRAWN, replace=False)
        pictures = pictures.to(self._images.device)
        return Rehearsed(
            self._inputs[pictures].float(),
            [self._texts[at] for at in words],
            self._images[pictures],
            self._words[torch.from_numpy(words).to(self._words.device)],
        )


def class_names() -> list[str]:
    """The first name of each of ImageNet's classes, in the evaluation's templates in turn."""
    from timm.data.imagenet_info import ImageNetInfo

    info = ImageNetInfo()
    names = [info.index_to_description(at).split(",")[0] for at in range(_CLASSES)]
    return [TEMPLATES[at % len(TEMPLATES)].replace("{}", name) for at, name in enumerate(names)]


@lru_cache(maxsize=2)
def drawn_shapes(count: int, size: int, *, seed: int) -> Pixels:
    """uint8 (count, size, size, 3): a few ellipses, boxes, polygons, arcs and lines on each."""
    drawings = (_drawing(np.random.default_rng([seed, _SHAPES, at])) for at in range(count))
    return np.stack([np.asarray(each.resize((size, size))) for each in drawings])


def _drawing(chance: np.random.Generator) -> Image.Image:
    ground = _WHITE if chance.random() < 0.6 else _colour(chance)
    image = Image.new("RGB", (_SIDE, _SIDE), ground)
    pen = ImageDraw.Draw(image)
    for _ in range(int(chance.integers(1, 9))):
        _add_shape(pen, chance)
    return image


def _add_shape(pen: ImageDraw.ImageDraw, chance: np.random.Generator) -> None:
    fill, line = _colour(chance), _colour(chance) if chance.random() < 0.5 else _BLACK
    left, top = chance.integers(0, 180, 2).tolist()
    across, down = chance.integers(15, 150, 2).tolist()
    box = (left, top, left + across, top + down)
    width = int(chance.integers(1, 7))
    match int(chance.integers(5)):
        case 0:
            pen.ellipse(box, fill=fill, outline=line, width=width)
        case 1:
            pen.rounded_rectangle(box, int(chance.integers(7)), fill, line, width)
        case 2:
            pen.polygon(_points(chance, 3, 7), fill=fill, outline=line)
        case 3:
            begin, end = chance.integers(0, 360, 2).tolist()
            pen.arc(box, begin, end, fill=line, width=width)
        case _:
            pen.line(_points(chance, 2, 6), fill=line, width=width)


def _points(chance: np.random.Generator, least: int, most: int) -> list[tuple[int, int]]:
    """From `least` to below `most` of them."""
    places: NDArray[np.int64] = chance.integers(0, _SIDE, (int(chance.integers(least, most)), 2))
    return [(int(x), int(y)) for x, y in places]


def _colour(chance: np.random.Generator) -> tuple[int, int, int]:
    red, green, blue = chance.integers(0, 256, 3).tolist()
    return red, green, blue
