"""Full-resolution measures: different ink on a page, and small differences."""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import label

from mmsearch.dedup.comparison.blocks import Blocks, Mask
from mmsearch.dedup.comparison.measuring import Measures, torn_patches
from mmsearch.dedup.comparison.registering import NOISE, Laid, contrast
from mmsearch.records import Floats

_INK_LEVELS = 12.0
# Ink differs where this many adjacent patches have a misfit, 1 - correlation, of this many times
# the median and at least this much.
_ODD_TIMES, _ODD_LEAST, _ODD_PATCHES = 6.0, 0.13, 3
# Likewise for any image, in patches with this contrast.
_ODD_CLEAR, _CLEAR_LEVELS = 0.08, 20.0


@dataclass(frozen=True, slots=True)
class Details:
    """Measures at full resolution.

    paper: share of the area that is flat in both.
    other_ink: share of the structured patches that show different content in both.
    stray: share of the area that differs outside of the changes.
    odd: share of the structured patches that fit much worse than the others, as where a price
        differs.
    """

    paper: float
    other_ink: float
    stray: float
    odd: float


def details_of(fine: Laid, laid: Laid, found: Measures) -> Details:
    """Measures details: different pages of one layout only differ at a fine scale."""
    blocks, torn = fine.blocks, torn_patches(fine.blocks, fine.seen)
    weaker = np.minimum(blocks.contrast_first, blocks.contrast_second)
    stronger = np.maximum(blocks.contrast_first, blocks.contrast_second)
    seen = max(int(fine.seen.sum()), 1)
    ink = max(int((fine.seen & (contrast(blocks) > 1)).sum()), 1)
    uncovered = torn & ~_covered(fine, laid, found)
    inky = fine.seen & (weaker > _INK_LEVELS) & ~_off_paper(fine, found)
    return Details(
        paper=float((fine.seen & (stronger < 1.5 * NOISE)).sum() / seen),
        other_ink=max(float((torn & inky).sum() / ink), _odd_share(blocks.correlation, inky)),
        stray=float(uncovered.sum() / seen),
        odd=_odd_share(_without_noise(blocks), fine.seen & (weaker > _CLEAR_LEVELS), _ODD_CLEAR),
    )


def _without_noise(blocks: Blocks) -> Floats:
    """Correlation of the patches without the allowance for noise."""
    variances = [
        np.maximum(each, 1) ** 2 for each in (blocks.contrast_first, blocks.contrast_second)
    ]
    allowed = [1 + NOISE**2 / each for each in variances]
    return np.minimum(blocks.correlation * np.sqrt(allowed[0] * allowed[1]), 1).astype(np.float32)


def _odd_share(correlation: Floats, inky: Mask, least: float = _ODD_LEAST) -> float:
    """Share of the patches with ink in both that belong to groups with a much worse fit."""
    if not inky.any():
        return 0.0
    misfit = 1 - correlation
    usual = float(np.median(misfit[inky]))
    numbered, _ = label(inky & (misfit > max(_ODD_TIMES * usual, least)), np.ones((3, 3)))
    sizes = np.bincount(numbered.ravel())[1:]
    return float(sizes[sizes >= _ODD_PATCHES].sum() / inky.sum())


def _off_paper(fine: Laid, found: Measures) -> Mask:
    """Patches of the finer grid under a bar or a sticker, or on ground other than the paper."""
    if found.off_paper is None:
        return np.zeros(fine.seen.shape, np.bool_)
    rows, columns = (
        np.minimum(np.arange(count) * coarse // count, coarse - 1)
        for count, coarse in zip(fine.seen.shape, found.off_paper.shape, strict=True)
    )
    return found.off_paper[np.ix_(rows, columns)]


def _covered(fine: Laid, laid: Laid, found: Measures) -> Mask:
    """Mask of the changes and a margin of one patch, on the finer grid."""
    covered = np.zeros(fine.seen.shape, np.bool_)
    scale = [one / other for one, other in zip(fine.seen.shape, laid.seen.shape, strict=True)]
    for change in found.changes:
        top, bottom = (round(place * scale[0]) for place in (change.top - 1, change.bottom + 1))
        left, right = (round(place * scale[1]) for place in (change.left - 1, change.right + 1))
        covered[max(top, 0) : bottom, max(left, 0) : right] = True
    return covered
