"""Image pyramid: smoothed copies of an image, half an octave apart."""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mmsearch.records import Floats, Ids

# An area, not a longer side: a tall screenshot keeps as much detail as a square photo.
AREA = 256 * 256
LEVELS_PER_OCTAVE = 2
_MOST_LEVELS = 9
# On smaller levels descriptors would mostly consist of repeated border pixels.
_LEAST_SIDE = 20
_Samples = TypeVar("_Samples", NDArray[np.uint16], NDArray[np.float32])


@dataclass(frozen=True, slots=True)
class Pyramid:
    """Levels of an image pyramid.

    levels: float32 (h, w) each, smoothed grey levels.
    shape: width and height of the first.
    """

    levels: tuple[Floats, ...]
    shape: tuple[int, int]

    def flattened(self) -> "FlatPyramid":
        """The levels in one buffer."""
        widths = np.array([level.shape[1] for level in self.levels], np.int32)
        heights = np.array([level.shape[0] for level in self.levels], np.int32)
        starts = np.concatenate([[0], np.cumsum(widths * heights)[:-1]]).astype(np.int32)
        buffer = np.concatenate([level.ravel() for level in self.levels])
        return FlatPyramid(buffer, widths, heights, starts)


@dataclass(frozen=True, slots=True)
class FlatPyramid:
    """Levels in one buffer, so that sampling many keypoints is one gather.

    buffer: float32 (pixels,).
    widths, heights, starts: int32 (levels,).
    """

    buffer: Floats
    widths: NDArray[np.int32]
    heights: NDArray[np.int32]
    starts: NDArray[np.int32]

    def nearest(self, level: Ids, x: NDArray[np.int32], y: NDArray[np.int32]) -> Floats:
        """Samples the nearest pixels; border pixels are repeated.

        level: int64 (k,).
        x, y: int32 (k, samples).
        """
        width, height, start = self._rows(level)
        at = np.clip(y, 0, height - 1) * width + np.clip(x, 0, width - 1) + start
        samples: Floats = self.buffer[at]
        return samples

    def bilinear(self, level: Ids, x: Floats, y: Floats) -> Floats:
        """Samples with bilinear interpolation; border pixels are repeated.

        level: int64 (k,).
        x, y: float32 (k, samples).
        """
        width, height, start = self._rows(level)
        x = np.clip(x, 0, width - np.float32(1.001))
        y = np.clip(y, 0, height - np.float32(1.001))
        left, top = x.astype(np.int32), y.astype(np.int32)
        x -= left
        y -= top
        at = top * width + left + start
        upper, lower = self._between(at, x), self._between(at + width, x)
        lower -= upper
        lower *= y
        lower += upper
        return lower

    def _between(self, at: NDArray[np.int32], share: Floats) -> Floats:
        here = self.buffer[at]
        step = self.buffer[at + 1]
        step -= here
        step *= share
        step += here
        return step

    def _rows(self, level: Ids) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]:
        return self.widths[level, None], self.heights[level, None], self.starts[level, None]


def build_pyramid(image: Image.Image) -> Pyramid:
    """Builds the pyramid of an image, RGB or L, upright, of any size."""
    scale = (AREA / (image.width * image.height)) ** 0.5
    width, height = (max(round(side * scale), 8) for side in image.size)
    grey = image.convert("L")
    shrunk = [grey.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=3.0)]
    for number in range(1, _MOST_LEVELS):
        factor = 2 ** (-number / LEVELS_PER_OCTAVE)
        size = (round(width * factor), round(height * factor))
        if min(size) < _LEAST_SIDE:
            break
        # Resized from an octave above: ratios of exactly two alias least.
        source = shrunk[max(0, number - LEVELS_PER_OCTAVE)]
        shrunk.append(source.resize(size, Image.Resampling.BILINEAR))
    return Pyramid(tuple(_smoothed(level) for level in shrunk), (width, height))


def _smoothed(level: Image.Image) -> Floats:
    """Binomial filter of nine taps along both axes, about a Gaussian of sigma 1.4.

    Sums of neighbours are several times as fast as a filter with multiplications.
    """
    padded = np.pad(np.asarray(level), 4, mode="edge")
    half = _neighbour_sums(padded.astype(np.uint16))
    return _neighbour_sums(half.astype(np.float32)) * np.float32(1 / 65536)


def _neighbour_sums(pixels: _Samples) -> _Samples:
    """256 times the binomial filter of five taps, (h - 4, w - 4): bytes do not overflow uint16."""
    for _ in range(4):
        pixels = pixels[:-1] + pixels[1:]
    for _ in range(4):
        pixels = pixels[:, :-1] + pixels[:, 1:]
    return pixels
