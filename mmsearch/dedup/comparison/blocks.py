"""Block matching: where each patch of one picture lies in another, and how well it fits there."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mmsearch.records import Floats

PATCH = 8


@dataclass(frozen=True, slots=True)
class Blocks:
    """One value per patch, float32 (rows, columns).

    correlation: normalised, at the best shift, -1 to 1. across, down: that shift, in pixels, to
    fractions. residual: standard deviation of what of the second the first does not explain there,
    grey levels of the first. sharpness: how much the correlation falls one pixel beside that shift,
    in the direction in which it falls least; 0 along an edge, where the shift says nothing.
    contrast_first, contrast_second: standard deviation of the grey levels.
    """

    correlation: Floats
    across: Floats
    down: Floats
    residual: Floats
    sharpness: Floats
    contrast_first: Floats
    contrast_second: Floats


def match_blocks(first: Floats, second: Floats, *, radius: int, floor: float) -> Blocks:
    """first, second: float32 (h, w), sides multiples of PATCH. radius: largest shift in pixels.

    floor: the standard deviation of noise; patches with less contrast correlate by little.
    """
    height, width = first.shape
    down, across = _sums(height), _sums(width).T
    count = np.float32(PATCH * PATCH)
    shifts = np.arange(-radius, radius + 1)
    side = len(shifts)
    # Around zero, so that float32 keeps the small differences of large sums.
    middle = np.float32(first.mean())
    first, padded = first - middle, np.pad(second - middle, radius, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (height, width))
    products = np.stack([down @ (window * first) @ across for row in windows for window in row])
    products /= count
    mean_first = down @ first @ across / count
    variance_first = np.maximum(down @ (first * first) @ across / count - mean_first**2, 0)
    means = _sampled(_box_means(padded), side, products.shape)
    powers = _sampled(_box_means(padded * padded), side, products.shape)
    variances = np.maximum(powers - means**2, 0)
    covariances = products - mean_first * means
    noise = np.float32(floor * floor)
    scores = covariances / np.sqrt((variance_first + noise) * (variances + noise))
    best = scores.argmax(axis=0)
    rows, columns = np.divmod(best, side)
    one, two = np.indices(best.shape)
    variance, covariance = variances[best, one, two], covariances[best, one, two]
    gain = covariance.sum() / max(float(variance.sum()), 1e-6)
    unexplained = variance_first + gain * gain * variance - 2 * gain * covariance
    grid = scores.reshape(side, side, *best.shape)
    shift_across, fall_across = _vertex(grid, rows, columns, axis=1)
    shift_down, fall_down = _vertex(grid, rows, columns, axis=0)
    return Blocks(
        correlation=scores[best, one, two].astype(np.float32),
        across=(shifts[columns] + shift_across).astype(np.float32),
        down=(shifts[rows] + shift_down).astype(np.float32),
        residual=np.sqrt(np.maximum(unexplained, 0)).astype(np.float32),
        sharpness=np.minimum(fall_across, fall_down),
        contrast_first=np.sqrt(variance_first),
        contrast_second=np.sqrt(variance),
    )


def _box_means(values: Floats) -> Floats:
    """float32 (h, w) → (h - PATCH + 1, w - PATCH + 1): means over PATCH x PATCH from each pixel."""
    total = np.zeros((values.shape[0] + 1, values.shape[1] + 1))
    np.cumsum(np.cumsum(values, axis=0, dtype=np.float64), axis=1, out=total[1:, 1:])
    sums = total[PATCH:, PATCH:] - total[:-PATCH, PATCH:] - total[PATCH:, :-PATCH]
    means: Floats = ((sums + total[:-PATCH, :-PATCH]) / PATCH**2).astype(np.float32)
    return means


def _sampled(values: Floats, side: int, shape: tuple[int, ...]) -> Floats:
    """Of box means those of every patch at every one of side x side shifts, float32 `shape`."""
    found = [
        values[row : row + shape[1] * PATCH : PATCH, column : column + shape[2] * PATCH : PATCH]
        for row in range(side)
        for column in range(side)
    ]
    return np.stack(found)


def _vertex(
    grid: Floats, rows: NDArray[np.int64], columns: NDArray[np.int64], *, axis: int
) -> tuple[Floats, Floats]:
    """The top of the parabola through the best score and its neighbours, -0.5 to 0.5.

    And how far the score falls beside it, 0 where the best score lies at the edge of the search.
    """
    side = grid.shape[0]
    one, two = np.indices(rows.shape)
    at = (rows, columns)
    before, after = (
        tuple(
            np.clip(place + (step if number == axis else 0), 0, side - 1)
            for number, place in enumerate(at)
        )
        for step in (-1, 1)
    )
    low, peak, high = (grid[*place, one, two] for place in (before, at, after))
    fall = np.where((at[axis] > 0) & (at[axis] < side - 1), peak - (low + high) / 2, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        vertex = np.where(fall > 1e-6, (high - low) / (4 * fall), 0)
    return np.clip(vertex, -0.5, 0.5).astype(np.float32), fall.astype(np.float32)


@lru_cache
def _sums(side: int) -> Floats:
    """float32 (side / PATCH, side): sums over patches, as a matrix."""
    sums: Floats = np.repeat(np.eye(side // PATCH, dtype=np.float32), PATCH, axis=1)
    return sums


def patch_means(values: Floats) -> Floats:
    """float32 (h, w, …) → (h / PATCH, w / PATCH, …)."""
    height, width = values.shape[:2]
    rest = values.shape[2:]
    split = values.reshape(height // PATCH, PATCH, width // PATCH, PATCH, *rest)
    means: Floats = split.mean(axis=(1, 3), dtype=np.float32)
    return means
