"""One place of two pictures on the pixel grid of one of them.

Only pictures that show the same from edge to edge have an exact map between their pixels: their
sizes say what a registration leaves open by a fraction of a pixel.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from PIL import Image

from mmsearch.dedup.originals.evidence import Candidate
from mmsearch.dedup.originals.registration_facts import Homography
from mmsearch.records import Pixels

# How far a registration may be off, in normalised coordinates: where sizes are equal, and else.
_OFF_EQUAL: Final = 0.025
_OFF: Final = 0.012
_WINDOW: Final = 256
# Pixels around the window that resampling reads.
_MARGIN: Final = 3


@dataclass(frozen=True, slots=True)
class SameGrid:
    """own, other: uint8 (h, w, 3), both sides multiples of 8, from a corner of the block grid of
    the file that `own` belongs to. full: uint8 (H, W, 3), the other at its own size, turned as the
    own one is. scale: pixels of the other file for one of the own one, across and down.
    """

    own: Pixels
    other: Pixels
    full: Pixels
    scale: tuple[float, float]

    @property
    def equal_size(self) -> bool:
        return self.scale == (1.0, 1.0)


def on_same_grid(own: Candidate, other: Candidate, matrix: Homography) -> SameGrid | None:
    """None unless both show the same from edge to edge, up to a quarter turn or a mirror.

    matrix: from the normalised coordinates of `own` to those of `other`.
    """
    turn = _turn(own, other, matrix)
    if turn is None:
        return None
    pixels, corner, sides = _turned(other, turn)
    scale = sides[0] / own.file.width, sides[1] / own.file.height
    starts, stops = [0, 0], [0, 0]
    for axis in (0, 1):
        margin = 0 if scale[axis] == 1 else _MARGIN
        reach = pixels.shape[1 - axis]
        low = max(own.corner[axis], -(-corner[axis] // scale[axis]) + margin)
        high = min(
            own.corner[axis] + own.close.shape[1 - axis],
            (corner[axis] + reach) // scale[axis] - margin,
        )
        low += (own.corner[axis] - low) % 8
        blocks = int(high - low) // 8
        spare = max(0, blocks - _WINDOW // 8) // 2
        starts[axis] = int(low) + 8 * spare
        stops[axis] = starts[axis] + 8 * min(blocks, _WINDOW // 8)
    if stops[0] <= starts[0] or stops[1] <= starts[1]:
        return None
    mine = own.close[
        starts[1] - own.corner[1] : stops[1] - own.corner[1],
        starts[0] - own.corner[0] : stops[0] - own.corner[0],
    ]
    edges = [
        (start * scale[axis] - corner[axis], stop * scale[axis] - corner[axis])
        for axis, (start, stop) in enumerate(zip(starts, stops, strict=True))
    ]
    (left, right), (top, bottom) = edges
    full = pixels[round(top) : round(bottom), round(left) : round(right)]
    return SameGrid(mine, _resampled(pixels, edges, mine.shape), full, scale)


def _turn(own: Candidate, other: Candidate, matrix: Homography) -> np.ndarray | None:
    """The signed permutation of axes that the matrix is next to, float64 (2, 2)."""
    scaled = matrix / matrix[2, 2]
    turn: np.ndarray = np.round(scaled[:2, :2])
    if not np.array_equal(np.sort(np.abs(turn), axis=0), [[0, 0], [1, 1]]):
        return None
    if np.abs(turn).sum(axis=1).max() != 1:
        return None
    sides = (other.file.width, other.file.height)
    if turn[0, 1]:
        sides = sides[::-1]
    off = _OFF_EQUAL if sides == (own.file.width, own.file.height) else _OFF
    wrong = max(np.abs(scaled[:2, :2] - turn).max(), np.abs(scaled[:2, 2]).max(),
                np.abs(scaled[2, :2]).max())  # fmt: skip
    return turn if wrong <= off else None


def _turned(other: Candidate, turn: np.ndarray) -> tuple[Pixels, list[int], list[int]]:
    """The close-up turned as the file lies on the own one, its corner, and the file's sides."""
    pixels, corner = other.close, [*other.corner]
    sides = [other.file.width, other.file.height]
    if turn[0, 1]:
        pixels, corner, sides = pixels.swapaxes(0, 1), corner[::-1], sides[::-1]
        turn = turn[::-1]
    for axis in (0, 1):
        if turn[axis, axis] < 0:
            pixels = np.flip(pixels, 1 - axis)
            corner[axis] = sides[axis] - corner[axis] - pixels.shape[1 - axis]
    return pixels, corner, sides


def _resampled(pixels: Pixels, edges: list[tuple[float, float]], shape: tuple[int, ...]) -> Pixels:
    """edges: of the place in the pixels, across and down."""
    (left, right), (top, bottom) = edges
    if (right - left, bottom - top) == (shape[1], shape[0]):
        return np.ascontiguousarray(pixels[int(top) : int(bottom), int(left) : int(right)])
    across, down = max(0, int(left) - 2 * _MARGIN), max(0, int(top) - 2 * _MARGIN)
    part = pixels[down : int(bottom) + 2 * _MARGIN + 1, across : int(right) + 2 * _MARGIN + 1]
    box = (left - across, top - down, min(right - across, part.shape[1]),
           min(bottom - down, part.shape[0]))  # fmt: skip
    image = Image.fromarray(np.ascontiguousarray(part))
    return np.asarray(image.resize((shape[1], shape[0]), Image.Resampling.BICUBIC, box=box))
