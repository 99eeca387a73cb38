"""The local check: two thumbnails are laid over each other and compared patch by patch.

A pair begins at the window in which the descriptors met; where that does not fit yet, an affine
registration (Lucas and Kanade's, on normalised grey levels) refines it. The agreement is the
correlation of the patches, weighted by how much there is to see in them, without the worst ones:
a logo or a text bar covers some, another shot of the same thing disturbs all.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mmsearch.dedup.views import Window
from mmsearch.records import Floats, Pixels

# In pixels, at whatever side the pictures are compared.
_PATCH = 8
# The share of the weight that may be covered by something.
_COVERED = 0.25
# A patch whose levels vary less than this (standard deviation) shows nothing to compare.
_FLAT_LEVELS = 2.0
# No patch speaks louder than this many middling ones: a black bar with white words would.
_LOUDEST = 2.0
# Of the picture, at least this much must overlap.
_LEAST_OVERLAP = 0.5
# Registration runs coarse to fine: side in pixels, how often blurred, steps. Texture that is finer
# than the pixels would lead it astray, hence the blur.
_LEVELS = ((32, 3, 6), (64, 1, 3))
# After the coarse level, pictures of one content correlate by far more than this.
_COARSE_ENOUGH = 0.55
# Beyond this from the centre, blur mixes a border of the second picture in.
_BORDER_FREE = 0.87
# What a crop, a border or a few degrees of rotation can do, and a chance fit often exceeds.
_MOST_TILT = 0.13
_MOST_STRETCH = 1.35
_STEP_PAIRS = 512


@dataclass(frozen=True, slots=True)
class Alignment:
    """agreement: float32 (n,), 1 where all patches match. maps: float32 (n, 2, 3): where a place
    of the first picture lies in the second, both in -1 to 1 from the centre (x, y).
    """

    agreement: Floats
    maps: Floats


def window_maps(windows: list[Window]) -> Floats:
    """float32 (n, 2, 3): the whole of the first picture is this window of the second."""
    maps = np.zeros((len(windows), 2, 3), np.float32)
    for row, window in enumerate(windows):
        for axis, (low, high) in enumerate(
            ((window.left, window.right), (window.top, window.bottom))
        ):
            maps[row, axis, axis] = high - low
            maps[row, axis, 2] = low + high - 1
    return maps


def align(first: Pixels, second: Pixels, maps: Floats) -> Alignment:
    """first, second: uint8 (n, side, side). maps: where to begin, float32 (n, 2, 3)."""
    agreement = np.zeros(len(first), np.float32)
    refined = maps.copy()
    for start in range(0, len(first), _STEP_PAIRS):
        part = slice(start, start + _STEP_PAIRS)
        one, two = first[part].astype(np.float32), second[part].astype(np.float32)
        better, hopeful = _registered(one, two, maps[part])
        rows = np.flatnonzero(hopeful)
        agreement[part][rows] = compare(one[rows], *warp(two[rows], better[rows]))
        refined[part][rows] = better[rows]
        # A bar across one of them can lead the registration away from where both lie already.
        unmoved = np.flatnonzero((maps[part] == np.eye(2, 3, dtype=np.float32)).all(axis=(1, 2)))
        everywhere = np.ones((1, *one.shape[1:]), np.bool_)
        still = compare(one[unmoved], two[unmoved], everywhere)
        ahead = unmoved[still > agreement[part][unmoved]]
        agreement[part][ahead] = still[still > agreement[part][unmoved]]
        refined[part][ahead] = maps[part][ahead]
    return Alignment(agreement, refined)


def compare_unmoved(first: Pixels, second: Pixels) -> Floats:
    """Agreement float32 (n,) of uint8 (n, side, side), laid over each other as they are."""
    everywhere = np.ones((1, *first.shape[1:]), np.bool_)
    parts = [
        compare(
            first[start : start + _STEP_PAIRS].astype(np.float32),
            second[start : start + _STEP_PAIRS].astype(np.float32),
            everywhere,
        )
        for start in range(0, len(first), _STEP_PAIRS)
    ]
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)


def _registered(first: Floats, second: Floats, maps: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Refined maps, and which pairs (bool (n,)) may be one picture with such a map."""
    refined, hopeful = maps.copy(), np.ones(len(first), np.bool_)
    for side, blurs, rounds in _LEVELS:
        rows = np.flatnonzero(hopeful)
        if not rows.size:
            break
        one, two = (_normalised(_shrunk(images[rows], side, blurs)) for images in (first, second))
        before = refined[rows]
        after = register(one, two, before, rounds)
        start, end = (_correlation(one, *warp(two, each)) for each in (before, after))
        better = (end > start) & _plausible(after)
        refined[rows] = np.where(better[:, None, None], after, before)
        hopeful[rows] = np.where(better, end, start) > _COARSE_ENOUGH
    return refined, hopeful


