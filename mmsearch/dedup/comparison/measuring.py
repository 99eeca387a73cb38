"""Measures two registered images: fit of the patches, differences, colours."""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import maximum_filter

from mmsearch.dedup.comparison.blocks import PATCH, Blocks, Mask, patch_means
from mmsearch.dedup.comparison.changes import Change, find_changes, is_graphic, one_sidedness
from mmsearch.dedup.comparison.colour import Colours, compare_colours
from mmsearch.dedup.comparison.examined import Examined
from mmsearch.dedup.comparison.pages import page_of
from mmsearch.dedup.comparison.registering import NOISE, Laid, contrast, render_both
from mmsearch.records import Floats, Pixels

# A patch with a lower correlation and differences above the noise shows something else.
TORN, FITS = 0.55, 0.6
# Codecs leave noise beside an edge, proportional to its contrast.
_RINGING = 0.1
_RECOLOURED_LEVELS = 20.0
_HIDDEN = 0.2
_SHARP_PATCHES = 20


@dataclass(frozen=True, slots=True)
class Measures:
    """Measures of a registered pair.

    agreement: mean correlation of the patches outside of the changes, weighted by contrast.
    matched: share of that contrast that fits.
    low: tenth percentile of the correlation.
    changed: share of the shared area within boxes of changes.
    drawn: share of the shared area within overlays.
    stray: share of the shared area that differs elsewhere.
    recoloured: share of the structured patches that fit but differ in colour.
    one_sided: of all differences, see `one_sidedness`.
    telling: patches with enough contrast.
    jitter: misalignment of sharp patches in pixels.
    off_paper: bool (rows, columns), patches of two pages on other ground; None unless both are ink
        on paper.
    graphic: whether both have few colours and differ.
    """

    agreement: float
    matched: float
    low: float
    changed: float
    drawn: float
    stray: float
    recoloured: float
    one_sided: float
    telling: int
    jitter: float
    off_paper: Mask | None
    graphic: bool
    colours: Colours
    changes: tuple[Change, ...]


def measure(first: Examined, second: Examined, laid: Laid) -> Measures:
    """Compares structure and colours of the patches that both images show."""
    one, two = render_both(first, second, laid.grid, laid.matrix, grey=False)
    blocks, seen = laid.blocks, laid.seen
    weight = contrast(blocks) * seen
    slack = np.float32(0.35) * np.maximum(blocks.contrast_first, blocks.contrast_second)
    means = [patch_means(each) for each in (one, two)]
    shown = seen & _content(means[0], means[1])
    colours = compare_colours(
        means[0][seen],
        means[1][seen],
        weights=shown[seen].astype(np.float32),
        slack=slack[seen],
        places=_places(seen),
    )
    residual = np.zeros(seen.shape, np.float32)
    residual[seen] = colours.residual
    middle = float(np.median(residual[shown])) if shown.any() else 0.0
    recoloured = seen & (residual > max(_RECOLOURED_LEVELS, 3 * middle))
    torn = torn_patches(blocks, seen)
    changed = torn | recoloured
    changes = find_changes(changed, (seen & (weight > 0)) | recoloured, one, two)
    covered = np.zeros_like(seen)
    for change in changes:
        covered[change.place] = True
    rest = weight * ~covered
    total, area = max(float(rest.sum()), 1e-6), max(int(seen.sum()), 1)
    picked, telling = rest > 1, weight > 1
    fits = blocks.correlation > FITS
    differing = np.repeat(np.repeat(changed, PATCH, axis=0), PATCH, axis=1)
    return Measures(
        agreement=float((rest * blocks.correlation).sum() / total),
        matched=float((rest * fits).sum() / total),
        low=float(np.quantile(blocks.correlation[picked], 0.1)) if picked.any() else 1.0,
        changed=float((covered & seen).sum() / area),
        drawn=sum(each.area for each in changes if _is_overlay(each, torn, changed, weight)) / area,
        stray=float((torn & ~covered).sum() / area),
        recoloured=float((recoloured & fits & telling).sum() / max(int(telling.sum()), 1)),
        one_sided=one_sidedness(one[differing], two[differing]) if changed.any() else 0.5,
        telling=int(picked.sum()),
        jitter=_jitter(blocks, weight),
        off_paper=_off_both(one, two),
        graphic=bool(changes) and is_graphic(one) and is_graphic(two),
        colours=colours,
        changes=changes,
    )


def _is_overlay(change: Change, torn: Mask, changed: Mask, weight: Floats) -> bool:
    """Whether a change is drawn and hides the content; a recoloured garment keeps its folds."""
    place = change.place
    telling = changed[place] & (weight[place] > 1)
    hides = (torn[place] & telling).sum() >= _HIDDEN * telling.sum()
    return bool(hides) and (change.drawn or change.one_sided)


def _off_both(one: Pixels, two: Pixels) -> Mask | None:
    first = page_of(one)
    second = page_of(two) if first is not None else None
    if first is None or second is None:
        return None
    off: Mask = first.off_paper | second.off_paper
    return off


def torn_patches(blocks: Blocks, seen: Mask) -> Mask:
    """Patches with contrast that the other image does not show there."""
    strong = np.maximum(blocks.contrast_first, blocks.contrast_second)
    ringing = _RINGING * maximum_filter(strong, 3)
    torn: Mask = (
        seen
        & (blocks.correlation < TORN)
        & (blocks.residual > 2 * NOISE + ringing)
        & (contrast(blocks) > 0)
    )
    return torn


def _places(seen: Mask) -> Floats:
    """Positions of the patches from the centre, -1 to 1, float32 (n, 2)."""
    rows, columns = np.nonzero(seen)
    places = np.stack([columns, rows], axis=1) + 0.5
    from_centre: Floats = (2 * places / seen.shape[::-1] - 1).astype(np.float32)
    return from_centre


def _jitter(blocks: Blocks, weight: Floats) -> float:
    """Misalignment of sharp patches in pixels; 0 if there are too few."""
    sharp = weight * (blocks.correlation > 0.7) * np.clip(blocks.sharpness - 0.03, 0, 0.3)
    if (sharp > 1).sum() < _SHARP_PATCHES:
        return 0.0
    across, down = (
        moved - np.average(moved, weights=sharp) for moved in (blocks.across, blocks.down)
    )
    return float(np.sqrt(np.average(across**2 + down**2, weights=sharp)))


def _content(one: Floats, two: Floats) -> Mask:
    """Patches that are not flat background in both, bool (rows, columns)."""
    background = []
    for means in (one, two):
        edge = np.concatenate([means[0], means[-1], means[:, 0], means[:, -1]])
        background.append(np.abs(means - np.median(edge, axis=0)).max(axis=2) > 12)
    shown: Mask = background[0] | background[1]
    return shown
