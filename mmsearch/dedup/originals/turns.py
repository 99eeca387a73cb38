"""How two pictures are turned, tilted or stretched."""

from typing import Final

import numpy as np

from mmsearch.dedup.originals.evidence import Candidate
from mmsearch.dedup.originals.registration_facts import Homography

_STRETCH: Final = 0.03
_TILT: Final = 0.8
_WEDGE: Final = 0.035
_PLAIN: Final = 2.5


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
