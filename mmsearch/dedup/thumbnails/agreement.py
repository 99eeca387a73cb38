"""Robust agreement of two aligned images: patch correlations without the worst patches."""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from mmsearch.records import Floats

_Level = TypeVar("_Level", np.floating, np.bool_)

# Patch side in pixels, independent of the side of the images.
_PATCH = 8
# Share of the weight that an overlay may cover.
_COVERED = 0.25
# Standard deviation of grey levels below which a patch is flat.
_FLAT_LEVELS = 2.0
# Patches up to this many times the contrast of a flat one have no weight.
_IGNORED = 1.25
# Cap on a patch's weight, in units of the median: a black bar with white text would dominate.
_MAX_WEIGHT = 2.0
# Minimum share of the image that must overlap.
_LEAST_OVERLAP = 0.5


def compare(first: Floats, second: Floats, inside: NDArray[np.bool_]) -> Floats:
    """Computes the agreement of aligned images, the lower of the whole and of the middle alone.

    Two different images with equal borders agree all around, hence the middle.

    first, second: float32 (n, side, side).
    inside: bool (n, side, side), where the second image has pixels.
    Returns float32 (n,).
    """
    ones, twos = _patches(first), _patches(second)
    seen = _patches(inside).all(axis=2)
    ones -= ones.mean(axis=2, keepdims=True)
    twos -= twos.mean(axis=2, keepdims=True)
    floor = np.float32(_PATCH * _PATCH * _FLAT_LEVELS**2)
    power_one = np.einsum("npi,npi->np", ones, ones) + floor
    power_two = np.einsum("npi,npi->np", twos, twos) + floor
    power = np.sqrt(power_one * power_two)
    correlation = np.einsum("npi,npi->np", ones, twos) / power
    # Weighted by standard deviation, not variance, so that one hard edge does not dominate. Patches
    # that are flat in both have no weight: most of a packshot or a page is white.
    weight = np.clip(np.sqrt(power) - _IGNORED * np.sqrt(floor), 0, None) * seen
    weight = np.minimum(weight, _MAX_WEIGHT * _median_above_zero(weight))
    whole = _trimmed_mean(correlation, weight)
    inner = _middle(first.shape[1] // _PATCH)
    middle = _trimmed_mean(correlation[:, inner], weight[:, inner])
    agreement = np.minimum(whole, middle)
    hidden = inside.mean(axis=(1, 2)) < _LEAST_OVERLAP
    agreement[np.broadcast_to(hidden, agreement.shape)] = 0
    return agreement


def _median_above_zero(weights: Floats) -> Floats:
    """Median of the nonzero values of each row, float32 (n, 1); 0 where there are none."""
    positive = np.where(weights > 0, weights, np.nan)
    empty = ~(weights > 0).any(axis=1)
    positive[empty] = 0
    medians: Floats = np.nanmedian(positive, axis=1, keepdims=True).astype(np.float32)
    return medians


def _trimmed_mean(values: Floats, weights: Floats) -> Floats:
    """Weighted mean of each row without the lowest values that make up _COVERED of the weight."""
    order = np.argsort(values, axis=1)
    values = np.take_along_axis(values, order, axis=1)
    weights = np.take_along_axis(weights, order, axis=1)
    total = weights.sum(axis=1, keepdims=True)
    reached = np.cumsum(weights, axis=1) - _COVERED * total
    kept = np.clip(reached, 0, weights)
    mean: Floats = (values * kept).sum(axis=1) / np.maximum(kept.sum(axis=1), 1e-6)
    return mean


def _middle(patches: int) -> NDArray[np.int64]:
    """Indices of the patches outside the outermost eighth on each side."""
    edge = patches // 8
    inner: NDArray[np.int64] = np.arange(patches**2).reshape(patches, patches)
    return inner[edge : patches - edge, edge : patches - edge].ravel()


def _patches(images: NDArray[_Level]) -> NDArray[_Level]:
    """Splits images (n, side, side) into a copy of shape (n, patches, pixels per patch)."""
    across = images.shape[1] // _PATCH
    split = images.reshape(-1, across, _PATCH, across, _PATCH).transpose(0, 1, 3, 2, 4)
    return split.reshape(len(images), across * across, _PATCH * _PATCH).copy()
