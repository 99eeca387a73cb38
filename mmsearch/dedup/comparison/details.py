"""What a look at full resolution adds: other ink on a page, and small places that differ."""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import label

from mmsearch.dedup.comparison.blocks import Blocks
from mmsearch.dedup.comparison.measuring import Measures, torn_patches
from mmsearch.dedup.comparison.registering import NOISE, Laid, contrast
from mmsearch.dedup.comparison.rendering import Mask
from mmsearch.records import Floats

_INK_LEVELS = 12.0
# Ink is other ink where so many neighbouring patches correlate by less than the page does in
# general: 1 - correlation is this many times the median, and at least so much.
_ODD_TIMES, _ODD_LEAST, _ODD_PATCHES = 6.0, 0.13, 3
# Likewise of any picture, where there is much to see.
_ODD_CLEAR, _CLEAR_LEVELS = 0.08, 20.0


@dataclass(frozen=True, slots=True)
class Details:
    """Shares: paper, of the area flat in both; other_ink, of the structured patches those in which
    both show something, but not the same; stray, of the area what differs outside the changes; odd,
    of the structured patches those that fit far less than the others do, as where a price differs.
    """

    paper: float
    other_ink: float
    stray: float
    odd: float


def details_of(fine: Laid, laid: Laid, found: Measures) -> Details:
    """Pages and forms share their layout: only at a fine scale does their ink differ."""
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
    """The correlation that the patches would have if no noise were allowed for."""
    variances = [
        np.maximum(each, 1) ** 2 for each in (blocks.contrast_first, blocks.contrast_second)
    ]
    allowed = [1 + NOISE**2 / each for each in variances]
    return np.minimum(blocks.correlation * np.sqrt(allowed[0] * allowed[1]), 1).astype(np.float32)


def _odd_share(correlation: Floats, inky: Mask, least: float = _ODD_LEAST) -> float:
    """Of the patches with ink in both, those in groups that fit far less than the others do."""
    if not inky.any():
        return 0.0
    misfit = 1 - correlation
    usual = float(np.median(misfit[inky]))
    numbered, _ = label(inky & (misfit > max(_ODD_TIMES * usual, least)), np.ones((3, 3)))
    sizes = np.bincount(numbered.ravel())[1:]
    return float(sizes[sizes >= _ODD_PATCHES].sum() / inky.sum())


def _off_paper(fine: Laid, found: Measures) -> Mask:
    """The patches of the finer grid under a bar or a sticker, or on any ground but the paper."""
    if found.off_paper is None:
        return np.zeros(fine.seen.shape, np.bool_)
    rows, columns = (
        np.minimum(np.arange(count) * coarse // count, coarse - 1)
        for count, coarse in zip(fine.seen.shape, found.off_paper.shape, strict=True)
    )
    return found.off_paper[np.ix_(rows, columns)]


def _covered(fine: Laid, laid: Laid, found: Measures) -> Mask:
    """The changes, and a patch around them, on the finer grid."""
    covered = np.zeros(fine.seen.shape, np.bool_)
    scale = [one / other for one, other in zip(fine.seen.shape, laid.seen.shape, strict=True)]
    for change in found.changes:
        top, bottom = (round(place * scale[0]) for place in (change.top - 1, change.bottom + 1))
        left, right = (round(place * scale[1]) for place in (change.left - 1, change.right + 1))
        covered[max(top, 0) : bottom, max(left, 0) : right] = True
    return covered
