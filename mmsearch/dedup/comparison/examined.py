"""A decoded image, prepared for registration at any scale."""

from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mmsearch.dedup.keypoints import Keypoints, extract
from mmsearch.dedup.thumbnails.fingerprints import quadrupled_levels
from mmsearch.records import Floats

# float64 (3, 3): a homography between normalised coordinates, -1 to 1 from the centre (x, y).
Matrix: TypeAlias = NDArray[np.float64]
# Left, top, right, bottom.
Box: TypeAlias = tuple[float, float, float, float]

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
        covers: Box | None = None,
    ) -> "Examined":
        """Prepares an image, RGB, upright, of any size.

        width, height: of the original, in pixels.
        covers: box of the content in pixels, None for all of the image.
        """
        longer = max(image.size)
        if longer > LARGEST_SIDE or covers is not None:
            scale = min(LARGEST_SIDE / max(width, height), 1.0)
            size = max(round(width * scale), 1), max(round(height * scale), 1)
            image = image.resize(size, Image.Resampling.BOX, box=covers)
        return cls(image, width, height)

    def part(self, box: Box) -> tuple["Examined", Matrix]:
        """The part within a box, rounded to pixels.

        box: in normalised coordinates.
        Also returns the map from the part's normalised coordinates to those of the image.
        """
        sides = np.array(self.image.size)
        low, high = ((np.array(ends) + 1) / 2 for ends in (box[:2], box[2:]))
        start, stop = np.rint(low * sides).astype(int), np.rint(high * sides).astype(int)
        share, middle = (stop - start) / sides, (stop + start) / sides - 1
        width, height = np.rint(share * (self.width, self.height)).astype(int).tolist()
        part = Examined(self.image.crop((*start.tolist(), *stop.tolist())), width, height)
        return part, np.array([[share[0], 0, middle[0]], [0, share[1], middle[1]], [0, 0, 1]])

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
