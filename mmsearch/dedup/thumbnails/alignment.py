"""Pairwise check: registers two thumbnails and compares them patch by patch.

A pair starts from the window proposed by the descriptors. Registration refines it in three steps,
coarse to fine, each several times as expensive as the previous one; the first two reject most pairs
that are not copies. The agreement is the correlation of the patches, weighted by contrast, without
the worst ones: a logo or a text bar covers a few patches, another shot of the same object changes
all of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mmsearch.dedup.thumbnails.agreement import compare
from mmsearch.dedup.thumbnails.registration import Level, in_parts, registered
from mmsearch.dedup.thumbnails.views import Window
from mmsearch.dedup.thumbnails.warping import Mask, grid, shrunk, warp
from mmsearch.records import Floats, Pixels

_ROUGH = Level(16, 1, 2, 0.0)
_CLOSE = Level(32, 1, 3, 0.925)
_FINE = Level(64, 1, 1, 0.9)
# Thresholds on the agreement: certain at the second step, rejected at the second step, rejected at
# the last one. Of 1,600 copies one was rejected.
_BEYOND_DOUBT, _HOPELESS_CLOSE, _HOPELESS = 0.94, 0.58, 0.65
GLANCE_SIDE = 64
# A rotation by three degrees at the same size cuts off the corners: 2.6% of the image.
_NESTED, _NEARLY_NESTED = 0.965, 0.94
_NESTED_SIDE = 32


@dataclass(frozen=True, slots=True)
class Alignment:
    """Alignments of n pairs of images.

    agreement: float32 (n,), 1 where all patches match.
    maps: float32 (n, 2, 3), affine maps from the first image to the second, in coordinates of -1 to
        1 from the centre (x, y).
    """

    agreement: Floats
    maps: Floats


def window_maps(windows: Sequence[Window]) -> Floats:
    """Maps the whole first image to a window of the second, float32 (n, 2, 3)."""
    maps = np.zeros((len(windows), 2, 3), np.float32)
    for row, window in enumerate(windows):
        for axis, (low, high) in enumerate(
            ((window.left, window.right), (window.top, window.bottom))
        ):
            maps[row, axis, axis] = high - low
            maps[row, axis, 2] = low + high - 1
    return maps


def align_roughly(first: Pixels, second: Pixels, maps: Floats) -> Alignment:
    """Aligns coarse images; the agreement is their correlation.

    first, second: uint8 (n, side, side), side at least 16 pixels.
    """
    refined, correlation = registered(first, second, maps, _ROUGH)
    return Alignment(correlation, refined)


def align_closely(first: Pixels, second: Pixels, maps: Floats) -> Alignment:
    """Aligns medium-sized images; the agreement is 0 for rejected pairs.

    first, second: uint8 (n, GLANCE_SIDE, GLANCE_SIDE).
    """
    refined, correlation = registered(first, second, maps, _CLOSE)
    agreement = np.zeros(len(first), np.float32)
    rows = np.flatnonzero((correlation >= _CLOSE.enough) & _nested(refined, _NEARLY_NESTED))
    agreement[rows] = _compared(first[rows], second[rows], refined[rows])
    found = _kept_unmoved(
        first, second, maps, Alignment(agreement, refined), candidates=_is_unmoved(maps)
    )
    agreement[agreement < _HOPELESS_CLOSE] = 0
    return found


def align(first: Pixels, second: Pixels, maps: Floats) -> Alignment:
    """Aligns thumbnails at full resolution.

    first, second: uint8 (n, side, side).
    maps: float32 (n, 2, 3), from `align_closely`.
    """
    agreement = np.zeros(len(first), np.float32)
    ones, twos = (shrunk(images, GLANCE_SIDE) for images in (first, second))
    refined, correlation = registered(ones, twos, maps, _FINE)
    rows = np.flatnonzero(correlation >= _FINE.enough)
    agreement[rows] = _compared(ones[rows], twos[rows], refined[rows])
    rows = rows[(agreement[rows] > _HOPELESS) & (agreement[rows] < _BEYOND_DOUBT)]
    agreement[rows] = _compared(first[rows], second[rows], refined[rows])
    agreement[~_nested(refined, _NESTED)] = 0
    doubtful = _is_unmoved(maps) & (agreement < _BEYOND_DOUBT)
    return _kept_unmoved(first, second, maps, Alignment(agreement, refined), candidates=doubtful)


def _kept_unmoved(
    first: Pixels, second: Pixels, maps: Floats, found: Alignment, *, candidates: Mask
) -> Alignment:
    """Restores the initial `maps` in place where the images agree better without registration.

    A bar across one of the images can mislead the registration. Only `candidates` are
    tried.
    """
    rows = np.flatnonzero(candidates)
    unmoved = compare_unmoved(first[rows], second[rows])
    better = unmoved > found.agreement[rows]
    found.agreement[rows[better]] = unmoved[better]
    found.maps[rows[better]] = maps[rows[better]]
    return found


def _is_unmoved(maps: Floats) -> Mask:
    unmoved: Mask = (maps == np.eye(2, 3, dtype=np.float32)).all(axis=(1, 2))
    return unmoved


def _compared(first: Pixels, second: Pixels, maps: Floats) -> Floats:
    """Agreement of images aligned by `maps`, float32 (n,)."""
    if not len(first):
        return np.zeros(0, np.float32)

    def part(rows: slice) -> tuple[Floats]:
        ones, twos = (images[rows].astype(np.float32) for images in (first, second))
        return (compare(ones, *warp(twos, maps[rows])),)

    return in_parts(part, len(first), first.shape[1] ** 2)[0]


def compare_unmoved(first: Pixels, second: Pixels) -> Floats:
    """Computes the agreement of images as they are, without registration.

    first, second: uint8 (n, side, side).
    Returns float32 (n,).
    """
    if not len(first):
        return np.zeros(0, np.float32)
    everywhere = np.ones((1, *first.shape[1:]), np.bool_)

    def part(rows: slice) -> tuple[Floats]:
        ones, twos = (images[rows].astype(np.float32) for images in (first, second))
        return (compare(ones, twos, everywhere),)

    return in_parts(part, len(first), first.shape[1] ** 2)[0]


def _nested(maps: Floats, least: float) -> Mask:
    """Whether one of two images lies almost wholly within the other, bool (n,).

    A cropped, framed or tilted copy lies within its source. Two frames of a moving camera each show
    something of their own, however well they agree elsewhere.
    """
    last = np.broadcast_to(np.array([[[0, 0, 1]]], np.float32), (len(maps), 1, 3))
    back = np.linalg.inv(np.concatenate([maps, last], axis=1))[:, :2]
    places = (way @ grid(_NESTED_SIDE) for way in (maps, back))
    shares = [(np.abs(each) <= 1).all(axis=1).mean(axis=1) for each in places]
    nested: Mask = np.maximum(*shares) >= least
    return nested