def _plausible(maps: Floats) -> NDArray[np.bool_]:
    """Whether a crop, a border or a slight tilt explains the map."""
    across, down = maps[:, 0, 0], maps[:, 1, 1]
    with np.errstate(divide="ignore", invalid="ignore"):
        stretch = np.maximum(np.abs(across / down), np.abs(down / across))
    tilts = np.abs(maps[:, [0, 1], [1, 0]])
    # A tilt turns both axes the same way; what turns them against each other is a shear.
    shear = np.abs(maps[:, 0, 1] + maps[:, 1, 0])
    shift = np.abs(maps[:, :, 2]).max(axis=1)
    plausible: NDArray[np.bool_] = (
        (np.minimum(across, down) > 0.6)
        & (np.maximum(across, down) < 1.4)
        & (stretch < _MOST_STRETCH)
        & (tilts.max(axis=1) < _MOST_TILT)
        & (shear < _MOST_TILT)
        & (shift < 0.6)
    )
    return plausible


def _correlation(first: Floats, second: Floats, inside: NDArray[np.bool_]) -> Floats:
    """Plain correlation where `inside`, float32 (n,)."""
    weight = _inner(inside).reshape(len(first), -1).astype(np.float32)
    total = np.maximum(weight.sum(axis=1, keepdims=True), 1)
    ones, twos = first.reshape(len(first), -1), second.reshape(len(first), -1)
    ones = (ones - (ones * weight).sum(axis=1, keepdims=True) / total) * weight
    twos = (twos - (twos * weight).sum(axis=1, keepdims=True) / total) * weight
    lengths = np.linalg.norm(ones, axis=1) * np.linalg.norm(twos, axis=1)
    correlation: Floats = (ones * twos).sum(axis=1) / np.maximum(lengths, 1e-6)
    return correlation


def _grid(side: int) -> Floats:
    """float32 (3, side * side): x, y, 1 of every pixel's centre, -1 to 1."""
    centres = (np.arange(side, dtype=np.float32) + 0.5) * 2 / side - 1
    across, down = np.meshgrid(centres, centres)
    return np.stack([across.ravel(), down.ravel(), np.ones(side * side, np.float32)])


