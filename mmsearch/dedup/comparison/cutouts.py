"""Finds the part of an image that another one shows beside other content.

A collage or a banner may hold a photo cropped to a cell. The two images then agree within a
rectangle and nowhere else. Along its edges the collage has a seam, where unrelated content meets,
and the photo has none. Images on one template have the seam in both, shots of one scene in neither.
"""

from dataclasses import dataclass

import numpy as np

from mmsearch.dedup.comparison.blocks import PATCH, Mask, patch_means
from mmsearch.dedup.comparison.changes import Place, is_graphic
from mmsearch.dedup.comparison.examined import Box, Examined
from mmsearch.dedup.comparison.measuring import FITS, torn_patches
from mmsearch.dedup.comparison.pages import page_of
from mmsearch.dedup.comparison.registering import Laid, contrast, render_both
from mmsearch.dedup.comparison.rendering import Grid, mapped
from mmsearch.records import Floats, Pixels

# Minimum share of the photo within the rectangle.
_LEAST_SHARE = 0.55
# Weights of patches: structure that fits, flat ones of equal levels, other content, unseen ones.
_FITS, _FLAT, _OTHER, _UNSEEN = 1.0, 0.25, -2.0, -16.0
_EQUAL_LEVELS = 20.0
# Share of the structured patches that fit: inside at least, outside at most.
_INSIDE, _OUTSIDE, _FEWEST = 0.9, 0.35, 40
# An edge lies inside of an image if that shows something this many pixels beyond.
_BEYOND = 12
# The edges are exact to a patch: pixels before and beyond among which the seam lies.
_BEFORE = 4
# Distance of the pixels whose levels are compared across a seam.
_STEP = 3
# Mean difference across a seam, in those inside of the rectangle and in the other image's.
_SEAM, _TIMES_OTHER, _LEAST_VARIATION = 2.0, 1.6, 4.0


@dataclass(frozen=True, slots=True)
class Cutout:
    """The rectangle that two images share.

    box: left, top, right, bottom in the first image's normalised coordinates.
    first_share, second_share: of each image's area.
    """

    box: Box
    first_share: float
    second_share: float


def find_cutout(first: Examined, second: Examined, laid: Laid) -> Cutout | None:
    """Finds the part of one registered image that the other one shows beside other content.

    None if there is none, if it is too small, or if it is a page or a drawing.
    """
    fits = laid.seen & (laid.blocks.correlation > FITS) & (contrast(laid.blocks) > 0)
    if fits.sum() < _FEWEST or laid.grid.straight(laid.matrix) is None:
        return None
    images = render_both(first, second, laid.grid, laid.matrix, grey=False)
    other = _other_content(laid, *images)
    weights = np.where(fits, _FITS, np.where(other, _OTHER, _FLAT))
    place = _heaviest_rectangle(np.where(laid.seen, weights, _UNSEEN).astype(np.float32))
    fitting, differing = (int(each[place].sum()) for each in (fits, other))
    rest = int(fits.sum()) - fitting, int(other.sum()) - differing
    if fitting < max(_FEWEST, _INSIDE * (fitting + differing)) or rest[0] > _OUTSIDE * sum(rest):
        return None
    cutout = _at(place, laid)
    if max(cutout.first_share, cutout.second_share) < _LEAST_SHARE:
        return None
    shown = tuple(slice(each.start * PATCH, each.stop * PATCH) for each in place)
    if any(is_graphic(image[shown]) or page_of(image[shown]) for image in images):
        return None
    one, two = _seams(first, second, laid, cutout.box)
    cut_out = _is_cut_out(cutout.first_share, one, two) or _is_cut_out(
        cutout.second_share, two, one
    )
    return cutout if cut_out else None


def _other_content(laid: Laid, one: Pixels, two: Pixels) -> Mask:
    """Patches of different structure, or of different colour where nothing fits."""
    apart = np.abs(patch_means(one) - patch_means(two)).max(axis=2) > _EQUAL_LEVELS
    unlike = laid.seen & (laid.blocks.correlation <= FITS) & apart
    return torn_patches(laid.blocks, laid.seen) | unlike


def _heaviest_rectangle(weights: Floats) -> Place:
    """The rectangle with the largest sum of weights, float32 (rows, columns)."""
    rows, columns = weights.shape
    sums = np.pad(weights.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    tops, bottoms = np.triu_indices(rows + 1, 1)
    lefts, rights = np.triu_indices(columns + 1, 1)
    strips = sums[bottoms] - sums[tops]
    strip, span = np.divmod((strips[:, rights] - strips[:, lefts]).argmax(), len(lefts))
    return slice(int(tops[strip]), int(bottoms[strip])), slice(int(lefts[span]), int(rights[span]))


def _at(place: Place, laid: Laid) -> Cutout:
    rows, columns = place
    corners = np.array([[columns.start, columns.stop], [rows.start, rows.stop]]) * PATCH
    (left, right), (top, bottom) = mapped(laid.grid.to_first, corners).tolist()
    share = (right - left) * (bottom - top) / 4
    ratio = laid.overlap.second_share / laid.overlap.first_share
    return Cutout((left, top, right, bottom), share, share * ratio)


def _seams(first: Examined, second: Examined, laid: Laid, box: Box) -> tuple[Floats, Floats]:
    """How strong a seam each image has along the left, right, top and bottom edge of the box.

    float32 (4,) each, NaN where the image does not reach beyond the edge.
    """
    left, top, right, bottom = box
    to_first = laid.grid.to_first
    across, down = to_first[0, 0], to_first[1, 1]
    width, height = round((right - left) / across), round((bottom - top) / down)
    x, y = _BEYOND * across, _BEYOND * down
    wide = Grid(
        width + 2 * _BEYOND, height + 2 * _BEYOND, (left - x, top - y, right + x, bottom + y)
    )
    middle = (left + right) / 2, (top + bottom) / 2
    beyond = np.array([
        [left - x, right + x, middle[0], middle[0]],
        [middle[1], middle[1], top - y, bottom + y],
    ])  # fmt: skip
    found = []
    for image, matrix in zip(
        render_both(first, second, wide, laid.matrix, grey=True),
        (np.eye(3), laid.matrix),
        strict=True,
    ):
        levels = image.astype(np.float32)
        inner = slice(_BEYOND, -_BEYOND)
        strengths = np.array([*_strengths(levels[inner]), *_strengths(levels.T[inner])], np.float32)
        inside = np.abs(mapped(matrix, beyond)).max(axis=0) < 1
        found.append(np.where(inside, strengths, np.nan).astype(np.float32))
    return found[0], found[1]


def _strengths(levels: Floats) -> tuple[float, float]:
    """Seams near the left and the right edge, in the usual difference between; see `_seams`."""
    profile = np.abs(levels[:, _STEP:] - levels[:, :-_STEP]).mean(axis=0)
    usual = max(float(np.median(profile[_BEYOND:-_BEYOND])), _LEAST_VARIATION)
    near = _BEYOND + _BEFORE
    return float(profile[:near].max()) / usual, float(profile[-near:].max()) / usual


def _is_cut_out(share: float, photo: Floats, collage: Floats) -> bool:
    """Whether the shared part is cut out of the photo.

    share: of the photo's area.
    photo, collage: their seams.
    """
    inside = ~np.isnan(collage)
    both = inside & ~np.isnan(photo)
    return bool(
        share >= _LEAST_SHARE
        and inside.any()
        and (collage[inside] >= _SEAM).all()
        and (collage[both] >= _TIMES_OTHER * photo[both]).all()
    )
