"""Renders one area of two images on the pixel grid of one of them.

A registration has subpixel errors, which two cases resolve: images that show the same from edge to
edge, by their sizes, and a crop at the same scale, by the integer shift that fits best.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from PIL import Image

from mmsearch.dedup.originals.candidate import Candidate
from mmsearch.dedup.originals.registration import Homography
from mmsearch.records import Pixels

# Tolerance of a registration in normalised coordinates: for equal sizes, and otherwise.
_OFF_EQUAL: Final = 0.025
_OFF: Final = 0.012
_WINDOW: Final = 192
_LEAST: Final = 32
# Search radius of a shift in pixels, side of the compared area, and how much of its contrast may
# differ.
_SEARCHED: Final = 4
_MATCHED: Final = 96
_FITS: Final = 0.35
# Margin of resampling in pixels.
_MARGIN: Final = 3


@dataclass(frozen=True, slots=True)
class SameGrid:
    """One area of two images on the pixel grid of the first.

    own, other: uint8 (h, w, 3), both sides multiples of 8, from a corner of the block grid of
        `own`.
    full: uint8 (H, W, 3), the other at its own size, rotated like `own`.
    scale: pixels of the other file per pixel of `own`, across and down.
    """

    own: Pixels
    other: Pixels
    full: Pixels
    scale: tuple[float, float]

    @property
    def equal_scale(self) -> bool:
        """Whether both have the same scale."""
        return self.scale == (1.0, 1.0)


def on_same_grid(own: Candidate, other: Candidate, matrix: Homography) -> SameGrid | None:
    """Renders two files on one grid; None unless they differ by orientation, shift or scale alone.

    matrix: from the normalised coordinates of `own` to those of `other`.
    """
    turn = _turn(matrix)
    if turn is None:
        return None
    pixels, corner, sides = _turned(other, turn)
    upright = matrix / matrix[2, 2]
    upright[:2] = turn.T @ upright[:2]
    scale = sides[0] / own.file.width, sides[1] / own.file.height
    off = _OFF_EQUAL if scale == (1, 1) else _OFF
    if np.abs(upright - np.eye(3)).max() > off:
        shift = _shift(own, pixels, corner, upright, sides=sides)
        if shift is None:
            return None
        # As if the other image had been cropped or extended to the size of `own`.
        scale = 1.0, 1.0
        corner = [corner[0] - shift[0], corner[1] - shift[1]]
    starts, stops = _window(own, pixels.shape, corner, scale)
    if min(stops[0] - starts[0], stops[1] - starts[1]) < _LEAST:
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


def _window(
    own: Candidate, shape: tuple[int, ...], corner: list[int], scale: tuple[float, float]
) -> tuple[list[int], list[int]]:
    """Start and end of the area, across and down, in pixels of `own`.

    shape, corner: of the other's pixels.
    """
    starts, stops = [0, 0], [0, 0]
    for axis in (0, 1):
        margin = 0 if scale[axis] == 1 else _MARGIN
        low = max(own.corner[axis], -(-corner[axis] // scale[axis]) + margin)
        high = min(
            own.corner[axis] + own.close.shape[1 - axis],
            (corner[axis] + shape[1 - axis]) // scale[axis] - margin,
        )
        low += (own.corner[axis] - low) % 8
        blocks = int(high - low) // 8
        spare = max(0, blocks - _WINDOW // 8) // 2
        starts[axis] = int(low) + 8 * spare
        stops[axis] = starts[axis] + 8 * min(blocks, _WINDOW // 8)
    return starts, stops


def _turn(matrix: Homography) -> np.ndarray | None:
    """The signed permutation of axes nearest to the matrix, float64 (2, 2)."""
    linear = matrix[:2, :2] / matrix[2, 2]
    sideways = abs(linear[0, 1] * linear[1, 0]) > abs(linear[0, 0] * linear[1, 1])
    turn: np.ndarray = np.sign(linear) * (np.eye(2)[::-1] if sideways else np.eye(2))
    return turn if np.abs(np.linalg.det(turn)) == 1 else None


def _shift(
    own: Candidate,
    pixels: Pixels,
    corner: list[int],
    upright: Homography,
    *,
    sides: list[int],
) -> tuple[int, int] | None:
    """Integer shift from the coordinates of `own` to the other's, at equal scale.

    upright: from the normalised coordinates of `own` to those of the rotated other image.
    """
    mine, theirs = np.array([own.file.width, own.file.height]), np.array(sides)
    linear = upright[:2, :2] * theirs[:, None] / mine[None]
    if np.abs(linear - np.eye(2)).max() > _OFF or np.abs(upright[2, :2]).max() > _OFF:
        return None
    rough = np.round(upright[:2, 2] * theirs / 2 + (theirs - mine) / 2).astype(int)
    # Around the middle of the area that both close-ups share.
    low = np.maximum(own.corner, np.array(corner) - rough) + _SEARCHED
    high = (
        np.minimum(
            np.array(own.corner) + own.close.shape[1::-1],
            np.array(corner) - rough + pixels.shape[1::-1],
        )
        - _SEARCHED
    )
    if (high - low).min() < _LEAST:
        return None
    size = np.minimum(high - low, _MATCHED)
    start = (low + high - size) // 2
    left, top = start - own.corner
    patch = own.close[top : top + size[1], left : left + size[0], 1].astype(np.int16)
    best, shift = np.inf, (0, 0)
    for down in range(-_SEARCHED, _SEARCHED + 1):
        for across in range(-_SEARCHED, _SEARCHED + 1):
            x, y = start + rough - np.array(corner) + (across, down)
            found = pixels[y : y + size[1], x : x + size[0], 1]
            missed = float(np.abs(patch - found)[::2].mean())
            if missed < best:
                best, shift = missed, (int(rough[0]) + across, int(rough[1]) + down)
    return shift if best < _FITS * max(float(patch.std()), 1.0) else None


def _turned(other: Candidate, turn: np.ndarray) -> tuple[Pixels, list[int], list[int]]:
    """The close-up rotated like `own`, its corner, and the sides of the file."""
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
    """Resamples an area to a shape. edges: of the area in the pixels, across and down."""
    (left, right), (top, bottom) = edges
    if (right - left, bottom - top) == (shape[1], shape[0]):
        return np.ascontiguousarray(pixels[int(top) : int(bottom), int(left) : int(right)])
    across, down = max(0, int(left) - 2 * _MARGIN), max(0, int(top) - 2 * _MARGIN)
    part = pixels[down : int(bottom) + 2 * _MARGIN + 1, across : int(right) + 2 * _MARGIN + 1]
    box = (left - across, top - down, min(right - across, part.shape[1]),
           min(bottom - down, part.shape[0]))  # fmt: skip
    image = Image.fromarray(np.ascontiguousarray(part))
    return np.asarray(image.resize((shape[1], shape[0]), Image.Resampling.BICUBIC, box=box))
