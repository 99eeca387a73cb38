"""How many members of a group show the image as each one does.

Copies of many kinds come from one file, while crops, frames, tilts and changed tones differ from
each other: what most members share is what the original shows.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

from mmsearch.dedup.originals.contestant import Contestant
from mmsearch.dedup.originals.frame import Layer

# Of a member's longer side: by how much its corners may lie apart.
_ONE_PLACE: Final = 0.03
# By how much proportions may differ: rounding to whole pixels changes those of thumbnails.
_ONE_ASPECT: Final = 0.02
# By how much fine detail may differ, as a natural logarithm: compression changes it by less,
# a blur, added noise and sharpening by more. And the levels that rounding adds to it.
_ONE_DETAIL: Final = 0.12
_GRAIN: Final = 0.5
# Pixels for one of the canvas, below which a picture is too small for that.
_FEWER: Final = 0.95
# Levels by which the usual coarse colours may differ.
_ONE_TONE: Final = 4.0
# Levels by which a cell differs that something was drawn on, and the share of such cells that
# slightly wrong registration explains.
_DRAWN: Final = 16.0
_FEW: Final = 0.01


def shown_alike(contestants: Sequence[Contestant]) -> list[int]:
    """How many show the same area, proportions, tones, marks and sharpness as each contestant.

    Each counts itself.
    """
    corners = np.stack([each.layer.corners for each in contestants])
    sides = np.ptp(corners, axis=1).max(axis=1)
    apart = np.linalg.norm(corners[:, None] - corners[None], axis=3).max(axis=2)
    together = apart < _ONE_PLACE * np.minimum(sides[:, None], sides[None])
    aspects = np.array([each.file.width / each.file.height for each in contestants])
    together &= np.abs(np.log(aspects[:, None] / aspects[None])) < _ONE_ASPECT
    detail = np.log([_fine_detail(each.layer) for each in contestants])
    # A thumbnail says nothing of detail.
    pixels = np.array([max(each.file.width, each.file.height) for each in contestants])
    small = pixels < sides * _FEWER
    alike = np.abs(detail[:, None] - detail[None]) < _ONE_DETAIL
    together &= alike | small[:, None] | small[None]
    for one in range(len(contestants)):
        for two in range(one):
            if together[one, two]:
                same = _same_cells(contestants[one].layer, contestants[two].layer)
                together[one, two] = together[two, one] = same
    return [int(count) for count in together.sum(axis=1)]


def _fine_detail(layer: Layer) -> float:
    """Mean difference of neighbours on the canvas against the contrast of the whole."""
    grey = layer.colours @ np.array([0.299, 0.587, 0.114], np.float32)
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
