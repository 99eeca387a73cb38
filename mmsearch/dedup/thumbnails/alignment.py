"""The local check: two thumbnails are laid over each other and compared patch by patch.

A pair begins at the window in which the descriptors met; a registration refines it in three steps,
coarse to fine, each several times as dear as the one before; most pairs that are no copies are
dropped by the first two. The agreement is the correlation of the patches, weighted by how much
there is to see in them, without the worst ones: a logo or a text bar covers some, another shot of
the same thing disturbs all.
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
# Agreement of small pictures that leaves no doubt, and that leaves no hope, at the close step and
# at the fine one: of 1,600 copies one lay below.
_BEYOND_DOUBT, _HOPELESS_CLOSE, _HOPELESS = 0.94, 0.58, 0.65
GLANCE_SIDE = 64
# A tilt of three degrees, at the same size, takes the corners out: 2.6% of the picture.
_NESTED, _NEARLY_NESTED = 0.965, 0.94
_NESTED_SIDE = 32


@dataclass(frozen=True, slots=True)
class Alignment:
    """agreement: float32 (n,), 1 where all patches match. maps: float32 (n, 2, 3): where a place
    of the first picture lies in the second, both in -1 to 1 from the centre (x, y).
    """

    agreement: Floats
    maps: Floats


def window_maps(windows: Sequence[Window]) -> Floats:
    """float32 (n, 2, 3): the whole of the first picture is this window of the second."""
    maps = np.zeros((len(windows), 2, 3), np.float32)
    for row, window in enumerate(windows):
        for axis, (low, high) in enumerate(
            ((window.left, window.right), (window.top, window.bottom))
        ):
            maps[row, axis, axis] = high - low
            maps[row, axis, 2] = low + high - 1
    return maps


def align_roughly(first: Pixels, second: Pixels, maps: Floats) -> Alignment:
    """As `align`, at a glance: the agreement is the correlation of coarse pictures.

    first, second: uint8 (n, side, side), of a side of at least 16 pixels.
    """

    refined, correlation = registered(first, second, maps, _ROUGH)
    return Alignment(correlation, refined)


def align_closely(first: Pixels, second: Pixels, maps: Floats) -> Alignment:
    """As `align`, at a second look: the agreement is 0 where there is no hope left.

    first, second: uint8 (n, GLANCE_SIDE, GLANCE_SIDE).
    """
    refined, correlation = registered(first, second, maps, _CLOSE)
    agreement = np.zeros(len(first), np.float32)
    rows = np.flatnonzero((correlation >= _CLOSE.enough) & _nested(refined, _NEARLY_NESTED))
    agreement[rows] = _compared(first[rows], second[rows], refined[rows])
    found = _kept_unmoved(first, second, maps, Alignment(agreement, refined), _is_unmoved(maps))
    agreement[agreement < _HOPELESS_CLOSE] = 0
    return found


def align(first: Pixels, second: Pixels, maps: Floats) -> Alignment:
    """first, second: uint8 (n, side, side). maps: from `align_closely`, float32 (n, 2, 3)."""
    agreement = np.zeros(len(first), np.float32)
    ones, twos = (shrunk(images, GLANCE_SIDE) for images in (first, second))
    refined, correlation = registered(ones, twos, maps, _FINE)
    rows = np.flatnonzero(correlation >= _FINE.enough)
    agreement[rows] = _compared(ones[rows], twos[rows], refined[rows])
    rows = rows[(agreement[rows] > _HOPELESS) & (agreement[rows] < _BEYOND_DOUBT)]
    agreement[rows] = _compared(first[rows], second[rows], refined[rows])
    agreement[~_nested(refined, _NESTED)] = 0
    doubtful = _is_unmoved(maps) & (agreement < _BEYOND_DOUBT)
    return _kept_unmoved(first, second, maps, Alignment(agreement, refined), doubtful)


def _kept_unmoved(
    first: Pixels, second: Pixels, maps: Floats, found: Alignment, asked: Mask
) -> Alignment:
    """`found`, set back to `maps` in place where `asked` and the pictures agree better as they lie.

    A bar across one of them can lead the registration away from where both lie already.
    """
    rows = np.flatnonzero(asked)
    still = compare_unmoved(first[rows], second[rows])
    ahead = still > found.agreement[rows]
    found.agreement[rows[ahead]] = still[ahead]
    found.maps[rows[ahead]] = maps[rows[ahead]]
    return found


def _is_unmoved(maps: Floats) -> Mask:
    unmoved: Mask = (maps == np.eye(2, 3, dtype=np.float32)).all(axis=(1, 2))
    return unmoved


def _compared(first: Pixels, second: Pixels, maps: Floats) -> Floats:
    """The agreement float32 (n,) of the pictures, laid over each other."""
    if not len(first):
        return np.zeros(0, np.float32)

    def part(rows: slice) -> tuple[Floats]:
        ones, twos = (images[rows].astype(np.float32) for images in (first, second))
        return (compare(ones, *warp(twos, maps[rows])),)

    return in_parts(part, len(first), first.shape[1] ** 2)[0]


def compare_unmoved(first: Pixels, second: Pixels) -> Floats:
    """Agreement float32 (n,) of uint8 (n, side, side), laid over each other as they are."""

    if not len(first):
        return np.zeros(0, np.float32)
    everywhere = np.ones((1, *first.shape[1:]), np.bool_)

    def part(rows: slice) -> tuple[Floats]:
        ones, twos = (images[rows].astype(np.float32) for images in (first, second))
        return (compare(ones, twos, everywhere),)

    return in_parts(part, len(first), first.shape[1] ** 2)[0]


def _nested(maps: Floats, least: float) -> Mask:
    """Whether one of two pictures shows hardly anything that the other does not: bool (n,).

    What is cropped, framed or tilted lies within what it was made from. Of two frames of a moving
    camera each shows something of its own, however well they agree elsewhere.
    """
    last = np.broadcast_to(np.array([[[0, 0, 1]]], np.float32), (len(maps), 1, 3))
    back = np.linalg.inv(np.concatenate([maps, last], axis=1))[:, :2]
    places = (way @ grid(_NESTED_SIDE) for way in (maps, back))
    shares = [(np.abs(each) <= 1).all(axis=1).mean(axis=1) for each in places]
    nested: Mask = np.maximum(*shares) >= least
    return nested
