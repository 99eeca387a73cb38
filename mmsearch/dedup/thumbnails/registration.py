"""Affine registration of images by iterative refinement.

Inverse compositional Lucas-Kanade (Baker and Matthews 2004) on normalised grey levels, with
Geman-McClure weights that reduce the influence of covered parts.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from os import cpu_count

import numpy as np

from mmsearch.dedup.thumbnails.warping import Mask, grid, shrink, warp
from mmsearch.records import Floats, Pixels

# Beyond this distance from the centre, blur mixes in a border of the second image.
_BORDER_FREE = 0.87
# Bounds of a crop, a border or a few degrees of rotation; wrong fits often exceed them.
_MOST_TILT = 0.13
_MOST_STRETCH = 1.35
# How many of the 16 blocks may be covered.
_COVERED_BLOCKS = 4
# Pixels per block: they stay in a core's cache, which is several times as fast.
_AT_ONCE = 2**16


@dataclass(frozen=True, slots=True)
class Level:
    """One resolution of the registration.

    side: in pixels.
    blurs: number of smoothing passes; texture finer than the pixels would mislead the registration.
    enough: minimum correlation.
    """

    side: int
    blurs: int
    rounds: int
    enough: float


def registered(first: Pixels, second: Pixels, maps: Floats, level: Level) -> tuple[Floats, Floats]:
    """Refines maps where the result is plausible and better; also returns the correlation."""
    if not len(first):
        return maps, np.zeros(0, np.float32)

    def part(rows: slice) -> tuple[Floats, Floats]:
        one, two = (
            _normalised(shrink(images[rows], level.side, level.blurs)) for images in (first, second)
        )
        before = maps[rows]
        seen, inside = warp(two, before)
        start = _correlation(one, seen, inside)
        after = _registered_part(one, two, before, (seen, inside), rounds=level.rounds)
        end = _correlation(one, *warp(two, after))
        better = (end > start) & _plausible(after)
        return np.where(better[:, None, None], after, before), np.where(better, end, start)

    refined, correlation = in_parts(part, len(first), level.side**2)
    return refined, correlation


def in_parts(
    part: Callable[[slice], tuple[Floats, ...]], count: int, pixels: int
) -> tuple[Floats, ...]:
    """Processes `count` pairs, one or more, in cache-sized slices on all cores."""
    step = max(_AT_ONCE // pixels, 1)
    parts = [slice(start, start + step) for start in range(0, count, step)]
    with ThreadPoolExecutor(min(cpu_count() or 1, len(parts))) as threads:
        done = list(threads.map(part, parts))
    return tuple(np.concatenate(column) for column in zip(*done, strict=True))


def _plausible(maps: Floats) -> Mask:
    """Whether a crop, a border or a slight tilt explains the map."""
    across, down = maps[:, 0, 0], maps[:, 1, 1]
    with np.errstate(divide="ignore", invalid="ignore"):
        stretch = np.maximum(np.abs(across / down), np.abs(down / across))
    tilts = np.abs(maps[:, [0, 1], [1, 0]])
    # A rotation turns both axes the same way; otherwise it is a shear.
    shear = np.abs(maps[:, 0, 1] + maps[:, 1, 0])
    shift = np.abs(maps[:, :, 2]).max(axis=1)
    plausible: Mask = (
        (np.minimum(across, down) > 0.6)
        & (np.maximum(across, down) < 1.4)
        & (stretch < _MOST_STRETCH)
        & (tilts.max(axis=1) < _MOST_TILT)
        & (shear < _MOST_TILT)
        & (shift < 0.6)
    )
    return plausible


def _correlation(first: Floats, second: Floats, inside: Mask) -> Floats:
    """Correlation where `inside`, without the blocks that fit worst, float32 (n,)."""
    weight = _inner(inside).astype(np.float32).reshape(first.shape)
    ones, twos = (_centred(images, weight) for images in (first, second))
    products = _blocks(ones * twos)
    powers = _blocks(ones * ones), _blocks(twos * twos)
    misfit = powers[0] + powers[1] - 2 * products
    # Blocks that a text bar or a logo may cover.
    covered = np.argpartition(misfit, -_COVERED_BLOCKS, axis=1)[:, -_COVERED_BLOCKS:]
    for sums in (products, *powers):
        np.put_along_axis(sums, covered, 0, axis=1)
    lengths = np.sqrt(powers[0].sum(axis=1) * powers[1].sum(axis=1))
    correlation: Floats = products.sum(axis=1) / np.maximum(lengths, 1e-6)
    return correlation


def _centred(images: Floats, weight: Floats) -> Floats:
    """Scales images to weighted mean 0 and norm 1, float32 (n, side, side)."""
    total = np.maximum(weight.sum(axis=(1, 2), keepdims=True), 1)
    centred = (images - (images * weight).sum(axis=(1, 2), keepdims=True) / total) * weight
    length = np.sqrt(np.einsum("nyx,nyx->n", centred, centred))[:, None, None]
    unit: Floats = centred / np.maximum(length, 1e-6)
    return unit


def _blocks(images: Floats) -> Floats:
    """Sums images, float32 (n, side, side), over a grid of 4 x 4, float32 (n, 16)."""
    side = images.shape[1] // 4
    sums: Floats = images.reshape(-1, 4, side, 4, side).sum(axis=(2, 4)).reshape(-1, 16)
    return sums


def _registered_part(
    first: Floats, second: Floats, maps: Floats, start: tuple[Floats, Mask], *, rounds: int
) -> Floats:
    """Refines maps by inverse compositional steps, robust to covered parts.

    first, second: float32 (n, side, side), normalised.
    start: the second image warped by `maps`.
    """
    side = first.shape[1]
    jacobian = _jacobian(first)
    flat = first.reshape(len(first), -1)
    damping = 1e-2 * side * np.eye(6, dtype=np.float32)
    current, (seen, inside) = maps, start
    for number in range(rounds):
        if number:
            seen, inside = warp(second, current)
        # Levels are normalised again in each round: a border around the second image would shift
        # them.
        error = _normalised(seen).reshape(len(second), -1) - flat
        # Geman-McClure weight: covered parts count less the more they differ.
        weight = _inner(inside) / np.square(1 + np.square(error))
        weighted = jacobian * weight[:, None, :]
        normal = weighted @ jacobian.transpose(0, 2, 1) + damping
        pull = weighted @ error[:, :, None]
        current = _composed(current, np.linalg.solve(normal, pull)[:, :, 0])
    return current


def _jacobian(images: Floats) -> Floats:
    """Derivatives of the levels by each parameter of the map, float32 (n, 6, pixels)."""
    count, side, _ = images.shape
    jacobian = np.empty((count, 2, 3, side * side), np.float32)
    for axis in (0, 1):
        gradient = np.gradient(images, axis=2 - axis) * np.float32(side / 2)
        np.multiply(gradient.reshape(count, 1, -1), grid(side), out=jacobian[:, axis])
    return jacobian.reshape(count, 6, -1)


def _composed(maps: Floats, steps: Floats) -> Floats:
    """Composes maps with the inverse of small steps, float32 (n, 6)."""
    count = len(maps)
    last = np.broadcast_to(np.array([[[0, 0, 1]]], np.float32), (count, 1, 3))
    small = np.concatenate([steps.reshape(count, 2, 3), np.zeros_like(last)], axis=1)
    small = small + np.eye(3, dtype=np.float32)
    whole = np.concatenate([maps, last], axis=1) @ np.linalg.inv(small)
    return whole[:, :2].astype(np.float32)


def _inner(inside: Mask) -> Mask:
    """Mask without the outermost pixels of the first image, (n, pixels)."""
    free = (np.abs(grid(inside.shape[1])[:2]) <= _BORDER_FREE).all(axis=0)
    inner: Mask = inside.reshape(len(inside), -1) & free
    return inner


def _normalised(images: Floats) -> Floats:
    """Scales images to mean 0 and standard deviation 1, float32 (n, side, side)."""
    flat = images.reshape(len(images), -1)
    flat = flat - flat.mean(axis=1, keepdims=True)
    deviation = np.sqrt(np.einsum("np,np->n", flat, flat) / flat.shape[1]) + np.float32(1e-3)
    normalised: Floats = (flat / deviation[:, None]).reshape(images.shape)
    return normalised
