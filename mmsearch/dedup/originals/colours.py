"""Decides which of two images of one scene was recoloured."""

import numpy as np
from numpy.typing import NDArray

from mmsearch.dedup.originals.frame import Layer

# Sampling step of rows and columns, which is enough for colours.
_EVERY = 3


def own_colour(layer: Layer, shared: NDArray[np.bool_]) -> float:
    """Mean deviation of chroma, in levels, from its prediction by luminance.

    It is 0 for grey and tinted images (sepia, duotone).

    shared: bool (h, w), not empty.
    """
    every = (slice(None, None, _EVERY), slice(None, None, _EVERY))
    colours = layer.colours[every][shared[every]]
    if len(colours) == 0:
        return 0.0
    luminance = colours @ np.array([0.299, 0.587, 0.114], np.float32)
    chroma = colours[:, [2, 0]] - luminance[:, None]
    # A polynomial, since tints are curved.
    scaled = luminance / 255 - 0.5
    design = np.stack([scaled**0, scaled, scaled**2, scaled**3], axis=1)
    normal = design.T @ design + 1e-3 * np.eye(4)
    solution = np.linalg.solve(normal, design.T @ chroma)
    return float(np.abs(chroma - design @ solution).mean())
