"""What two registered pictures are to each other: one image, an edited version, or different.

Bounds were set on photographs of shelves and garments with edited copies, and on their nearest
neighbours, bursts of one second among them; docs/dedup.md tells what they reach on other sets.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from scipy.ndimage import label

from mmsearch.dedup.comparison.blocks import PATCH, Blocks, patch_means
from mmsearch.dedup.comparison.changes import Change, find_changes, one_sidedness
from mmsearch.dedup.comparison.colour import Colours, compare_colours
from mmsearch.dedup.comparison.examined import Examined
from mmsearch.dedup.comparison.pages import page_of
from mmsearch.dedup.comparison.registering import NOISE, Laid, contrast, lay, refined, render_both
from mmsearch.dedup.comparison.rendering import Mask, Matrix
from mmsearch.records import Floats, Pixels

Judgement: TypeAlias = Literal["same image", "edited version", "different"]

# A patch that correlates by less, and differs by more levels than noise does, shows another thing.
_TORN, _FITS = 0.55, 0.6
_RECOLOURED_LEVELS = 20.0
_FEWEST_TELLING = 12
# Of one of two pictures, how much the other must show; corners are lost by a tilt.
_NESTED, _NESTED_TILTED, _TILTED_DEGREES = 0.965, 0.85, 2.5
_LEAST_AGREEMENT, _LEAST_MATCHED, _LEAST_LOW, _MOST_STRAY = 0.78, 0.92, 0.5, 0.03
# Agreement from which a few poor patches do not count.
_SURELY = 0.9
# Under a watermark, which makes pixels brighter or darker only.
_WATERMARK_SIDED = 0.93
_WATERMARK_AGREEMENT, _WATERMARK_MATCHED, _WATERMARK_STRAY = 0.75, 0.8, 0.15
_MOST_RECOLOURED = 0.12
_MOST_REPLACED, _MOST_CHANGED = 0.1, 0.36
_FINE_SIDE, _FINE_RADIUS, _PAGE_RADIUS = 512, 1, 2
# Of a page, form or chart: how much of the ink may be other ink. At the side of a page two digits
# are told apart. Of copies, scanned again or not, nearly all have less than 0.2%, while invoices of
# one customer have 1% and more.
_PAGE_SIDE = 1024
_OTHER_INK, _SAME_INK, _INK_LEVELS = 0.005, 0.002, 12.0
# Ink is other ink where so many neighbouring patches correlate by less than the page does in
# general: 1 - correlation is this many times the median, and at least so much.
_ODD_TIMES, _ODD_LEAST, _ODD_PATCHES = 6.0, 0.13, 3
# Where nearly all is blank, a drawing in place of another one is no overlay.
_BLANK, _MOST_CHANGED_ON_PAPER = 0.6, 0.12
_MOST_FINE_STRAY = 0.06
# One image: nothing but resolution, compression and quarter turns differ.
_WHOLE, _LEVEL_DEGREES, _ASPECT = 0.985, 0.4, 0.02
# Levels by which compression moves colours, and by which a palette does.
_SAME_SHIFTS = {"same": 7.0, "tone": 3.5}
_SAME_STRAY, _SAME_MATCHED, _SAME_JITTER = 0.004, 0.97, 0.45
_SAME_FINE_STRAY = 0.008
_SHARP_PATCHES = 20


@dataclass(frozen=True, slots=True)
class Measures:
    """What was measured of a registered pair.

    agreement: mean correlation of the patches outside the changes, weighted by contrast. matched:
    which share of that contrast fits. low: the tenth percentile of correlation. Shares of the
    shared area: changed (boxes), drawn (of these, overlays), stray (what differs elsewhere).
    recoloured: of the patches with structure, those that fit but have another colour. one_sided: of
    all that differs, see `one_sidedness`. telling: patches with something to see. jitter: by how
    many pixels sharp patches miss each other. off_paper: of two pages the patches on other ground,
    bool (rows, columns); None unless both are ink on paper.
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
    colours: Colours
    changes: tuple[Change, ...]


