"""Counts how many candidates of a group show the image as each one does.

Copies of many kinds are made from one file, while crops, frames, tilts and changed tones differ
from each other: the original shows what most candidates share.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

from mmsearch.dedup.originals.frame import AlignedCandidate, Layer
from mmsearch.media.colour import LUMA

# Tolerance of corners, as a share of an image's longer side.
_ONE_PLACE: Final = 0.03
# Tolerance of proportions: rounding to whole pixels changes those of thumbnails.
_ONE_ASPECT: Final = 0.02
# Tolerance of fine detail, as a natural logarithm: compression changes it by less; a blur, added
# noise and sharpening change it by more. And the levels that rounding adds to it.
_ONE_DETAIL: Final = 0.12
_GRAIN: Final = 0.5
# Pixels per canvas pixel below which an image is too small for that.
_FEWER: Final = 0.95
# Tolerance of the median coarse colours, in levels.
_ONE_TONE: Final = 4.0
# Levels by which a cell with an overlay differs, and the share of such cells that inexact
# registration explains.
_DRAWN: Final = 16.0
_FEW: Final = 0.01


def shown_alike(candidates: Sequence[AlignedCandidate]) -> list[int]:
    """Number of candidates with the same area, proportions, tones, marks and sharpness as each one.

    Each one counts itself.
    """
    corners = np.stack([each.layer.corners for each in candidates])
    sides = np.ptp(corners, axis=1).max(axis=1)
    apart = np.linalg.norm(corners[:, None] - corners[None], axis=3).max(axis=2)
    together = apart < _ONE_PLACE * np.minimum(sides[:, None], sides[None])
    aspects = np.array([each.file.width / each.file.height for each in candidates])
    together &= np.abs(np.log(aspects[:, None] / aspects[None])) < _ONE_ASPECT
    detail = np.log([_fine_detail(each.layer) for each in candidates])
    # Thumbnails have no fine detail to compare.
    pixels = np.array([max(each.file.width, each.file.height) for each in candidates])
    small = pixels < sides * _FEWER
    alike = np.abs(detail[:, None] - detail[None]) < _ONE_DETAIL
    together &= alike | small[:, None] | small[None]
    for one in range(len(candidates)):
        for two in range(one):
            if together[one, two]:
                same = _same_cells(candidates[one].layer, candidates[two].layer)
                together[one, two] = together[two, one] = same
    return [int(count) for count in together.sum(axis=1)]


def _fine_detail(layer: Layer) -> float:
    """Mean difference of neighbouring canvas pixels relative to the contrast of the whole."""
    grey = layer.colours @ LUMA
    shown = layer.shown[1:, 1:] & layer.shown[:-1, :-1]
    if not shown.any():
        return 1.0
    steps = np.abs(2 * grey[1:, 1:] - grey[:-1, 1:] - grey[1:, :-1])[shown]
    return float((steps.mean() + _GRAIN) / (grey[layer.shown].std() + _GRAIN))


def _same_cells(one: Layer, two: Layer) -> bool:
    both = one.coarse_shown & two.coarse_shown
    if not both.any():
        return True
    apart = np.abs(one.coarse[both] - two.coarse[both])
    marked = (apart.max(axis=1) > _DRAWN).mean()
    return bool(np.median(apart, axis=0).max() < _ONE_TONE and marked <= _FEW)
