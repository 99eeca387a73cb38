"""Which of two pictures of one scene was recoloured."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mmsearch.dedup.originals.frame import Layer

# Of rows and columns of the canvas, one in so many says enough of colours.
_EVERY = 3
# Mean difference of coarse colours, in levels, from which tones were changed.
_SAME_TONES = 3.0


def own_colour(layer: Layer, shared: NDArray[np.bool_]) -> float:
    """Mean deviation of chroma, in levels, from what the luminance foretells.

    Grey pictures and tinted ones (sepia, duotone) have none. shared: bool (h, w), some of it true.
    """
    every = (slice(None, None, _EVERY), slice(None, None, _EVERY))
    colours = layer.colours[every][shared[every]]
    if len(colours) == 0:
        return 0.0
    luminance = colours @ np.array([0.299, 0.587, 0.114], np.float32)
    chroma = colours[:, [2, 0]] - luminance[:, None]
    # Curves of tints bend: a polynomial takes them in.
    scaled = luminance / 255 - 0.5
    design = np.stack([scaled**0, scaled, scaled**2, scaled**3], axis=1)
    normal = design.T @ design + 1e-3 * np.eye(4)
    solution = np.linalg.solve(normal, design.T @ chroma)
    return float(np.abs(chroma - design @ solution).mean())


def tone_distance(first: Layer, second: Layer) -> float:
    """Mean difference in levels after smoothing; recompression leaves it below 2."""
    both = first.coarse_shown & second.coarse_shown
    if not both.any():
        return 0.0
    return float(np.abs(first.coarse - second.coarse)[both].mean())


def agreement_with_others(layers: Sequence[Layer]) -> list[int]:
    """With how many of the others each shares its tones: all copies come from the original."""
    return [
        sum(tone_distance(one, two) < _SAME_TONES for two in layers if two is not one)
        for one in layers
    ]