def measure(first: Examined, second: Examined, laid: Laid) -> Measures:
    """Compares the structure of the patches and their colours where both pictures show them."""
    one, two = render_both(first, second, laid.grid, laid.matrix, grey=False)
    blocks, seen = laid.blocks, laid.seen
    weight = contrast(blocks) * seen
    slack = np.float32(0.35) * np.maximum(blocks.contrast_first, blocks.contrast_second)
    means = [patch_means(each) for each in (one, two)]
    shown = seen & _content(means[0], means[1])
    colours = compare_colours(
        means[0][seen], means[1][seen], shown[seen].astype(np.float32), slack[seen]
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
    fits = blocks.correlation > _FITS
    differing = np.repeat(np.repeat(changed, PATCH, axis=0), PATCH, axis=1)
    return Measures(
        agreement=float((rest * blocks.correlation).sum() / total),
        matched=float((rest * fits).sum() / total),
        low=float(np.quantile(blocks.correlation[picked], 0.1)) if picked.any() else 1.0,
        changed=float((covered & seen).sum() / area),
        drawn=sum(each.area for each in changes if each.drawn or each.one_sided) / area,
        stray=float((torn & ~covered).sum() / area),
        recoloured=float((recoloured & fits & telling).sum() / max(int(telling.sum()), 1)),
        one_sided=one_sidedness(one[differing], two[differing]) if changed.any() else 0.5,
        telling=int(picked.sum()),
        jitter=_jitter(blocks, weight),
        off_paper=_off_both(one, two),
        colours=colours,
        changes=changes,
    )


def hopeless(laid: Laid) -> str:
    """Why no measuring is needed to call the two different; '' where it is."""
    if reason := _not_nested(laid):
        return reason
    torn = float(torn_patches(laid.blocks, laid.seen).sum() / max(int(laid.seen.sum()), 1))
    if torn > _MOST_CHANGED + _WATERMARK_STRAY:
        return f"{torn:.0%} of the area shows something else"
    return ""


def _not_nested(laid: Laid) -> str:
    whole = max(laid.overlap.first_share, laid.overlap.second_share)
    tilted = abs(tilt(laid.matrix)) > _TILTED_DEGREES
    if whole < (_NESTED_TILTED if tilted else _NESTED):
        return f"each shows something of its own ({whole:.0%} of one is shared)"
    return ""


def _off_both(one: Pixels, two: Pixels) -> Mask | None:
    first = page_of(one)
    second = page_of(two) if first is not None else None
    if first is None or second is None:
        return None
    off: Mask = first.off_paper | second.off_paper
    return off


def torn_patches(blocks: Blocks, seen: Mask) -> Mask:
    """Patches with something to see that the other picture does not show there."""
    torn: Mask = (
        seen & (blocks.correlation < _TORN) & (blocks.residual > 2 * NOISE) & (contrast(blocks) > 0)
    )
    return torn


def _jitter(blocks: Blocks, weight: Floats) -> float:
    """0 where there are too few sharp patches to tell."""
    sharp = weight * (blocks.correlation > 0.7) * np.clip(blocks.sharpness - 0.03, 0, 0.3)
    if (sharp > 1).sum() < _SHARP_PATCHES:
        return 0.0
    across, down = (
        moved - np.average(moved, weights=sharp) for moved in (blocks.across, blocks.down)
    )
    return float(np.sqrt(np.average(across**2 + down**2, weights=sharp)))


def _content(one: Floats, two: Floats) -> Mask:
    """Patches that are not the flat background of both, bool (rows, columns)."""
    background = []
    for means in (one, two):
        edge = np.concatenate([means[0], means[-1], means[:, 0], means[:, -1]])
        background.append(np.abs(means - np.median(edge, axis=0)).max(axis=2) > 12)
    shown: Mask = background[0] | background[1]
    return shown


def judge(first: Examined, second: Examined, laid: Laid, found: Measures) -> tuple[Judgement, str]:
    """The judgement, and for different pictures the reason, for people."""
    if reason := _different(found):
        return "different", reason
    until = _TORN if found.off_paper is None else 1.0
    fine = lay(first, second, refined(laid), side=_FINE_SIDE, radius=_FINE_RADIUS, until=until)
    if fine is None:
        return "different", "they share too little"
    details = _details(fine, laid, found)
    if found.off_paper is not None:
        if _is_large(first) and _is_large(second):
            page = lay(first, second, refined(fine), side=_PAGE_SIDE, radius=_PAGE_RADIUS)
            details = details if page is None else _details(page, laid, found)
        if details.other_ink > _OTHER_INK:
            return "different", f"{details.other_ink:.1%} of what is printed on them differs"
        if details.paper >= _BLANK and found.changed > _MOST_CHANGED_ON_PAPER:
            return "different", f"{found.changed:.0%} of the area shows something else"
    if found.one_sided < _WATERMARK_SIDED and details.stray > _MOST_FINE_STRAY:
        return "different", f"{details.stray:.0%} of the details differ"
    same = details.stray <= _SAME_FINE_STRAY and details.other_ink <= _SAME_INK
    return ("same image" if same and _is_one_image(first, second, laid, found)
            else "edited version"), ""  # fmt: skip


def _is_large(picture: Examined) -> bool:
    return max(picture.width, picture.height) > _FINE_SIDE


@dataclass(frozen=True, slots=True)
class _Details:
    """Shares: paper, of the area flat in both; other_ink, of the structured patches those in which
    both show something, but not the same; stray, of the area what differs outside the changes.
    """

    paper: float
    other_ink: float
    stray: float


def _details(fine: Laid, laid: Laid, found: Measures) -> _Details:
    """Pages and forms share their layout: only at a fine scale does their ink differ."""
    blocks, torn = fine.blocks, torn_patches(fine.blocks, fine.seen)
    weaker = np.minimum(blocks.contrast_first, blocks.contrast_second)
    stronger = np.maximum(blocks.contrast_first, blocks.contrast_second)
    seen = max(int(fine.seen.sum()), 1)
    ink = max(int((fine.seen & (contrast(blocks) > 1)).sum()), 1)
    uncovered = torn & ~_covered(fine, laid, found)
    inky = fine.seen & (weaker > _INK_LEVELS) & ~_off_paper(fine, found)
    return _Details(
        paper=float((fine.seen & (stronger < 1.5 * NOISE)).sum() / seen),
        other_ink=max(float((torn & inky).sum() / ink), _odd_share(blocks.correlation, inky)),
        stray=float(uncovered.sum() / seen),
    )


def _odd_share(correlation: Floats, inky: Mask) -> float:
    """Of the patches with ink in both, those in groups that fit far less than the others do."""
    if not inky.any():
        return 0.0
    misfit = 1 - correlation
    usual = float(np.median(misfit[inky]))
    numbered, _ = label(inky & (misfit > max(_ODD_TIMES * usual, _ODD_LEAST)), np.ones((3, 3)))
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


def _different(found: Measures) -> str:
    """Why the two are different pictures; '' where nothing says so."""
    if found.telling < _FEWEST_TELLING:
        return "there is too little to see in them"
    watermark = found.one_sided >= _WATERMARK_SIDED
    agreement, matched, stray, low = (
        (_WATERMARK_AGREEMENT, _WATERMARK_MATCHED, _WATERMARK_STRAY, -1.0)
        if watermark
        else (_LEAST_AGREEMENT, _LEAST_MATCHED, _MOST_STRAY, _LEAST_LOW)
    )
    if (
        found.agreement < agreement
        or found.matched < matched
        or found.stray > stray
        or (found.low < low and found.agreement < _SURELY)
    ):
        return f"only {min(found.matched, 1 - found.stray):.0%} of what is to see fits"
    if found.colours.change == "other" or found.recoloured > _MOST_RECOLOURED:
        return "part of them has another colour"
    if found.changed - found.drawn > _MOST_REPLACED or found.changed > _MOST_CHANGED:
        return f"{found.changed:.0%} of the area shows something else"
    return ""


def _is_one_image(first: Examined, second: Examined, laid: Laid, found: Measures) -> bool:
    shares = laid.overlap.first_share, laid.overlap.second_share
    sideways = abs(laid.matrix[0, 1]) > abs(laid.matrix[0, 0])
    aspects = [first.width / first.height, second.width / second.height]
    if sideways:
        aspects[1] = 1 / aspects[1]
    smallest = min(first.width, first.height, second.width, second.height)
    return (
        min(shares) >= _WHOLE
        and abs(tilt(laid.matrix)) < _LEVEL_DEGREES
        and abs(np.log(aspects[0] / aspects[1])) < _ASPECT + 1.5 / smallest
        and not found.changes
        and found.stray <= _SAME_STRAY
        and found.matched >= _SAME_MATCHED
        and found.colours.shift <= _SAME_SHIFTS.get(found.colours.change, 0.0)
        and found.jitter <= _SAME_JITTER
    )


def tilt(matrix: Matrix) -> float:
    """By how many degrees the second is turned beyond a multiple of 90."""
    angle = float(np.degrees(np.arctan2(matrix[1, 0], matrix[0, 0])))
    if np.linalg.det(matrix[:2, :2]) < 0:
        angle = float(np.degrees(np.arctan2(matrix[1, 0], -matrix[0, 0])))
    return (angle + 45) % 90 - 45
