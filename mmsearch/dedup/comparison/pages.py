"""Detects pages, forms, charts and drawings: ink on paper.

Different pages share more than they differ by. On a page nearly every patch with contrast also
shows the paper behind it; a photograph has no such level.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmsearch.dedup.comparison.blocks import PATCH, Mask, patch_sums
from mmsearch.dedup.comparison.changes import is_graphic
from mmsearch.records import Floats, Pixels

# Variation of the paper in levels, and standard deviation of a patch with ink.
_PAPER_LEVELS, _INK = 28, 8.0
_INKY, _LEAST_PAPER = 0.8, 0.2
_OTHER_GROUND = 45
# Paper is estimated from the brightest pixels of each block; its light varies smoothly.
_LIT_BLOCK, _LIT_PIXELS, _LIT_LEAST = 16, 40, 24
_LIT_LEVELS, _LIT_SHARE = 8.0, 0.6
_THIRDS = np.full(3, 1 / 3, np.float32)
# Paper is light, a blackboard or a screen at night is dark; anything else is a photograph.
_DARKEST_PAPER, _LIGHTEST_BOARD = 165, 55


@dataclass(frozen=True, slots=True)
class Page:
    """An image of ink on paper.

    level: grey level of the paper.
    ground: float32 (rows, columns), median of each patch.
    """

    level: float
    ground: Floats

    @property
    def off_paper(self) -> Mask:
        """Patches on other ground: a bar, a sticker, a photo."""
        off: Mask = np.abs(self.ground - self.level) > _OTHER_GROUND
        return off


def page_of(pixels: Pixels) -> Page | None:
    """Detects a page in pixels, uint8 (h, w, 3), sides multiples of PATCH; None if it is none."""
    grey = _evenly_lit(pixels @ _THIRDS)
    counts = np.convolve(np.bincount(grey.astype(np.uint8).ravel(), minlength=256), np.ones(9))
    level = float(counts.argmax() - 4)
    if _DARKEST_PAPER > level > _LIGHTEST_BOARD:
        return None
    near = patch_sums(np.abs(grey - np.float32(level)) <= _PAPER_LEVELS, np.uint8)
    means = patch_sums(grey, np.float32) / PATCH**2
    variances = patch_sums(grey * grey, np.float32) / PATCH**2 - means**2
    structured = variances > _INK**2
    if not structured.any() or (~structured & (near == PATCH**2)).mean() < _LEAST_PAPER:
        return None
    inky = (near[structured] > 0).mean()
    if inky < _INKY and not is_graphic(pixels):
        return None
    height, width = grey.shape
    patches = grey.reshape(height // PATCH, PATCH, width // PATCH, PATCH).swapaxes(1, 2)
    return Page(level, np.median(patches, axis=(2, 3)).astype(np.float32))


def _evenly_lit(grey: Floats) -> Floats:
    """Removes shadows of scanned or photographed pages, float32 (h, w)."""
    rows, columns = (side // _LIT_BLOCK for side in grey.shape)
    inner = grey[: rows * _LIT_BLOCK, : columns * _LIT_BLOCK]
    blocks = inner.reshape(rows, _LIT_BLOCK, columns, _LIT_BLOCK).swapaxes(1, 2)
    brightest = np.partition(blocks.reshape(-1, _LIT_BLOCK**2), -_LIT_PIXELS)[:, -_LIT_PIXELS]
    if rows * columns < _LIT_LEAST or np.ptp(brightest) < _LIT_LEVELS:
        return grey
    surface, places = _surface(rows, columns), brightest > np.median(brightest) / 2
    solution: NDArray[np.floating[Any]] = np.zeros(surface.shape[1])
    for _ in range(3):
        solution = np.linalg.lstsq(surface[places], brightest[places], rcond=None)[0]
        places = np.abs(brightest - surface @ solution) <= 2 * _LIT_LEVELS
        if places.mean() < _LIT_SHARE:
            return grey
    light = _surface(*grey.shape) @ solution
    lit: Floats = grey * (light.max() / np.maximum(light, 1)).reshape(grey.shape)
    return np.minimum(lit, 255).astype(np.float32)


@lru_cache(maxsize=64)
def _surface(rows: int, columns: int) -> Floats:
    """Terms of a quadratic surface at each position, float32 (rows * columns, 6)."""
    down, across = (
        each.ravel() for each in np.mgrid[-1 : 1 : rows * 1j, -1 : 1 : columns * 1j].astype("f4")
    )
    return np.stack([np.ones_like(across), across, down, across**2, across * down, down**2], axis=1)
