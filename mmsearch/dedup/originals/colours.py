"""Which of two pictures of one scene was recoloured."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mmsearch.dedup.originals.frame import Layer
from mmsearch.records import Floats

_SAMPLED = 5000


@dataclass(frozen=True, slots=True)
class Palette:
    """How colours lie in the shared area.

    own_colour: mean deviation of chroma, in levels, from what the luminance predicts; grey pictures
    and tinted ones (sepia, duotone) have none. saturation: mean length of chroma.
    clipped: share of channel values at either end of the scale.
    reaches_ends: whether some values lie near each end of the scale.
    """

    own_colour: float
    clipped: float
    reaches_ends: bool


def palette_of(layer: Layer, shared: NDArray[np.bool_]) -> Palette:
    """shared: bool (h, w), at least one pixel."""
    colours = layer.colours[shared]
    colours = colours[:: max(1, len(colours) // _SAMPLED)]
    luminance = colours @ np.array([0.299, 0.587, 0.114], np.float32)
    chroma = colours[:, [2, 0]] - luminance[:, None]
    # Curves of tints bend: a polynomial takes them in.
    scaled = luminance / 255 - 0.5
    design = np.stack([scaled**0, scaled, scaled**2, scaled**3], axis=1)
    normal = design.T @ design + 1e-3 * np.eye(4)
    solution = np.linalg.solve(normal, design.T @ chroma)
    low, high = np.percentile(colours, (0.2, 99.8))
    return Palette(
        own_colour=float(np.abs(chroma - design @ solution).mean()),
        clipped=float(((colours < 1.5) | (colours > 253.5)).mean()),
        reaches_ends=bool(low < 8 and high > 247),
    )


def tone_distance(first: Layer, second: Layer, shared: NDArray[np.bool_]) -> float:
    """Mean difference in levels after smoothing; recompression leaves it below 2."""
    one, two = (_coarse(layer.colours * shared[..., None]) for layer in (first, second))
    weight = _coarse(np.repeat(shared[..., None].astype(np.float32), 3, axis=2))
    full = weight > 0.9
    return float(np.abs(one - two)[full].mean()) if full.any() else 0.0


def _coarse(colours: Floats) -> Floats:
    """Means of 8 x 8 pixels."""
    height, width = (length // 8 * 8 for length in colours.shape[:2])
    blocks = colours[:height, :width].reshape(height // 8, 8, width // 8, 8, -1)
    means: Floats = blocks.mean(axis=(1, 3))
    return means
