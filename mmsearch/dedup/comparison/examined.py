"""A decoded image, prepared for registration at any scale."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from PIL import Image

from mmsearch.dedup.keypoints import Keypoints, extract
from mmsearch.dedup.thumbnails.fingerprints import quadrupled_levels
from mmsearch.records import Floats

# Longer side in pixels of compared images; digits on a scanned page are still legible.
LARGEST_SIDE = 1024
COARSE_SIDE = 32


@dataclass(frozen=True)
class Examined:
    """An image with what its comparisons need.

    image: RGB, upright, its longer side at most LARGEST_SIDE.
    width, height: of the original.
    """

    image: Image.Image
    width: int
    height: int

    @classmethod
    def of(
        cls,
        image: Image.Image,
        width: int,
        height: int,
        covers: tuple[float, float, float, float] | None = None,
    ) -> "Examined":
        """Prepares an image, RGB, upright, of any size.

        width, height: of the original, in pixels.
        covers: box of the image that holds the picture, in its pixels; None for all of it.
        """
        longer = max(image.size)
        if longer > LARGEST_SIDE or covers is not None:
            scale = min(LARGEST_SIDE / max(width, height), 1.0)
            size = max(round(width * scale), 1), max(round(height * scale), 1)
            image = image.resize(size, Image.Resampling.BOX, box=covers)
        return cls(image, width, height)

    @cached_property
    def coarse(self) -> Floats:
        """Grey levels resized to a square, float32 (COARSE_SIDE, COARSE_SIDE), mean 0, norm 1."""
        sides = COARSE_SIDE, COARSE_SIDE
        fitting = [level for level in self._grey if min(level.size) >= COARSE_SIDE]
        smallest = (fitting or self._grey)[-1 if fitting else 0]
        levels = np.asarray(smallest.resize(sides, Image.Resampling.BILINEAR), np.float32)
        centred = levels - levels.mean()
        unit: Floats = centred / max(float(np.linalg.norm(centred)), 1e-6)
        return unit

    @cached_property
    def keypoints(self) -> Keypoints:
        """Keypoints, see `mmsearch.dedup.keypoints`."""
        return extract(self.image)

    @cached_property
    def _colour(self) -> list[Image.Image]:
        return _halved(self.image)

    @cached_property
    def _grey(self) -> list[Image.Image]:
        levels = (quadrupled_levels(self.image) + 2) >> 2
        return _halved(Image.fromarray(levels.astype(np.uint8)))

    def level(self, pixels_per_unit: float, *, grey: bool) -> tuple[Image.Image, float, float]:
        """The smallest pyramid level with at least this many pixels per unit of normalised width.

        Also returns the exact width and height that it represents: odd sides are halved to a
        fraction, so that the last pixel covers less than the others.
        """
        levels = self._grey if grey else self._colour
        fitting = [
            number
            for number, level in enumerate(levels)
            if level.width / 2 >= 0.9 * pixels_per_unit
        ]
        number = fitting[-1] if fitting else 0
        return levels[number], self.image.width / 2**number, self.image.height / 2**number


def _halved(image: Image.Image) -> list[Image.Image]:
    """Image pyramid: the image, halved repeatedly down to some 16 pixels."""
    levels = [image]
    while min(levels[-1].size) >= 32:
        levels.append(levels[-1].reduce(2))
    return levels