def warp(images: Floats, maps: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """images: float32 (n, side, side); maps: (n, 2, 3) → the image under every pixel, and where
    there was one: float32 and bool (n, side, side).
    """
    count, side, _ = images.shape
    places = maps @ _grid(side)
    inside = (np.abs(places) <= 1 + 1e-4).all(axis=1).reshape(count, side, side)
    pixels = np.clip((places + 1) * (side / 2) - 0.5, 0, side - 1)
    corner = np.minimum(pixels.astype(np.int32), side - 2)
    x, y = (pixels - corner).transpose(1, 0, 2)
    flat = images.reshape(count, side * side)
    at = corner[:, 1] * side + corner[:, 0]
    top = _take(flat, at) * (1 - x) + _take(flat, at + 1) * x
    bottom = _take(flat, at + side) * (1 - x) + _take(flat, at + side + 1) * x
    return (top * (1 - y) + bottom * y).reshape(images.shape), inside


def _take(rows: Floats, at: NDArray[np.int32]) -> Floats:
    taken: Floats = np.take_along_axis(rows, at, axis=1)
    return taken


def compare(first: Floats, second: Floats, inside: NDArray[np.bool_]) -> Floats:
    """Agreement float32 (n,) of images float32 (n, side, side), seen where `inside`.

    It holds for the whole and for the middle alone: two frames of one kind agree all around.
    """
    ones, twos = _patches(first), _patches(second)
    seen = _patches(inside.astype(np.float32)).min(axis=2) > 0
    ones -= ones.mean(axis=2, keepdims=True)
    twos -= twos.mean(axis=2, keepdims=True)
    floor = np.float32(_PATCH * _PATCH * _FLAT_LEVELS**2)
    power_one = np.einsum("npi,npi->np", ones, ones) + floor
    power_two = np.einsum("npi,npi->np", twos, twos) + floor
    power = np.sqrt(power_one * power_two)
    correlation = np.einsum("npi,npi->np", ones, twos) / power
    # By standard deviation, not variance: one hard edge must not speak for the whole picture.
    weight = np.sqrt(power)
    weight = np.minimum(weight, _LOUDEST * np.median(weight, axis=1, keepdims=True)) * seen
    whole = _trimmed_mean(correlation, weight)
    inner = _middle(first.shape[1] // _PATCH)
    middle = _trimmed_mean(correlation[:, inner], weight[:, inner])
    agreement = np.minimum(whole, middle)
    hidden = inside.mean(axis=(1, 2)) < _LEAST_OVERLAP
    agreement[np.broadcast_to(hidden, agreement.shape)] = 0
    return agreement


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


def _patches(images: Floats) -> Floats:
    """float32 (n, side, side) → (n, patches, pixels of one), a copy."""
    across = images.shape[1] // _PATCH
    split = images.reshape(-1, across, _PATCH, across, _PATCH).transpose(0, 1, 3, 2, 4)
    return split.reshape(len(images), across * across, _PATCH * _PATCH).copy()


def register(first: Floats, second: Floats, maps: Floats, rounds: int) -> Floats:
    """Maps refined by inverse compositional steps, robust to covered parts.

    first, second: float32 (n, side, side), normalised.
    """
    side = first.shape[1]
    jacobian = _jacobian(first)
    flat = first.reshape(len(first), -1)
    damping = 1e-2 * side * np.eye(6, dtype=np.float32)
    current = maps.copy()
    for _ in range(rounds):
        seen, inside = warp(second, current)
        # Levels are matched anew each time: a border around the second would else shift them.
        error = _normalised(seen).reshape(len(second), -1) - flat
        # Geman and McClure's weight: what is covered pulls less the more it differs.
        weight = _inner(inside).reshape(len(second), -1) / np.square(1 + np.square(error))
        weighted = jacobian * weight[:, :, None]
        normal = np.swapaxes(weighted, 1, 2) @ jacobian + damping
        pull = np.swapaxes(weighted, 1, 2) @ error[:, :, None]
        current = _composed(current, np.linalg.solve(normal, pull)[:, :, 0])
    return current


def _jacobian(images: Floats) -> Floats:
    """float32 (n, side, side) → (n, pixels, 6): change of a level by each number of the map."""
    side = images.shape[1]
    down = np.gradient(images, axis=1) * (side / 2)
    across = np.gradient(images, axis=2) * (side / 2)
    grid = _grid(side).T
    parts = [gradient.reshape(len(images), -1, 1) * grid for gradient in (across, down)]
    return np.concatenate(parts, axis=2).astype(np.float32)


def _composed(maps: Floats, steps: Floats) -> Floats:
    """maps after the inverse of the small maps that steps (n, 6) are."""
    count = len(maps)
    last = np.broadcast_to(np.array([[[0, 0, 1]]], np.float32), (count, 1, 3))
    small = np.concatenate([steps.reshape(count, 2, 3), np.zeros_like(last)], axis=1)
    small = small + np.eye(3, dtype=np.float32)
    whole = np.concatenate([maps, last], axis=1) @ np.linalg.inv(small)
    return whole[:, :2].astype(np.float32)


def _shrunk(images: Floats, side: int, blurs: int) -> Floats:
    """float32 (n, larger, larger) → (n, side, side), averaged, then smoothed that often."""
    factor = images.shape[1] // side
    shrunk: Floats = images.reshape(-1, side, factor, side, factor).mean(axis=(2, 4))
    for _ in range(blurs):
        for axis in (1, 2):
            edge = [(1, 1) if each == axis else (0, 0) for each in range(3)]
            padded = np.pad(shrunk, edge, mode="edge")
            low, middle, high = (
                np.take(padded, np.arange(start, start + side), axis=axis) for start in range(3)
            )
            shrunk = ((low + 2 * middle + high) / 4).astype(np.float32, copy=False)
    return shrunk


def _inner(inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """inside: bool (n, side, side) → the same without the outermost pixels of the first picture."""
    side = inside.shape[1]
    free = (np.abs(_grid(side)[:2]) <= _BORDER_FREE).all(axis=0).reshape(side, side)
    return inside & free


def _normalised(images: Floats) -> Floats:
    """At mean 0 and standard deviation 1, float32 (n, side, side)."""
    centred = images - images.mean(axis=(1, 2), keepdims=True)
    normalised: Floats = centred / (centred.std(axis=(1, 2), keepdims=True) + 1e-3)
    return normalised
