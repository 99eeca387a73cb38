"""How two pictures are turned, tilted or stretched, and what of their pixels lies in one place."""

from typing import Final

import numpy as np

from mmsearch.dedup.originals.evidence import Candidate
from mmsearch.dedup.originals.registration_facts import Homography
from mmsearch.records import Pixels

# How far a registration may be off, in normalised coordinates, where sizes are equal.
_OFF: Final = 0.025
_STRETCH: Final = 0.03
_TILT: Final = 0.8
_WEDGE: Final = 0.035
_PLAIN: Final = 2.5


def same_place(
    source: Candidate, made: Candidate, matrix: Homography
) -> tuple[Pixels, Pixels] | None:
    """Luminance of one place in both, laid as `made` is, from a corner of its grid of 8 x 8.

    matrix: from the normalised coordinates of `source` to those of `made`. None where the sizes or
    the registration leave more between them than a quarter turn or a mirror.
    """
    linear = matrix[:2, :2] / matrix[2, 2]
    turn = np.round(linear)
    if np.abs(linear - turn).max() > _OFF or np.abs(matrix[:2, 2] / matrix[2, 2]).max() > _OFF:
        return None
    if sorted(np.abs(turn).ravel()) != [0, 0, 1, 1] or np.abs(turn).sum(axis=0).max() != 1:
        return None
    pixels, corner = source.close, [*source.corner]
    sides = [source.file.width, source.file.height]
    if turn[0, 1]:
        pixels, corner, sides = pixels.T, corner[::-1], sides[::-1]
    if sides != [made.file.width, made.file.height]:
        return None
    for axis in (0, 1):
        if turn[axis].sum() < 0:
            pixels = np.flip(pixels, 1 - axis)
            corner[axis] = sides[axis] - corner[axis] - pixels.shape[1 - axis]
    return _overlap(pixels, corner, made)


def _overlap(pixels: Pixels, corner: list[int], made: Candidate) -> tuple[Pixels, Pixels]:
    """Both cut to what they share; the corner of `made` is on its grid."""
    parts: list[list[slice]] = [[], []]
    for axis in (0, 1):
        start = max(corner[axis], made.corner[axis])
        start += -(start - made.corner[axis]) % 8
        stop = min(
            corner[axis] + pixels.shape[1 - axis], made.corner[axis] + made.close.shape[1 - axis]
        )
        parts[0].append(slice(start - corner[axis], stop - corner[axis]))
        parts[1].append(slice(start - made.corner[axis], stop - made.corner[axis]))
    return pixels[parts[0][1], parts[0][0]], made.close[parts[1][1], parts[1][0]]


def is_stretched(one: Candidate, two: Candidate, matrix: Homography) -> bool:
    """Whether the scale differs between the directions, by more than registration is off."""
    sides = [np.array([each.file.width, each.file.height], np.float64) for each in (one, two)]
    linear = matrix[:2, :2] / matrix[2, 2] * sides[1][:, None] / sides[0][None]
    larger, smaller = np.linalg.svd(linear, compute_uv=False)
    return bool(larger > (1 + _STRETCH) * smaller)


def is_tilted(one: Candidate, two: Candidate, matrix: Homography) -> bool:
    """Whether they are turned by more than registration is off, and not by a quarter."""
    sides = [np.array([each.file.width, each.file.height], np.float64) for each in (one, two)]
    linear = matrix[:2, :2] / matrix[2, 2] * sides[1][:, None] / sides[0][None]
    smaller, larger = np.sort(np.abs(linear[:, 0]))
    return bool(smaller > np.tan(np.radians(_TILT)) * larger)


def blank_corners(candidate: Candidate) -> int:
    """How many of the four corners are plain wedges, as turning leaves them behind."""
    pixels = candidate.overview.astype(np.float32)
    side = max(3, round(_WEDGE * min(pixels.shape[:2])))
    corners = (pixels[:side, :side], pixels[:side, -side:], pixels[-side:, :side],
               pixels[-side:, -side:])  # fmt: skip
    turned = [corner[:: 1 if number < 2 else -1, :: 1 if number % 2 == 0 else -1]
              for number, corner in enumerate(corners)]  # fmt: skip
    # A small tilt leaves wedges as thin as this triangle.
    down, across = np.mgrid[0:side, 0:side]
    wedge = down + across < side // 2
    levels = np.array([corner[wedge].mean(axis=0) for corner in turned])
    plain = np.array([float(corner[wedge].std(axis=0).max()) < _PLAIN for corner in turned])
    # All wedges are filled with one colour; a wall behind the thing varies from corner to corner.
    alike = (
        np.abs(levels - np.median(levels[plain], axis=0)).max(axis=1) < 2 * _PLAIN
        if (plain.any())
        else plain
    )
    return int((plain & alike).sum())
