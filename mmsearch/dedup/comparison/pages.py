"""Pages, forms, charts and drawings: ink on paper, which share more than they differ by.

Of such pictures nearly every patch with something to see also shows the paper behind it; in a
photograph there is no such level.
"""

from dataclasses import dataclass

import numpy as np

from mmsearch.dedup.comparison.blocks import PATCH, patch_sums
from mmsearch.dedup.comparison.rendering import Mask
from mmsearch.records import Floats, Pixels

# Levels by which paper varies; standard deviation of a patch with ink.
_PAPER_LEVELS, _INK = 28, 8.0
_INKY, _LEAST_PAPER = 0.8, 0.2
_OTHER_GROUND = 45
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
    grey = pixels @ _THIRDS
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
    if inky < _INKY:
        return None
    height, width = grey.shape
    patches = grey.reshape(height // PATCH, PATCH, width // PATCH, PATCH).swapaxes(1, 2)
    return Page(level, np.median(patches, axis=(2, 3)).astype(np.float32))
