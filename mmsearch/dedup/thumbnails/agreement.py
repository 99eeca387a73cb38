"""How well two pictures that lie on each other agree, patch by patch, without the worst patches."""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from mmsearch.records import Floats

_Level = TypeVar("_Level", np.floating, np.bool_)

# In pixels, at whatever side the pictures are compared.
_PATCH = 8
# The share of the weight that may be covered by something.
_COVERED = 0.25
# A patch whose levels vary less than this (standard deviation) shows nothing to compare.
_FLAT_LEVELS = 2.0
# In units of what a flat patch has: up to here it says nothing.
_SILENT = 1.25
# No patch speaks louder than this many middling ones: a black bar with white words would.
_LOUDEST = 2.0
# Of the picture, at least this much must overlap.
_LEAST_OVERLAP = 0.5


def compare(first: Floats, second: Floats, inside: NDArray[np.bool_]) -> Floats:
    """Agreement float32 (n,) of images float32 (n, side, side), seen where `inside`.

    It holds for the whole and for the middle alone: two frames of one kind agree all around.
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
    # By standard deviation, not variance: one hard edge must not speak for the whole picture. And
    # what both show flat says nothing: most of a packshot or a page is white.
    weight = np.clip(np.sqrt(power) - _SILENT * np.sqrt(floor), 0, None) * seen
    weight = np.minimum(weight, _LOUDEST * _median_above_zero(weight))
    whole = _trimmed_mean(correlation, weight)
    inner = _middle(first.shape[1] // _PATCH)
    middle = _trimmed_mean(correlation[:, inner], weight[:, inner])
    agreement = np.minimum(whole, middle)
    hidden = inside.mean(axis=(1, 2)) < _LEAST_OVERLAP
    agreement[np.broadcast_to(hidden, agreement.shape)] = 0
    return agreement


def _median_above_zero(weights: Floats) -> Floats:
    """Of each row the median of what is not zero, float32 (n, 1); 0 where all is."""
    told = np.where(weights > 0, weights, np.nan)
    empty = ~(weights > 0).any(axis=1)
    told[empty] = 0
    medians: Floats = np.nanmedian(told, axis=1, keepdims=True).astype(np.float32)
    return medians


def _trimmed_mean(values: Floats, weights: Floats) -> Floats:
    """The weighted mean of each row without the lowest values that make up _COVERED of it."""
    order = np.argsort(values, axis=1)
    values = np.take_along_axis(values, order, axis=1)
    weights = np.take_along_axis(weights, order, axis=1)
    total = weights.sum(axis=1, keepdims=True)
    reached = np.cumsum(weights, axis=1) - _COVERED * total
    kept = np.clip(reached, 0, weights)
    mean: Floats = (values * kept).sum(axis=1) / np.maximum(kept.sum(axis=1), 1e-6)
    return mean


def _middle(patches: int) -> NDArray[np.int64]:
    """The numbers of the patches that are not among the outermost eighth on each side."""
    edge = patches // 8
    inner: NDArray[np.int64] = np.arange(patches**2).reshape(patches, patches)
    return inner[edge : patches - edge, edge : patches - edge].ravel()


def _patches(images: NDArray[_Level]) -> NDArray[_Level]:
    """(n, side, side) → (n, patches, pixels of one), a copy."""
    across = images.shape[1] // _PATCH
    split = images.reshape(-1, across, _PATCH, across, _PATCH).transpose(0, 1, 3, 2, 4)
    return split.reshape(len(images), across * across, _PATCH * _PATCH).copy()
