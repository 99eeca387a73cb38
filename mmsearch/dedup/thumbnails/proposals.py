"""Which pictures may be copies of each other, and how one would lie on the other.

Descriptors propose, nothing here decides: first pairs that match as they stand, in any of eight
orientations, then pairs of which one shows a crop, a frame or a tilt of the other.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from mmsearch.dedup.thumbnails.alignment import GLANCE_SIDE
from mmsearch.dedup.thumbnails.greedy_matching import places_in_runs
from mmsearch.dedup.thumbnails.views import (
    COMPOSED,
    DIM,
    INVERSE,
    ORIENTATIONS,
    WHOLE,
    WINDOWS,
    descriptors,
    turnless,
)
from mmsearch.dedup.thumbnails.warping import shrunk
from mmsearch.indexes import IndexOptions, VectorIndex, build_index
from mmsearch.records import Floats, Ids, Pixels

SMALL_SIDE = 32
BLOCK = 2048
# Thumbnails that fit in a core's cache: several times as fast.
_SHRUNK_AT_ONCE = 64
# Up to here every descriptor is compared with every other one, which takes seconds.
_EXACT_ROWS = 20_000
# Cosines from which a check may succeed, see docs/dedup.md.
_TURNLESS_LIKENESS = 0.5
_TWIN_LIKENESS = 0.8
_NEAR_LIKENESS = 0.6
_TWINS_ASKED = 24
_NEAR_ASKED = 8
# By a new picture, of those that it may be a crop of.
_ASKERS_NAMED = 16
_LOOKED_AT_ONCE = 256
# Of each pair: the descriptor's favourite is mostly right, a second one settles the rest.
_WAYS_TRIED = 2


@dataclass(frozen=True, slots=True)
class Ways:
    """Where the whole of `whole` may be what a window of `other` shows, both turned: int64 (m,).

    whole_turn, other_turn: places in ORIENTATIONS. window: places in WINDOWS. likeness: float32
    (m,), a cosine.
    """

    whole: Ids
    whole_turn: Ids
    other: Ids
    other_turn: Ids
    window: Ids
    likeness: Floats

    def __len__(self) -> int:
        return len(self.whole)

    @property
    def pairs(self) -> Ids:
        """int64 (m, 2)."""
        return np.stack([self.whole, self.other], axis=1)

    @property
    def orientation(self) -> Ids:
        """How `other` is turned to lie on `whole` as it stands, int64 (m,)."""
        turned: Ids = COMPOSED[self.other_turn, INVERSE[self.whole_turn]]
        return turned

    def take(self, which: Ids | NDArray[np.bool_]) -> "Ways":
        return Ways(*(getattr(self, field.name)[which] for field in fields(self)))

    @staticmethod
    def joined(parts: Sequence["Ways"]) -> "Ways":
        """The ways of all parts; of none there are none."""
        names = [field.name for field in fields(Ways)]
        empty = [np.zeros(0, np.float32 if name == "likeness" else np.int64) for name in names]
        columns = (
            np.concatenate([none, *(getattr(part, name) for part in parts)])
            for none, name in zip(empty, names, strict=True)
        )
        return Ways(*columns)


@dataclass(frozen=True, slots=True)
class Views:
    """What is looked at again and again, made once.

    medium: uint8 (n, GLANCE_SIDE, GLANCE_SIDE). small: uint8 (n, SMALL_SIDE, SMALL_SIDE). upright:
    float32 (n, DIM), their descriptors.
    """

    medium: Pixels
    small: Pixels
    upright: Floats

    @classmethod
    def of(cls, thumbnails: Pixels) -> "Views":
        count = len(thumbnails)
        medium = np.empty((count, GLANCE_SIDE, GLANCE_SIDE), np.uint8)
        small = np.empty((count, SMALL_SIDE, SMALL_SIDE), np.uint8)
        upright = np.empty((count, DIM), np.float32)
        for start in range(0, count, _SHRUNK_AT_ONCE):
            rows = slice(start, start + _SHRUNK_AT_ONCE)
            medium[rows] = shrunk(thumbnails[rows], GLANCE_SIDE)
            small[rows] = shrunk(medium[rows], SMALL_SIDE)
            upright[rows] = descriptors(small[rows])[:, 0, 0]
        return cls(medium, small, upright)


def turned_by(images: Pixels, turns: Ids) -> Pixels:
    """uint8 (n, side, side), each turned by the place in ORIENTATIONS that `turns` (n,) gives."""
    turned = images.copy()
    for number, orientation in enumerate(ORIENTATIONS):
        rows = np.flatnonzero(turns == number)
        if number and rows.size:
            turned[rows] = orientation.turn(images[rows])
    return turned


def propose_twins(views: Views, askers: Ids, asked: Ids) -> Ways:
    """Pairs of an asker and one asked that look alike as a whole, the likeliest turn of each."""
    magnitudes = turnless(views.upright)
    index = _index_of(magnitudes[asked], asked)
    found = []
    for rows in (askers[block] for block in blocks_of(len(askers))):
        place, other, _ = _nearest(index, magnitudes[rows], rows, _TWINS_ASKED, _TURNLESS_LIKENESS)
        found.append(np.sort(np.stack([rows[place], other], axis=1), axis=1))
    pairs = np.unique(np.concatenate([np.zeros((0, 2), np.int64), *found]), axis=0)
    return Ways.joined([_likeliest_turn(views, pairs[block]) for block in blocks_of(len(pairs))])


def _likeliest_turn(views: Views, pairs: Ids) -> Ways:
    """Of each pair the orientation in which the second looks most like the first, if it does."""
    one, two = pairs.T
    rows, places = np.unique(two, return_inverse=True)
    looks = descriptors(views.small[rows], WHOLE, ORIENTATIONS)[:, 0]
    likeness = np.stack(
        [
            np.einsum("md,md->m", looks[places, turn], views.upright[one])
            for turn in range(len(ORIENTATIONS))
        ],
        axis=1,
    )
    best, none = likeness.argmax(axis=1), np.zeros_like(one)
    ways = Ways(one, none, two, best, none, likeness.max(axis=1))
    return ways.take(ways.likeness >= _TWIN_LIKENESS)


def propose_near(
    views: Views, askers: Ids, asked: Ids, *, frames: Ids, turns: Sequence[Sequence[int]]
) -> Ways:
    """Pairs of which one may be a crop, a frame or a tilt of the other, a few ways for each.

    frames: int64 (n,), how every picture of the views is turned before it is looked at. turns: for
    each asker the orientations to look for it in.
    """
    index = _index_of(_framed(views, asked, frames[asked]), asked)
    found = []
    for number, orientation in enumerate(ORIENTATIONS):
        rows = askers[[number in own for own in turns]]
        for part in (rows[block] for block in blocks_of(len(rows))):
            looks = descriptors(views.small[part], WINDOWS, [orientation]).reshape(-1, DIM)
            others = np.repeat(part, len(WINDOWS))
            place, whole, likeness = _nearest(index, looks, others, _NEAR_ASKED, _NEAR_LIKENESS)
            turn, window = np.full(len(whole), number), place % len(WINDOWS)
            found.append(Ways(whole, frames[whole], others[place], turn, window, likeness))
    every = Ways.joined(found)
    return every.take(best_ways(every, _WAYS_TRIED))


def propose_wholes(
    views: Views, askers: Ids, asked: Ids, *, frames: Ids, turns: Sequence[Sequence[int]]
) -> Ways:
    """As `propose_near`, but each of the asked, of which there are few, names those askers of which
    it is most likely a crop: that the same askers lie near many of them costs nothing more."""
    wholes = _framed(views, asked, frames[asked])
    found = []
    for number, orientation in enumerate(ORIENTATIONS):
        rows = askers[[number in own for own in turns]]
        for part in (rows[block] for block in blocks_of(len(rows), _LOOKED_AT_ONCE)):
            looks = descriptors(views.small[part], WINDOWS, [orientation])[:, :, 0]
            likeness = np.einsum("nwd,md->mnw", looks, wholes, optimize=True)
            one, other, window = _likeliest_askers(likeness)
            turn, whole = np.full(len(one), number), asked[one]
            chosen = likeness[one, other, window]
            found.append(Ways(whole, frames[whole], part[other], turn, window, chosen))
    every = Ways.joined(found)
    every = every.take(every.whole != every.other)
    best = every.take(best_ways(every, _WAYS_TRIED))
    return best.take(_named_by_few(best))


def _likeliest_askers(likeness: Floats) -> tuple[Ids, Ids, Ids]:
    """likeness: float32 (m, n, windows) → places of the likeliest windows of the likeliest askers.

    int64 (w,) each: which of the asked, asker and window.
    """
    windows = np.argpartition(likeness, -_WAYS_TRIED, axis=2)[:, :, -_WAYS_TRIED:]
    tried = np.take_along_axis(likeness, windows, axis=2)
    best = tried.max(axis=2)
    count = min(_ASKERS_NAMED, best.shape[1])
    askers = np.argpartition(best, -count, axis=1)[:, -count:]
    likely = np.take_along_axis(tried, askers[:, :, None], axis=1) >= _NEAR_LIKENESS
    one, place, way = np.nonzero(likely)
    other = askers[one, place]
    return one, other, windows[one, other, way]


def _named_by_few(ways: Ways) -> Ids:
    """The ways to the likeliest askers of each whole: their places."""
    pairs, place = np.unique(ways.pairs, axis=0, return_inverse=True)
    best = np.full(len(pairs), -1, np.float32)
    np.maximum.at(best, place.ravel(), ways.likeness)
    order = np.lexsort((pairs[:, 1], -best, pairs[:, 0]))
    rank = np.empty(len(order), np.int64)
    rank[order] = places_in_runs(pairs[order, 0])
    return np.flatnonzero(rank[place.ravel()] < _ASKERS_NAMED)


def _framed(views: Views, rows: Ids, frames: Ids) -> Floats:
    """The descriptors of the rows, each in its frame, float32 (n, DIM)."""
    framed = views.upright[rows]
    for number, orientation in enumerate(ORIENTATIONS):
        which = np.flatnonzero(frames == number)
        if number and which.size:
            framed[which] = descriptors(views.small[rows[which]], WHOLE, [orientation])[:, 0, 0]
    return framed


def nearest_looks(views: Views, askers: Ids, count: int) -> tuple[Ids, Ids]:
    """Each asker and the rows that look most like it as they stand, int64 (m,) each."""
    index = _index_of(views.upright, np.arange(len(views.upright)))
    place, others, _ = _nearest(index, views.upright[askers], askers, count + 1, -1.0)
    return askers[place], others


def ways_of(views: Views, pairs: Ids) -> Ways:
    """Every orientation of the whole, and the likeliest windows, both ways: for given pairs."""
    found = []
    for whole, other in (pairs.T, pairs.T[::-1]):
        looks = descriptors(views.small[other], WINDOWS, ORIENTATIONS)
        likeness = np.einsum("mwod,md->mwo", looks, views.upright[whole]).reshape(len(pairs), -1)
        best = np.argsort(-likeness, axis=1, kind="stable")[:, :_NEAR_ASKED]
        wholes = np.tile(np.arange(len(ORIENTATIONS)), (len(pairs), 1))
        best = np.concatenate([wholes, best], axis=1)
        window, turn = np.divmod(best.ravel(), len(ORIENTATIONS))
        one, two = (np.repeat(rows, best.shape[1]) for rows in (whole, other))
        chosen = np.take_along_axis(likeness, best, axis=1).ravel()
        found.append(Ways(one, np.zeros_like(one), two, turn, window, chosen))
    return Ways.joined(found)


def best_ways(ways: Ways, count: int) -> Ids:
    """Of each pair the likeliest ways to lay one over the other: their places, int64 (m,)."""
    low, high = np.minimum(ways.whole, ways.other), np.maximum(ways.whole, ways.other)
    order = np.lexsort((ways.other_turn, ways.window, ways.whole, -ways.likeness, high, low))
    pairs = (low * (1 + high.max(initial=0)) + high)[order]
    best: Ids = order[places_in_runs(pairs) < count]
    return best


def blocks_of(count: int, size: int = BLOCK) -> Iterator[slice]:
    for start in range(0, count, size):
        yield slice(start, start + size)


def _nearest(
    index: VectorIndex, vectors: Floats, rows: Ids, k: int, least: float
) -> tuple[Ids, Ids, Floats]:
    """Which places of `vectors` lie near which ids of the index, int64 (m,) each, and how near.

    rows: int64 (n,), the id of each vector's own picture, which is no neighbour of it.
    """
    # A blank picture has no direction and is nobody's neighbour.
    full = np.flatnonzero(vectors.any(axis=1))
    if not full.size or not len(index):
        return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32)
    similarities, ids = index.search(np.ascontiguousarray(vectors[full]), min(k, len(index)))
    near = (similarities >= least) & (ids >= 0) & (ids != rows[full, None])
    place, _ = np.nonzero(near)
    return full[place], ids[near], similarities[near]


@dataclass(frozen=True, slots=True)
class _Rows:
    vectors: Floats
    ids: Ids

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Iterator[tuple[Floats, Ids]]:
        for start in range(0, len(self.ids), _EXACT_ROWS):
            yield self.vectors[start : start + _EXACT_ROWS], self.ids[start : start + _EXACT_ROWS]


def _index_of(vectors: Floats, ids: Ids) -> VectorIndex:
    full = vectors.any(axis=1)
    rows = _Rows(np.ascontiguousarray(vectors[full]), ids[full])
    kind = IndexOptions(kind="flat" if len(rows) <= _EXACT_ROWS else "ivf-flat")
    return build_index(rows, dim=DIM, options=kind)
