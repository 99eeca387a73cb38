"""Pages, forms, charts and drawings: ink on paper, which share more than they differ by.

Of such pictures nearly every patch with something to see also shows the paper behind it; in a
photograph there is no such level.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmsearch.dedup.comparison.blocks import PATCH, patch_sums
from mmsearch.dedup.comparison.changes import is_graphic
from mmsearch.dedup.comparison.rendering import Mask
from mmsearch.records import Floats, Pixels

# Levels by which paper varies; standard deviation of a patch with ink.
_PAPER_LEVELS, _INK = 28, 8.0
_INKY, _LEAST_PAPER = 0.8, 0.2
_OTHER_GROUND = 45
# Paper is what the brightest pixels of nearly every block show; their light falls off evenly.
_LIT_BLOCK, _LIT_PIXELS, _LIT_LEAST = 16, 40, 24
_LIT_LEVELS, _LIT_SHARE = 8.0, 0.6
_THIRDS = np.full(3, 1 / 3, np.float32)
# Paper is light, a blackboard or a screen at night is dark; what is neither is a photograph's.
_DARKEST_PAPER, _LIGHTEST_BOARD = 165, 55


@dataclass(frozen=True, slots=True)
class Page:
    """level: the grey level of the paper. ground: float32 (rows, columns), each patch's median."""

    level: float
    ground: Floats

    @property
    def off_paper(self) -> Mask:
        """Patches on another ground: a bar, a sticker, a photo."""
        off: Mask = np.abs(self.ground - self.level) > _OTHER_GROUND
        return off


def page_of(pixels: Pixels) -> Page | None:
    """pixels: uint8 (h, w, 3), sides multiples of PATCH. None for anything but ink on paper."""
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
    """float32 (h, w): without the shadow at one side of a page that was scanned or photographed."""
    rows, columns = (side // _LIT_BLOCK for side in grey.shape)
    inner = grey[: rows * _LIT_BLOCK, : columns * _LIT_BLOCK]
    blocks = inner.reshape(rows, _LIT_BLOCK, columns, _LIT_BLOCK).swapaxes(1, 2)
    brightest = np.partition(blocks.reshape(rows * columns, -1), -_LIT_PIXELS)[:, -_LIT_PIXELS]
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
    """Of a quadratic surface the terms at each place, float32 (rows * columns, 6)."""
    down, across = (
        each.ravel() for each in np.mgrid[-1 : 1 : rows * 1j, -1 : 1 : columns * 1j].astype("f4")
    )
    return np.stack([np.ones_like(across), across, down, across**2, across * down, down**2], axis=1)
