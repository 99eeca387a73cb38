"""Finds the part of an image that another one shows beside other content.

A collage or a banner may hold a photo cropped to a cell. The two images then agree within a
rectangle and nowhere else. Along its edges the collage has a seam, where unrelated content meets,
and the photo has none. Images on one template have the seam in both, shots of one scene in neither.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from mmsearch.dedup.comparison.blocks import PATCH, Mask, patch_means
from mmsearch.dedup.comparison.changes import Place, is_graphic
from mmsearch.dedup.comparison.examined import Box, Examined, Matrix
from mmsearch.dedup.comparison.measuring import FITS, torn_patches
from mmsearch.dedup.comparison.pages import page_of
from mmsearch.dedup.comparison.registering import Laid, contrast, register, render_both
from mmsearch.dedup.comparison.rendering import Grid, mapped
from mmsearch.records import Floats, Pixels

# Minimum share of the photo within the rectangle.
_LEAST_SHARE = 0.47
# Weights of patches: structure that fits, flat ones of equal levels, other content, unseen ones.
_FITS, _FLAT, _OTHER, _UNSEEN = 1.0, 0.25, -2.0, -16.0
_EQUAL_LEVELS = 20.0
# Deviation from an upright map, in pixels of the grid; what does not fit disturbs the registration.
_NEARLY_UPRIGHT = 4.0
# Share of the structured patches that fit: inside at least, outside at most. Patches at the edges,
# in shares of those inside, may fit too.
_INSIDE, _OUTSIDE, _AT_EDGES, _FEWEST = 0.9, 0.35, 0.08, 40
# Pages and drawings on one template share equal parts; shares closer than this are refused.
_BOTH_DRAWN = 0.6
# An edge lies inside of an image if that shows something this many pixels beyond.
_BEYOND = 12
# The edges are exact to a patch: pixels before and beyond among which the seam lies.
_BEFORE = 4
# Distance of the pixels whose levels are compared across a seam.
_STEP = 3
# Mean difference across a seam: in the largest ones inside of the rectangle, which edges of objects
# exceed by less, and in that of the other image there.
_SEAM, _EDGE, _TIMES_OTHER = 1.5, 2.4, 1.6
# A seam as strong as this, beyond which only the collage continues, leaves less to prove elsewhere.
_CLEAR_SEAM, _TIMES_OTHER_BESIDE = 3.0, 1.2
_LARGEST, _LEAST_DIFFERENCE = 0.95, 4.0


@dataclass(frozen=True, slots=True)
class Cutout:
    """The rectangle that two images share.

    part: of the first image.
    to_first: from the part's normalised coordinates to the first image's.
    laid: the part and the second image.
    first_share, second_share: of each image's area.
    """

    part: Examined
    to_first: Matrix
    laid: Laid
    first_share: float
    second_share: float


def find_cutout(first: Examined, second: Examined, laid: Laid) -> Cutout | None:
    """Finds the part of one registered image that the other one shows beside other content.

    None if there is none, or if it is too small.
    """
    if not may_hold_cutout(laid):
        return None
    fits = _fitting(laid)
    images = render_both(first, second, laid.grid, laid.matrix, grey=False)
    other = _other_content(laid, *images)
    weights = np.where(fits, _FITS, np.where(other, _OTHER, _FLAT))
    place = _heaviest_rectangle(np.where(laid.seen, weights, _UNSEEN).astype(np.float32))
    fitting, differing = (int(each[place].sum()) for each in (fits, other))
    if fitting < max(_FEWEST, _INSIDE * (fitting + differing)):
        return None
    outside = int(fits.sum()) - fitting
    structured = outside + int(other.sum()) - differing
    if outside > max(_OUTSIDE * structured, _AT_EDGES * fitting):
        return None
    box = _box_at(place, laid)
    share = (box[2] - box[0]) * (box[3] - box[1]) / 4
    ratio = laid.overlap.second_share / laid.overlap.first_share
    if max(share, share * ratio) < _LEAST_SHARE:
        return None
    shown = tuple(slice(each.start * PATCH, each.stop * PATCH) for each in place)
    if _BOTH_DRAWN < ratio < 1 / _BOTH_DRAWN and _are_drawn(image[shown] for image in images):
        return None
    part, to_first = first.part(box)
    inner = register(part, second, laid.matrix @ to_first)
    if inner is None or inner.grid.straight(inner.matrix, _NEARLY_UPRIGHT) is None:
        return None
    found = Cutout(part, to_first, inner, share, inner.overlap.second_share)
    one, two = _seams(first, second, found)
    if _is_cut_out(share, one, two) or _is_cut_out(found.second_share, two, one):
        return found
    return None


def may_hold_cutout(laid: Laid) -> bool:
    """Whether enough of two registered images fits, and they are upright to each other."""
    upright = laid.grid.straight(laid.matrix, _NEARLY_UPRIGHT) is not None
    return upright and int(_fitting(laid).sum()) >= _FEWEST


def _fitting(laid: Laid) -> Mask:
    found: Mask = laid.seen & (laid.blocks.correlation > FITS) & (contrast(laid.blocks) > 0)
    return found


def _are_drawn(images: Iterable[Pixels]) -> bool:
    """Whether all are graphics, or all are pages."""
    kinds = [(is_graphic(image), page_of(image) is not None) for image in images]
    return any(all(kind) for kind in zip(*kinds, strict=True))


def _other_content(laid: Laid, one: Pixels, two: Pixels) -> Mask:
    """Patches of different structure, or of different colour where nothing fits."""
    apart = np.abs(patch_means(one) - patch_means(two)).max(axis=2) > _EQUAL_LEVELS
    unlike = laid.seen & (laid.blocks.correlation <= FITS) & apart
    other: Mask = torn_patches(laid.blocks, laid.seen) | unlike
    return other


def _heaviest_rectangle(weights: Floats) -> Place:
    """The rectangle with the largest sum of weights, float32 (rows, columns)."""
    rows, columns = weights.shape
    sums = np.pad(weights.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    tops, bottoms = np.triu_indices(rows + 1, 1)
    lefts, rights = np.triu_indices(columns + 1, 1)
    strips = sums[bottoms] - sums[tops]
    strip, span = np.divmod((strips[:, rights] - strips[:, lefts]).argmax(), len(lefts))
    return slice(int(tops[strip]), int(bottoms[strip])), slice(int(lefts[span]), int(rights[span]))


def _box_at(place: Place, laid: Laid) -> Box:
    rows, columns = place
    corners = np.array([[columns.start, columns.stop], [rows.start, rows.stop]]) * PATCH
    (left, right), (top, bottom) = mapped(laid.grid.to_first, corners).tolist()
    return left, top, right, bottom


def _seams(first: Examined, second: Examined, found: Cutout) -> tuple[Floats, Floats]:
    """How strong a seam each image has along the left, right, top and bottom edge of the part.

    float32 (4,) each, NaN where the image does not reach beyond the edge.
    """
    width, height = found.laid.grid.width, found.laid.grid.height
    x, y = 1 + 2 * _BEYOND / width, 1 + 2 * _BEYOND / height
    corners = found.to_first @ np.array([[-x, x], [-y, y], [1, 1]])
    box = (*corners[:2, 0].tolist(), *corners[:2, 1].tolist())
    grid = Grid(width + 2 * _BEYOND, height + 2 * _BEYOND, box)
    matrix = found.laid.grid.straightened(found.laid.matrix) @ np.linalg.inv(found.to_first)
    beyond = np.array([[-x, x, 0, 0], [0, 0, -y, y]])
    inside = [
        np.abs(mapped(to_image, beyond)).max(axis=0) < 1
        for to_image in (found.to_first, found.laid.matrix)
    ]
    strengths = []
    for image in render_both(first, second, grid, matrix, grey=True):
        levels = image.astype(np.float32)
        inner = slice(_BEYOND, -_BEYOND)
        strengths.append([*_strengths(levels[inner]), *_strengths(levels.T[inner])])
    one, two = np.where(inside, strengths, np.nan).astype(np.float32)
    return one, two


def _strengths(levels: Floats) -> tuple[float, float]:
    """Seams near the left and the right edge, see `_seams`; float32 (h, w)."""
    profile = np.abs(levels[:, _STEP:] - levels[:, :-_STEP]).mean(axis=0)
    inside = max(float(np.quantile(profile[_BEYOND:-_BEYOND], _LARGEST)), _LEAST_DIFFERENCE)
    near = _BEYOND + _BEFORE
    return float(profile[:near].max()) / inside, float(profile[-near:].max()) / inside


def _is_cut_out(share: float, photo: Floats, collage: Floats) -> bool:
    """Whether the shared part is cut out of the photo.

    share: of the photo's area.
    photo, collage: their seams.
    """
    cut, inside = ~np.isnan(photo), ~np.isnan(collage)
    clear = (collage[inside & ~cut] >= _CLEAR_SEAM).any()
    times = _TIMES_OTHER_BESIDE if clear else _TIMES_OTHER
    return bool(
        share >= _LEAST_SHARE
        and inside.any()
        and (collage[inside] >= _SEAM).all()
        and (photo[cut & ~inside] < _EDGE).all()
        and (collage[cut & inside] >= times * photo[cut & inside]).all()
    )
