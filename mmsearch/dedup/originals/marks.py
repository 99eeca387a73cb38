"""Locates local differences of two images of one scene, and decides which image has the mark.

Works on two layers of one canvas: coarsely first, then in the box around the differences.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mmsearch.dedup.originals.frame import CELL, Layer
from mmsearch.records import Floats

# Change of a local mean by a mark, in levels, and of a coarse cell at least.
_SHIFT: Final = 8.0
_SHIFT_OF_CELL: Final = 3.0
_FEWEST_CELLS: Final = 9
# Difference of a mark's pixels, in levels, and relative to the usual difference of the pair.
_APART, _TIMES_USUAL = 14.0, 5.0
_LEAST_AREA: Final = 0.0012
_SMALLEST: Final = 12
# Side of the squares that cover both sides of a mark's border, and the least share of each side.
_REACH: Final = 9
_BESIDE: Final = 0.15
# Levels below which differences are ignored.
_FLAT: Final = 2.5
_SAMPLED: Final = 3


@dataclass(frozen=True, slots=True)
class Marks:
    """Local differences of two images.

    area: share of the shared area.
    leaning: positive if the first image has the mark (sticker, caption, logo), negative if the
        second has; log ratio of steps.
    """

    area: float
    leaning: float


NO_MARKS: Final = Marks(0.0, 0.0)


def marks(first: Layer, second: Layer) -> Marks:
    """Finds local differences in the area that both layers show."""
    cells = first.coarse_shown & second.coarse_shown
    if cells.sum() < _FEWEST_CELLS:
        return NO_MARKS
    known = first.coarse[cells], second.coarse[cells]
    to_second, to_first = _colour_map(*known), _colour_map(known[1], known[0])
    apart = _largest(np.abs(_terms(first.coarse) @ to_second - second.coarse)) * cells
    rows, columns = np.nonzero(apart > _SHIFT_OF_CELL)
    if len(rows) == 0:
        return NO_MARKS
    place = tuple(
        slice(CELL * max(0, int(each.min()) - 2), CELL * (int(each.max()) + 3))
        for each in (rows, columns)
    )
    shared = ndimage.binary_erosion(first.shown & second.shown, iterations=3)
    area = int(shared.sum())
    one = _terms(first.colours[place]) @ to_second
    two = _terms(second.colours[place]) @ to_first
    shared = shared[place]
    changed = _changed(first, second, (one, two), place, shared=shared)
    changed = _large(changed, max(_SMALLEST, _LEAST_AREA * area))
    if not changed.any():
        return NO_MARKS
    steps = [_step_along(changed, shared, colours) for colours in (one, second.colours[place])]
    leaning = float(np.log((steps[0] + _FLAT) / (steps[1] + _FLAT)))
    return Marks(float(changed.sum() / area), leaning)


def _changed(
    first: Layer,
    second: Layer,
    moved: tuple[Floats, Floats],
    place: tuple[slice, ...],
    *,
    shared: NDArray[np.bool_],
) -> NDArray[np.bool_]:
    """Mask of changed pixels. moved: colours of both at the place, each in the other's tones."""
    one, two = moved
    difference = np.maximum(_beyond(one, second, place), _beyond(two, first, place)) * shared
    sampled = difference[::_SAMPLED, ::_SAMPLED][shared[::_SAMPLED, ::_SAMPLED]]
    usual = float(np.median(sampled)) if len(sampled) else 0.0
    changed = ndimage.uniform_filter(difference, 5) > max(_APART, _TIMES_USUAL * usual)
    # Blur and noise leave the mean of a place alone.
    shift = _largest(np.abs(ndimage.uniform_filter(one - second.colours[place], (5, 5, 1))))
    found: NDArray[np.bool_] = changed & shared & (shift > _SHIFT)
    return found


def _large(changed: NDArray[np.bool_], least: float) -> NDArray[np.bool_]:
    """Connected components of at least this many pixels."""
    labels, _ = ndimage.label(changed)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    kept: NDArray[np.bool_] = (sizes >= least)[labels]
    return kept


def _colour_map(known: Floats, expected: Floats) -> Floats:
    """Fits a map from one image's colour terms to the other's colours, float32 (5, 3).

    One map for the whole image, affine with a term for gamma. Fitted twice, the second time without
    the worst fifth, which marks may cover.

    known, expected: float32 (n, 3).
    """
    design = _terms(known).astype(np.float64)
    kept = np.ones(len(known), np.bool_)
    solution: NDArray[np.float64] = np.zeros((5, 3))
    for _ in range(2):
        part = design[kept]
        # A small regularisation keeps grey images, whose channels are equal, solvable.
        target = part.T @ expected[kept].astype(np.float64)
        solution = np.asarray(np.linalg.solve(part.T @ part + np.eye(5), target), np.float64)
        error = np.abs(design @ solution - expected).sum(axis=1)
        kept = error <= np.quantile(error, 0.8)
    return solution.astype(np.float32)


def _terms(colours: Floats) -> Floats:
    """Colour terms: float32 (…, 3) to float32 (…, 5)."""
    grey = (colours[..., :1] + colours[..., 1:2] + colours[..., 2:]) / 3
    return np.concatenate([colours, grey**2 / 255, np.ones_like(grey)], axis=-1)


def _beyond(colours: Floats, layer: Layer, place: tuple[slice, ...]) -> Floats:
    """Distance of colours from the range that a layer shows within a pixel, float32 (h, w)."""
    over, under = colours - layer.high[place], layer.low[place] - colours
    return _largest(np.maximum(np.maximum(over, under), 0))


def _largest(values: Floats) -> Floats:
    """Maximum over three channels; NumPy's reduction is slow along a short axis."""
    return np.maximum(np.maximum(values[..., 0], values[..., 1]), values[..., 2])


def _step_along(changed: NDArray[np.bool_], shared: NDArray[np.bool_], colours: Floats) -> float:
    """Mean difference in levels between the inside and the outside of a mark's border.

    Means of a few pixels on either side suppress the texture of the scene.
    """
    means, weights = [], []
    for side in (changed, shared & ~ndimage.binary_dilation(changed, iterations=2)):
        weight = ndimage.uniform_filter(side.astype(np.float32), _REACH)
        summed = ndimage.uniform_filter(colours * side[..., None], (_REACH, _REACH, 1))
        means.append(summed / np.maximum(weight, 1e-6)[..., None])
        weights.append(weight)
    border = (weights[0] > _BESIDE) & (weights[1] > _BESIDE)
    if not border.any():
        return 0.0
    return float(_largest(np.abs(means[0] - means[1])[border]).mean())
