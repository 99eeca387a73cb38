"""Block matching: the best shift of each patch of one image within another, and its fit."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mmsearch.records import Floats, Ids, Pixels

Mask: TypeAlias = NDArray[np.bool_]

PATCH = 8
_AREA = np.float32(PATCH * PATCH)
_TIE = np.float32(1e-4)
# Up to this share of the patches is matched individually.
_FEW = 0.25


@dataclass(frozen=True, slots=True)
class Blocks:
    """Block matches, one value per patch, float32 (rows, columns).

    correlation: normalised, at the best shift, -1 to 1.
    across, down: the best shift in pixels, with subpixel precision.
    residual: standard deviation of what the first image does not explain of the second there, in
        grey levels of the first.
    sharpness: decrease of the correlation one pixel beside the best shift, in the direction of
        least decrease; 0 along an edge, where the shift is undetermined.
    contrast_first, contrast_second: standard deviation of the grey levels.
    """

    correlation: Floats
    across: Floats
    down: Floats
    residual: Floats
    sharpness: Floats
    contrast_first: Floats
    contrast_second: Floats


def match_blocks(
    first: Floats, second: Floats, *, radius: int, floor: float, until: float = 1.0
) -> Blocks:
    """Matches the patches of the first image within the second.

    first, second: float32 (h, w), sides multiples of PATCH.
    radius: largest shift in pixels.
    floor: standard deviation of noise; patches with less contrast have a low correlation.
    until: patches that reach this correlation unshifted, or only show noise, are not searched for
        elsewhere.
    """
    # Centred, so that float32 keeps small differences of large sums.
    middle = np.float32(first.mean())
    first, padded = first - middle, np.pad(second - middle, radius, mode="edge")
    if until < 1:
        unmoved = _found(_sums(first, padded[radius:-radius, radius:-radius]), floor)
        contrast = np.maximum(unmoved.contrast_first, unmoved.contrast_second)
        rest = (unmoved.correlation < until) & (contrast > floor)
        if rest.sum() < _FEW * rest.size:
            return _replaced(unmoved, rest, _found(_sums_at(rest, first, padded), floor))
    return _found(_sums(first, padded), floor)


@dataclass(frozen=True, slots=True)
class _Sums:
    """Means over patches.

    first, first_power: float32 (…).
    second, second_power, product: float32 (shifts, …), shifts in row-major order.
    """

    first: Floats
    first_power: Floats
    second: Floats
    second_power: Floats
    product: Floats


def _found(sums: _Sums, floor: float) -> Blocks:
    """Block matches at the shifts of the highest correlation."""
    variance_first = np.maximum(sums.first_power - sums.first**2, 0)
    variances = np.maximum(sums.second_power - sums.second**2, 0)
    covariances = sums.product - sums.first * sums.second
    noise = np.float32(floor * floor)
    scores = covariances / np.sqrt((variance_first + noise) * (variances + noise))
    side = round(len(scores) ** 0.5)
    # Ties, as on flat areas, are resolved to no shift.
    scores[len(scores) // 2] += _TIE
    best = scores.argmax(axis=0)[None]
    scores[len(scores) // 2] -= _TIE
    correlation, variance, covariance = (
        np.take_along_axis(values, best, axis=0)[0] for values in (scores, variances, covariances)
    )
    gain = covariance.sum() / max(float(variance.sum()), 1e-6)
    unexplained = variance_first + gain * gain * variance - 2 * gain * covariance
    rows, columns = np.divmod(best, side)
    shift_across, fall_across = _vertex(scores, best, columns, side, step=1)
    shift_down, fall_down = _vertex(scores, best, rows, side, step=side)
    radius = side // 2
    return Blocks(
        correlation=correlation,
        across=(columns[0] - radius + shift_across).astype(np.float32),
        down=(rows[0] - radius + shift_down).astype(np.float32),
        residual=np.sqrt(np.maximum(unexplained, 0)).astype(np.float32),
        sharpness=np.minimum(fall_across, fall_down),
        contrast_first=np.sqrt(variance_first),
        contrast_second=np.sqrt(variance),
    )


def _replaced(blocks: Blocks, which: Mask, others: Blocks) -> Blocks:
    """Replaces the matches of the patches `which` by others, float32 (n,) each."""
    for name in Blocks.__slots__:
        getattr(blocks, name)[which] = getattr(others, name)
    return blocks


def _sums(first: Floats, padded: Floats) -> _Sums:
    """Means over all patches.

    first: float32 (h, w).
    padded: float32 (h + 2 radius, w + 2 radius).
    """
    height, width = first.shape
    bands = np.stack([padded[row : row + height] for row in range(len(padded) - height + 1)])
    ones, twos = _moments(first[None], width), _moments(bands, width)
    return _Sums(ones[0][0], ones[1][0], *twos, _products(first, bands))


def _sums_at(which: Mask, first: Floats, padded: Floats) -> _Sums:
    """Means over the patches `which`, bool (rows, columns), of which there are n."""
    side = PATCH + padded.shape[0] - first.shape[0]
    ones, wide = (
        np.lib.stride_tricks.sliding_window_view(values, (size, size))[::PATCH, ::PATCH][which]
        for values, size in ((first, PATCH), (padded, side))
    )
    twos = np.stack(
        [
            wide[:, row : row + PATCH, column : column + PATCH]
            for row in range(side - PATCH + 1)
            for column in range(side - PATCH + 1)
        ]
    )
    return _Sums(
        ones.mean(axis=(1, 2)),
        np.einsum("nyx,nyx->n", ones, ones) / _AREA,
        twos.mean(axis=(2, 3)),
        np.einsum("snyx,snyx->sn", twos, twos) / _AREA,
        np.einsum("nyx,snyx->sn", ones, twos) / _AREA,
    )


def _moments(bands: Floats, width: int) -> tuple[Floats, Floats]:
    """Means of the values and of their squares over each patch, at every shift.

    bands: float32 (shifts down, h, width + 2 radius).
    Returns float32 (shifts, rows, columns) each.
    """
    split = bands.reshape(len(bands), -1, PATCH, bands.shape[2])
    strips = np.stack([split.sum(axis=2), np.einsum("brpc,brpc->brc", split, split)])
    shifts_across = range(bands.shape[2] - width + 1)
    averaging = _averaging(width)
    found = np.stack([strips[..., s : s + width] @ averaging for s in shifts_across], axis=2)
    means, powers = found.reshape(2, -1, *found.shape[3:])
    return means, powers


def _products(first: Floats, bands: Floats) -> Floats:
    """Means over each patch of the first image times the second, at every shift.

    first: float32 (h, w).
    bands: as for `_moments`.
    Returns float32 (shifts, rows, columns).
    """
    width = first.shape[1]
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
    scores: Floats, best: Ids, places: Ids, side: int, *, step: int
) -> tuple[Floats, Floats]:
    """Vertex of the parabola through the best score and its neighbours, -0.5 to 0.5.

    Also returns the decrease of the score beside it, 0 if the best score is at the edge of the
    search.

    scores: float32 (shifts, …).
    best: int64 (1, …), the best shift.
    places: int64 (1, …), its position along an axis of length `side`.
    step: distance of shifts along that axis.
    """
    low, peak, high = (
        np.take_along_axis(scores, np.clip(best + offset, 0, len(scores) - 1), axis=0)[0]
        for offset in (-step, 0, step)
    )
    inner = (places[0] > 0) & (places[0] < side - 1)
    fall = np.where(inner, peak - (low + high) / 2, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        vertex = np.where(fall > 1e-6, (high - low) / (4 * fall), 0)
    return np.clip(vertex, -0.5, 0.5).astype(np.float32), fall.astype(np.float32)


@lru_cache
def _averaging(side: int) -> Floats:
    """Matrix that averages strips of patches, float32 (side, side / PATCH)."""
    sums: Floats = np.repeat(np.eye(side // PATCH, dtype=np.float32), PATCH, axis=0) / _AREA
    return sums


def patch_sums(values: NDArray[np.generic], dtype: type[np.generic]) -> NDArray[Any]:
    """Sums over patches: (h, w, …) to (h / PATCH, w / PATCH, …), in the given dtype."""
    height, width, *rest = values.shape
    strips = values.reshape(height // PATCH, PATCH, width, *rest).sum(axis=1, dtype=dtype)
    sums: NDArray[Any] = strips.reshape(len(strips), width // PATCH, PATCH, *rest).sum(
        axis=2, dtype=dtype
    )
    return sums


def patch_means(pixels: Pixels) -> Floats:
    """Means over patches: uint8 (h, w, 3) to float32 (h / PATCH, w / PATCH, 3)."""
    means: Floats = (patch_sums(pixels, np.uint16) / _AREA).astype(np.float32, copy=False)
    return means
