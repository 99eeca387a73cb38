"""Explains the global colour change between two images, and locates where it fails.

A copy may be grey, tinted, brighter or warmer: one transform then explains every patch. A garment
in another colour on the same skin does not fit it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mmsearch.records import Floats

ColourChange: TypeAlias = Literal["same", "tone", "grey", "hue", "other"]

# Levels (of 255) by which codecs change the mean colour of a patch.
_TOLERANCE = 12.0
# Share of the weight that one transform must explain.
_EXPLAINED, _ENOUGH, _SAME = 0.5, 0.99, 0.97
# Gain in explained weight required for a more complex transform.
_SIMPLER = 0.01
_KNOTS = 7
_MOST_GAIN = 1.3
# Hue rotations beyond this, in degrees, are another colour rather than another rendering.
_MOST_HUE = 40.0
_LUMA = np.array([0.299, 0.587, 0.114])
_ROUNDS = 6
# Distances from the centre, in half sides, between which a vignette is linear.
_RINGS = (0.0, 0.35, 0.7, 1.0, 2**0.5)


@dataclass(frozen=True, slots=True)
class Colours:
    """The colour change between two images.

    change: the simplest transform that explains the second image's colours by the first's.
    residual: float32 (n,), levels of each patch that it does not explain.
    lost_by: 1 or 2, the image whose colour was removed (grey), 0 for none.
    shift: mean absolute change of level.
    """

    change: ColourChange
    residual: Floats
    lost_by: int
    shift: float


def compare_colours(
    first: Floats, second: Floats, *, weights: Floats, slack: Floats, places: Floats
) -> Colours:
    """Finds the simplest colour transform between two images.

    first, second: float32 (n, 3), mean RGB of patches.
    weights: float32 (n,).
    slack: float32 (n,), tolerance in levels for edges that do not align exactly.
    places: float32 (n, 2), from the centre, -1 to 1.
    """
    difference = np.abs(second - first)
    shift = float(np.average(difference.mean(axis=1), weights=weights + 1e-9))
    best: tuple[float, ColourChange, Floats, int] | None = None
    for change, residual, lost_by in _explanations(first, second, weights, places):
        excess = np.clip(residual - slack, 0, None).astype(np.float32)
        explained = float(np.average(excess <= _TOLERANCE, weights=weights + 1e-9))
        if best is None or explained > best[0] + _SIMPLER:
            best = explained, change, excess, lost_by
        if explained >= (_SAME if change == "same" else _ENOUGH):
            break
    assert best is not None
    explained, change, residual, lost_by = best
    return Colours(change if explained >= _EXPLAINED else "other", residual, lost_by, shift)


def _explanations(
    first: Floats, second: Floats, weights: Floats, places: Floats
) -> Iterator[tuple[ColourChange, Floats, int]]:
    """Yields transforms by complexity: name, residual of each patch, image that lost its colour."""
    yield "same", _largest(second - first), 0
    yield "tone", _largest(second - _toned(first, second, weights)), 0
    for lost_by, (coloured, grey) in ((2, (first, second)), (1, (second, first))):
        if _follows_brightness(grey, weights):
            yield "grey", _largest(_left_by_curve(coloured @ _LUMA, grey, weights)), lost_by
    turned = _turned(first, second, weights)
    if turned is not None:
        yield "hue", _largest(turned), 0
    yield "tone", _largest(second - _vignetted(first, second, weights, places)), 0


def _largest(values: NDArray[np.floating]) -> Floats:
    largest: Floats = np.abs(values).max(axis=1).astype(np.float32)
    return largest


def _hats(levels: NDArray[np.floating]) -> NDArray[np.float64]:
    """Weights of a piecewise linear curve, float64 (n, knots)."""
    place = np.clip(levels, 0, 255) / 255 * (_KNOTS - 1)
    hats: NDArray[np.float64] = np.clip(1 - np.abs(place[:, None] - np.arange(_KNOTS)), 0, None)
    return hats


def _left_by_curve(
    levels: NDArray[np.floating], target: Floats, weights: Floats
) -> NDArray[np.float64]:
    """Residual of the target after a curve of the levels, one for each column."""
    design = _hats(levels)
    left: NDArray[np.float64] = target - design @ _solution(design, target, weights)
    return left


def _toned(first: Floats, second: Floats, weights: Floats) -> NDArray[np.float64]:
    """Residual after one curve for all channels and a gain for each of them.

    This covers brightness, contrast, gamma and white balance. A curve per channel could turn the
    only colour on a white background into any other.
    """
    gains = np.ones(3)
    triple = np.tile(weights, 3)
    levels = first.T.ravel()
    design = _hats(levels)
    for _ in range(3):
        target = np.concatenate([second[:, c] / gains[c] for c in range(3)])
        curve = _solution(design, target[:, None], triple)
        shaped = (design @ curve).reshape(3, -1).T
        for c in range(3):
            ratio = np.median(second[:, c] / np.maximum(shaped[:, c], 8))
            gains[c] = np.clip(ratio, 1 / _MOST_GAIN, _MOST_GAIN)
        gains /= np.exp(np.log(gains).mean())
    toned: NDArray[np.float64] = np.clip(shaped * gains, 0, 255)
    return toned


def _vignetted(
    first: Floats, second: Floats, weights: Floats, places: Floats
) -> NDArray[np.float64]:
    """Residual after one curve for all channels, and light that falls off sideways or radially."""
    levels = first.T.ravel()
    distances = np.minimum(np.hypot(*places.T), _RINGS[-1])
    rings = [np.interp(distances, _RINGS, unit) for unit in np.eye(len(_RINGS))[1:]]
    light = np.tile(np.stack([*places.T, *rings], axis=1), (3, 1))
    design = np.hstack([_hats(levels), light, light * (levels[:, None] / 255)])
    solution = _solution(design, second.T.ravel()[:, None], np.tile(weights, 3))
    shaded: NDArray[np.float64] = np.clip((design @ solution).reshape(3, -1).T, 0, 255)
    return shaded


def _turned(first: Floats, second: Floats, weights: Floats) -> NDArray[np.float64] | None:
    """Residual after a hue rotation and a saturation change; None if the rotation is too large."""
    value_one, chroma_one = _hexagonal(first)
    value_two, chroma_two = _hexagonal(second)
    design = np.stack([chroma_one, np.ones_like(chroma_one)], axis=1)
    factor = np.ones(len(first))
    for _ in range(_ROUNDS):
        both = (weights * factor)[:, None]
        normal = design.conj().T @ (design * both) + 1e-3 * np.eye(2)
        found = np.linalg.solve(normal, design.conj().T @ (chroma_two * both[:, 0]))
        left = np.abs(chroma_two - design @ found)
        factor = 1 / (1 + (left / _TOLERANCE) ** 2)
    if abs(np.degrees(np.angle(found[0]))) > _MOST_HUE or not 0.3 <= abs(found[0]) <= 2.5:
        return None
    value_left = _left_by_curve(value_one, value_two[:, None].astype(np.float32), weights)[:, 0]
    return np.stack([value_left, left], axis=1)


def _hexagonal(colours: Floats) -> tuple[NDArray[np.float64], NDArray[np.complex128]]:
    """The strongest channel, and chroma as a complex number whose angle is the HSV hue."""
    red, green, blue = colours.astype(np.float64).T
    chroma = red - (green + blue) / 2 + 1j * (3**0.5 / 2) * (green - blue)
    return colours.max(axis=1).astype(np.float64), chroma


def _solution(
    design: NDArray[np.float64], target: NDArray[np.floating], weights: Floats
) -> NDArray[np.float64]:
    """Least squares, robust to patches of another colour (Cauchy weights)."""
    factor = np.ones(len(design))
    ridge = 1e-3 * np.eye(design.shape[1])
    for _ in range(_ROUNDS):
        both = (weights * factor)[:, None]
        normal = design.T @ (design * both) + ridge
        found = np.linalg.solve(normal, design.T @ (target * both)).astype(np.float64)
        error = np.abs(target - design @ found).max(axis=1)
        factor = 1 / (1 + (error / _TOLERANCE) ** 2)
    return found


def _follows_brightness(colours: Floats, weights: Floats) -> bool:
    """Whether colour is a function of brightness: grey, sepia, any duotone."""
    left = _largest(_left_by_curve(colours @ _LUMA, colours, weights))
    return float(np.average(left < 8, weights=weights + 1e-9)) > 0.95
