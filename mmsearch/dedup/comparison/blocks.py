"""Block matching: where each patch of one picture lies in another, and how well it fits there."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mmsearch.records import Floats, Pixels

PATCH = 8
_TIE = np.float32(1e-4)


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
    shifts = np.arange(-radius, radius + 1)
    side = len(shifts)
    # Around zero, so that float32 keeps the small differences of large sums.
    middle = np.float32(first.mean())
    first, padded = first - middle, np.pad(second - middle, radius, mode="edge")
    mean_first, power_first = (sums[0] for sums in _moments(first[None], width))
    variance_first = np.maximum(power_first - mean_first**2, 0)
    bands = np.stack([padded[row : row + height] for row in range(side)])
    means, powers = _moments(bands, width)
    variances = np.maximum(powers - means**2, 0)
    covariances = _products(first, bands) - mean_first * means
    noise = np.float32(floor * floor)
    scores = covariances / np.sqrt((variance_first + noise) * (variances + noise))
    # Of nearly equal shifts the least: on flat ground all are.
    scores[side * side // 2] += _TIE
    best = scores.argmax(axis=0)
    scores[side * side // 2] -= _TIE
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


def _moments(bands: Floats, width: int) -> tuple[Floats, Floats]:
    """Means of the values and of their squares over each patch, at every shift.

    bands: float32 (shifts down, h, width + 2 radius) → float32 (shifts, rows, columns) each.
    """
    split = bands.reshape(len(bands), -1, PATCH, bands.shape[2])
    strips = np.stack([split.sum(axis=2), np.einsum("brpc,brpc->brc", split, split)])
    shifts_across = range(bands.shape[2] - width + 1)
    averaging = _averaging(width)
    found = np.stack([strips[..., s : s + width] @ averaging for s in shifts_across], axis=2)
    means, powers = found.reshape(2, -1, *found.shape[3:])
    return means, powers


def _products(first: Floats, bands: Floats) -> Floats:
    """Means over each patch of the first times the second, at every shift.

    first: float32 (h, w). bands: as above → float32 (shifts, rows, columns).
    """
    height, width = first.shape
    patches = first.reshape(-1, PATCH, width)
    strips = np.stack(
        [
            np.einsum("rpc,rpc->rc", patches, band.reshape(-1, PATCH, band.shape[1]))
            for wide in bands
            for band in (wide[:, s : s + width] for s in range(bands.shape[2] - width + 1))
        ]
    )
    means: Floats = strips @ _averaging(width)
    return means


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
def _averaging(side: int) -> Floats:
    """float32 (side, side / PATCH): takes strips of patches to their means."""
    sums: Floats = np.repeat(np.eye(side // PATCH, dtype=np.float32), PATCH, axis=0) / PATCH**2
    return sums


def patch_means(pixels: Pixels) -> Floats:
    """uint8 (h, w, 3) → float32 (h / PATCH, w / PATCH, 3)."""
    height, width = pixels.shape[:2]
    strips = pixels.reshape(height // PATCH, PATCH, -1).sum(axis=1, dtype=np.uint16)
    sums = strips.reshape(len(strips), width // PATCH, PATCH, 3).sum(axis=2, dtype=np.uint16)
    means: Floats = sums / np.float32(PATCH**2)
    return means
