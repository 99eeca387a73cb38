"""Judges two registered images: one image, an edited version, or different.

Thresholds were chosen on photographs of shelves and garments with edited copies, and on their
nearest neighbours, including bursts within one second; docs/dedup.md reports results on other sets.
"""

from typing import Literal, TypeAlias

import numpy as np

from mmsearch.dedup.comparison.details import details_of
from mmsearch.dedup.comparison.examined import Examined, Matrix
from mmsearch.dedup.comparison.measuring import TORN, Measures, torn_patches
from mmsearch.dedup.comparison.registering import Laid, lay, refined
from mmsearch.dedup.comparison.rendering import contrast_outside

Judgement: TypeAlias = Literal["same image", "edited version", "different"]

_FEWEST_TELLING = 12
# Minimum share of one of two images that the other shows; less after a rotation, if the corners
# that it leaves are filled. Another shot from a different angle shows more of the scene there.
_NESTED, _NESTED_TILTED, _TILTED_DEGREES, _FILLED = 0.965, 0.85, 2.5, 3.0
_LEAST_AGREEMENT, _LEAST_MATCHED, _LEAST_LOW, _MOST_STRAY = 0.78, 0.92, 0.5, 0.03
# Agreement from which a few poor patches are ignored.
_SURELY = 0.9
# One-sidedness of a watermark, which only makes pixels brighter or darker.
_WATERMARK_SIDED = 0.93
_WATERMARK_AGREEMENT, _WATERMARK_MATCHED, _WATERMARK_STRAY = 0.75, 0.8, 0.15
_MOST_RECOLOURED = 0.12
_MOST_REPLACED, _MOST_CHANGED = 0.1, 0.36
_FINE_SIDE, _FINE_RADIUS, _PAGE_RADIUS = 512, 1, 2
# Share of the ink on a page, form or chart that may differ. A page of this side is needed to
# distinguish two digits. Nearly all copies, rescanned or not, have less than 0.2%, invoices of one
# customer have 1% and more.
_PAGE_SIDE = 1024
_OTHER_INK, _SAME_INK = 0.005, 0.002
# On nearly blank images, a drawing that replaces another one is not an overlay.
_BLANK, _MOST_CHANGED_ON_PAPER = 0.6, 0.12
# Two edits at once are rare: with a hue rotation, large differences mean another object.
_MOST_CHANGED_HUE = 0.12
# The same where next to nothing but an overlay differs.
_ALL_DRAWN, _MOST_DRAWN = 0.02, 0.24
_MOST_FINE_STRAY = 0.06
# One image: only resolution, compression and quarter turns differ.
_WHOLE, _LEVEL_DEGREES, _ASPECT = 0.985, 0.4, 0.02
# Levels by which compression changes colours, and by which a palette does.
_SAME_SHIFTS = {"same": 7.0, "tone": 3.5}
_SAME_STRAY, _SAME_MATCHED, _SAME_JITTER = 0.004, 0.97, 0.45
# A shoe or a label in another colour; copies that were only saved again have none.
_SAME_RECOLOURED = 0.01
_SAME_FINE_STRAY = 0.008


def hopeless(first: Examined, second: Examined, laid: Laid) -> str:
    """Why two images are different without measuring; '' if measuring is needed."""
    if reason := _not_nested(first, second, laid):
        return reason
    torn = float(torn_patches(laid.blocks, laid.seen).sum() / max(int(laid.seen.sum()), 1))
    if torn > _MOST_CHANGED + _WATERMARK_STRAY:
        return f"{torn:.0%} of the area shows something else"
    return ""


def _not_nested(first: Examined, second: Examined, laid: Laid) -> str:
    shares = laid.overlap.first_share, laid.overlap.second_share
    if max(shares) >= _NESTED:
        return ""
    if abs(tilt(laid.matrix)) > _TILTED_DEGREES:
        back: Matrix = np.linalg.inv(laid.matrix).astype(np.float64)
        ways = (first, laid.matrix, shares[0]), (second, back, shares[1])
        if any(
            share >= _NESTED_TILTED and contrast_outside(image, matrix) < _FILLED
            for image, matrix, share in ways
        ):
            return ""
    return f"each shows parts that the other lacks ({max(shares):.0%} of one is shared)"


def judge(first: Examined, second: Examined, laid: Laid, found: Measures) -> tuple[Judgement, str]:
    """The judgement, and for different images the reason, for people."""
    if reason := _different(found):
        return "different", reason
    until = TORN if found.off_paper is None else 1.0
    fine = lay(first, second, refined(laid), side=_FINE_SIDE, radius=_FINE_RADIUS, until=until)
    if fine is None:
        return "different", "the shared area is too small"
    details = details_of(fine, laid, found)
    if found.off_paper is not None:
        if _is_large(first) and _is_large(second):
            page = lay(first, second, refined(fine), side=_PAGE_SIDE, radius=_PAGE_RADIUS)
            details = details if page is None else details_of(page, laid, found)
        if details.other_ink > _OTHER_INK:
            return "different", f"{details.other_ink:.1%} of the ink differs"
        if details.paper >= _BLANK and found.changed > _most_changed(found, _MOST_CHANGED_ON_PAPER):
            return "different", f"{found.changed:.0%} of the area shows something else"
    if found.one_sided < _WATERMARK_SIDED and details.stray > _MOST_FINE_STRAY:
        return "different", f"{details.stray:.0%} of the details differ"
    same = details.stray <= _SAME_FINE_STRAY and details.other_ink <= _SAME_INK and not details.odd
    return ("same image" if same and _is_one_image(first, second, laid, found)
            else "edited version"), ""  # fmt: skip


def _is_large(image: Examined) -> bool:
    return max(image.width, image.height) > _FINE_SIDE


def _different(found: Measures) -> str:
    """Why two images are different; '' if nothing says so."""
    if found.telling < _FEWEST_TELLING:
        return "there is too little contrast to compare"
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
        return f"only {min(found.matched, 1 - found.stray):.0%} of the structure fits"
    if found.colours.change == "other" or found.recoloured > _MOST_RECOLOURED:
        return "part of the image has another colour"
    most = _MOST_CHANGED
    if found.graphic:
        most = _most_changed(found, _MOST_CHANGED_ON_PAPER)
    elif found.colours.change == "hue":
        most = _most_changed(found, _MOST_CHANGED_HUE)
    if found.changed - found.drawn > _MOST_REPLACED or found.changed > most:
        return f"{found.changed:.0%} of the area shows something else"
    return ""


def _most_changed(found: Measures, replaced: float) -> float:
    """Returns the maximum changed share of the area.

    replaced: the maximum where something was replaced. An overlay alone may cover more.
    """
    return replaced if found.changed - found.drawn > _ALL_DRAWN else _MOST_DRAWN


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
        and found.recoloured <= _SAME_RECOLOURED
        and found.stray <= _SAME_STRAY
        and found.matched >= _SAME_MATCHED
        and found.colours.shift <= _SAME_SHIFTS.get(found.colours.change, 0.0)
        and found.jitter <= _SAME_JITTER
    )


def tilt(matrix: Matrix) -> float:
    """Rotation of the second image beyond a multiple of 90 degrees."""
    angle = float(np.degrees(np.arctan2(matrix[1, 0], matrix[0, 0])))
    if np.linalg.det(matrix[:2, :2]) < 0:
        angle = float(np.degrees(np.arctan2(matrix[1, 0], -matrix[0, 0])))
    return (angle + 45) % 90 - 45
