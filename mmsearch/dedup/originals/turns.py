"""Detects whether two images are rotated, tilted or stretched."""

from typing import Final

import numpy as np

from mmsearch.dedup.originals.evidence import Candidate
from mmsearch.dedup.originals.registration_facts import Homography

_STRETCH: Final = 0.03
_TILT: Final = 0.8
_WEDGE: Final = 0.035
_PLAIN: Final = 2.5
# Step in levels between a blank wedge and the image.
_STEP: Final = 12.0


def is_stretched(one: Candidate, two: Candidate, matrix: Homography) -> bool:
    """Whether the scales of both directions differ by more than the registration error."""
    sides = [np.array([each.file.width, each.file.height], np.float64) for each in (one, two)]
    linear = matrix[:2, :2] / matrix[2, 2] * sides[1][:, None] / sides[0][None]
    larger, smaller = np.linalg.svd(linear, compute_uv=False)
    return bool(larger > (1 + _STRETCH) * smaller)


def is_tilted(one: Candidate, two: Candidate, matrix: Homography) -> bool:
    """Whether the rotation is neither a quarter turn nor within the registration error."""
    sides = [np.array([each.file.width, each.file.height], np.float64) for each in (one, two)]
    linear = matrix[:2, :2] / matrix[2, 2] * sides[1][:, None] / sides[0][None]
    smaller, larger = np.sort(np.abs(linear[:, 0]))
    return bool(smaller > np.tan(np.radians(_TILT)) * larger)


def blank_corners(candidate: Candidate) -> int:
    """Number of corners with plain wedges and a step beside them, as rotation leaves."""
    pixels = candidate.overview.astype(np.float32)
    side = max(4, round(_WEDGE * min(pixels.shape[:2])))
    down, across = np.mgrid[0 : 2 * side, 0 : 2 * side]
    # A small rotation leaves wedges as thin as this triangle.
    wedge = down + across < side // 2
    beside = (down + across >= side) & (down + across < 2 * side)
    levels, blank = [], []
    for turned in (pixels, pixels[:, ::-1], pixels[::-1], pixels[::-1, ::-1]):
        corner = turned[: 2 * side, : 2 * side]
        if corner.shape[:2] != wedge.shape:
            return 0
        level = corner[wedge].mean(axis=0)
        plain = float(corner[wedge].std(axis=0).max()) < _PLAIN
        step = float(np.abs(corner[beside].mean(axis=0) - level).max())
        levels.append(level)
        blank.append(plain and step > _STEP)
    found = np.array(blank)
    if not found.any():
        return 0
    # All wedges have one colour; a wall behind an object varies from corner to corner.
    alike = np.abs(levels - np.median(np.array(levels)[found], axis=0)).max(axis=1) < 2 * _PLAIN
    return int((found & alike).sum())
