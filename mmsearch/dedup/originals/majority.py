"""How many members of a group show the image as each one does.

Copies of many kinds come from one file, while crops, frames, tilts and changed tones differ from
each other: what most members share is what the original shows.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mmsearch.dedup.originals.contestant import Contestant
from mmsearch.records import Floats

# Of a member's longer side: by how much its corners may lie apart.
_ONE_PLACE: Final = 0.03
# By how much proportions may differ: rounding to whole pixels changes those of thumbnails.
_ONE_ASPECT: Final = 0.02
# Levels by which the usual coarse colours may differ.
_ONE_TONE: Final = 4.0
# Levels by which a cell differs that something was drawn on, and the share of such cells that
# slightly wrong registration explains.
_DRAWN: Final = 16.0
_FEW: Final = 0.01
_CELLS: Final = 32


def shown_alike(contestants: Sequence[Contestant]) -> list[int]:
    """How many show the same area, proportions, tones and marks as each contestant, with itself."""
    corners = np.stack([each.layer.corners for each in contestants])
    sides = np.ptp(corners, axis=1).max(axis=1)
    apart = np.linalg.norm(corners[:, None] - corners[None], axis=3).max(axis=2)
    together = apart < _ONE_PLACE * np.minimum(sides[:, None], sides[None])
    aspects = np.array([each.file.width / each.file.height for each in contestants])
    together &= np.abs(np.log(aspects[:, None] / aspects[None])) < _ONE_ASPECT
    coarse = [_coarse(each) for each in contestants]
    for one in range(len(contestants)):
        for two in range(one):
            if together[one, two]:
                same = _same_cells(coarse[one], coarse[two])
                together[one, two] = together[two, one] = same
    return [int(count) for count in together.sum(axis=1)]


def _coarse(contestant: Contestant) -> tuple[Floats, NDArray[np.bool_]]:
    """float32 (cells, 3), mean colours; bool (cells,), where the whole cell shows the member."""
    colours, shown = contestant.layer.colours, contestant.layer.shown
    rows, columns = (np.linspace(0, side, _CELLS + 1).astype(int)[:-1] for side in shown.shape)

    def sums(values: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.add.reduceat(np.add.reduceat(values, rows, axis=0), columns, axis=1)

    count = sums(np.ones(shown.shape, np.float32))
    means = sums(colours) / count[..., None]
    whole = sums(shown.astype(np.float32)) == count
    return means.reshape(-1, 3), whole.ravel()


def _same_cells(
    one: tuple[Floats, NDArray[np.bool_]], two: tuple[Floats, NDArray[np.bool_]]
) -> bool:
    both = one[1] & two[1]
    if not both.any():
        return True
    apart = np.abs(one[0][both] - two[0][both])
    marked = (apart.max(axis=1) > _DRAWN).mean()
    return bool(np.median(apart, axis=0).max() < _ONE_TONE and marked <= _FEW)
