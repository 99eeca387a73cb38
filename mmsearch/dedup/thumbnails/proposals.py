"""Candidate pairs: which images may be copies of each other, and by which transform.

Candidates come from descriptors and are not verified here: first unmoved matches in any of eight
orientations, then pairs where one may be a crop, a frame or a tilt of the other.
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
# Block of thumbnails that fits in a core's cache, which is several times as fast.
_SHRUNK_AT_ONCE = 64
# Up to this many rows the search is exhaustive, which takes seconds.
_EXACT_ROWS = 20_000
# Minimum cosines of candidates, see docs/dedup.md.
_TURNLESS_LIKENESS = 0.5
_UNMOVED_LIKENESS = 0.8
_NEAR_LIKENESS = 0.6
_UNMOVED_NEIGHBOURS = 24
_NEAR_NEIGHBOURS = 8
# Candidates per new image among the images that it may be a crop of.
_QUERIES_PER_CANDIDATE = 16
_WINDOWED_AT_ONCE = 256
# Transforms tried per pair: the most similar one is mostly right, a second one covers the rest.
_WAYS_TRIED = 2


@dataclass(frozen=True, slots=True)
class Ways:
    """Candidate transforms: all of `whole` may be what a window of `other` shows.

    whole, other: int64 (m,), rows of images.
    whole_turn, other_turn: int64 (m,), indices into ORIENTATIONS.
    window: int64 (m,), indices into WINDOWS.
    likeness: float32 (m,), cosine similarities.
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
        """The pairs of rows, int64 (m, 2)."""
        return np.stack([self.whole, self.other], axis=1)

    @property
    def orientation(self) -> Ids:
        """Orientation that turns `other` onto the unturned `whole`, int64 (m,)."""
        turned: Ids = COMPOSED[self.other_turn, INVERSE[self.whole_turn]]
        return turned

    def take(self, which: Ids | NDArray[np.bool_]) -> "Ways":
        """Selects candidates by a mask or by indices."""
        return Ways(*(getattr(self, field.name)[which] for field in fields(self)))

    @staticmethod
    def joined(parts: Sequence["Ways"]) -> "Ways":
        """Concatenates candidates."""
        names = [field.name for field in fields(Ways)]
        empty = [np.zeros(0, np.float32 if name == "likeness" else np.int64) for name in names]
        columns = (
            np.concatenate([none, *(getattr(part, name) for part in parts)])
            for none, name in zip(empty, names, strict=True)
        )
        return Ways(*columns)


@dataclass(frozen=True, slots=True)
class Views:
    """Reduced images and their descriptors, computed once.

    medium: uint8 (n, GLANCE_SIDE, GLANCE_SIDE).
    small: uint8 (n, SMALL_SIDE, SMALL_SIDE).
    upright: float32 (n, DIM), descriptors.
    """

    medium: Pixels
    small: Pixels
    upright: Floats

    @classmethod
    def of(cls, thumbnails: Pixels) -> "Views":
        """Computes the views of thumbnails, uint8 (n, side, side)."""
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
    """Turns images, uint8 (n, side, side), by indices into ORIENTATIONS, int64 (n,)."""
    turned = images.copy()
    for number, orientation in enumerate(ORIENTATIONS):
        rows = np.flatnonzero(turns == number)
        if number and rows.size:
            turned[rows] = orientation.turn(images[rows])
    return turned


def propose_unmoved(views: Views, queries: Ids, candidates: Ids) -> Ways:
    """Proposes pairs of a query and a candidate that match unmoved, in their best orientation."""
    magnitudes = turnless(views.upright)
    index = _index_of(magnitudes[candidates], candidates)
    found = []
    for rows in (queries[block] for block in blocks_of(len(queries))):
        place, other, _ = _nearest(
            index, magnitudes[rows], rows, _UNMOVED_NEIGHBOURS, least=_TURNLESS_LIKENESS
        )
        found.append(np.sort(np.stack([rows[place], other], axis=1), axis=1))
    pairs = np.unique(np.concatenate([np.zeros((0, 2), np.int64), *found]), axis=0)
    return Ways.joined([_likeliest_turn(views, pairs[block]) for block in blocks_of(len(pairs))])


def _likeliest_turn(views: Views, pairs: Ids) -> Ways:
    """The best orientation of the second image of each pair, if it is similar enough."""
    one, two = pairs.T
    rows, places = np.unique(two, return_inverse=True)
    features = descriptors(views.small[rows], WHOLE, ORIENTATIONS)[:, 0]
    likeness = np.stack(
        [
            np.einsum("md,md->m", features[places, turn], views.upright[one])
            for turn in range(len(ORIENTATIONS))
        ],
        axis=1,
    )
    best, none = likeness.argmax(axis=1), np.zeros_like(one)
    ways = Ways(one, none, two, best, none, likeness.max(axis=1))
    return ways.take(ways.likeness >= _UNMOVED_LIKENESS)


def propose_near(
    views: Views, queries: Ids, candidates: Ids, *, frames: Ids, turns: Sequence[Sequence[int]]
) -> Ways:
    """Proposes pairs where one may be a crop, a frame or a tilt of the other.

    frames: int64 (n,), orientation applied to each image before the search.
    turns: for each query the orientations to search in.
    """
    index = _index_of(_framed(views, candidates, frames[candidates]), candidates)
    found = []
    for number, orientation in enumerate(ORIENTATIONS):
        rows = queries[[number in own for own in turns]]
        for part in (rows[block] for block in blocks_of(len(rows))):
            features = descriptors(views.small[part], WINDOWS, [orientation]).reshape(-1, DIM)
            others = np.repeat(part, len(WINDOWS))
            place, whole, likeness = _nearest(
                index, features, others, _NEAR_NEIGHBOURS, least=_NEAR_LIKENESS
            )
            turn, window = np.full(len(whole), number), place % len(WINDOWS)
            found.append(Ways(whole, frames[whole], others[place], turn, window, likeness))
    every = Ways.joined(found)
    return every.take(best_ways(every, _WAYS_TRIED))


def propose_wholes(
    views: Views, queries: Ids, candidates: Ids, *, frames: Ids, turns: Sequence[Sequence[int]]
) -> Ways:
    """Proposes pairs as `propose_near` does, for few candidates.

    Each candidate selects the queries that it is most likely a crop of, so that queries that are
    similar to many candidates cost nothing extra.
    """
    wholes = _framed(views, candidates, frames[candidates])
    found = []
    for number, orientation in enumerate(ORIENTATIONS):
        rows = queries[[number in own for own in turns]]
        for part in (rows[block] for block in blocks_of(len(rows), _WINDOWED_AT_ONCE)):
            features = descriptors(views.small[part], WINDOWS, [orientation])[:, :, 0]
            likeness = np.einsum("nwd,md->mnw", features, wholes, optimize=True)
            one, other, window = _best_queries(likeness)
            turn, whole = np.full(len(one), number), candidates[one]
            chosen = likeness[one, other, window]
            found.append(Ways(whole, frames[whole], part[other], turn, window, chosen))
    every = Ways.joined(found)
    every = every.take(every.whole != every.other)
    best = every.take(best_ways(every, _WAYS_TRIED))
    return best.take(_limited_queries(best))


def _best_queries(likeness: Floats) -> tuple[Ids, Ids, Ids]:
    """The most similar windows of the most similar queries of each candidate.

    likeness: float32 (m, n, windows).
    Returns indices of candidate, query and window, int64 (w,) each.
    """
    windows = np.argpartition(likeness, -_WAYS_TRIED, axis=2)[:, :, -_WAYS_TRIED:]
    tried = np.take_along_axis(likeness, windows, axis=2)
    best = tried.max(axis=2)
    count = min(_QUERIES_PER_CANDIDATE, best.shape[1])
    queries = np.argpartition(best, -count, axis=1)[:, -count:]
    likely = np.take_along_axis(tried, queries[:, :, None], axis=1) >= _NEAR_LIKENESS
    one, place, way = np.nonzero(likely)
    other = queries[one, place]
    return one, other, windows[one, other, way]


def _limited_queries(ways: Ways) -> Ids:
    """Indices of the candidates with the most similar queries of each whole image."""
    pairs, place = np.unique(ways.pairs, axis=0, return_inverse=True)
    best = np.full(len(pairs), -1, np.float32)
    np.maximum.at(best, place.ravel(), ways.likeness)
    order = np.lexsort((pairs[:, 1], -best, pairs[:, 0]))
    rank = np.empty(len(order), np.int64)
    rank[order] = places_in_runs(pairs[order, 0])
    return np.flatnonzero(rank[place.ravel()] < _QUERIES_PER_CANDIDATE)


def _framed(views: Views, rows: Ids, frames: Ids) -> Floats:
    """Descriptors of the rows in their orientations, float32 (n, DIM)."""
    framed = views.upright[rows]
    for number, orientation in enumerate(ORIENTATIONS):
        which = np.flatnonzero(frames == number)
        if number and which.size:
            framed[which] = descriptors(views.small[rows[which]], WHOLE, [orientation])[:, 0, 0]
    return framed


def most_similar(views: Views, queries: Ids, count: int) -> tuple[Ids, Ids]:
    """Pairs of each query and the unturned rows most similar to it, int64 (m,) each."""
    index = _index_of(views.upright, np.arange(len(views.upright)))
    place, others, _ = _nearest(index, views.upright[queries], queries, count + 1, least=-1.0)
    return queries[place], others


def ways_of(views: Views, pairs: Ids) -> Ways:
    """Candidate transforms of given pairs: every orientation, and the most similar windows."""
    found = []
    for whole, other in (pairs.T, pairs.T[::-1]):
        features = descriptors(views.small[other], WINDOWS, ORIENTATIONS)
        likeness = np.einsum("mwod,md->mwo", features, views.upright[whole]).reshape(len(pairs), -1)
        best = np.argsort(-likeness, axis=1, kind="stable")[:, :_NEAR_NEIGHBOURS]
        wholes = np.tile(np.arange(len(ORIENTATIONS)), (len(pairs), 1))
        best = np.concatenate([wholes, best], axis=1)
        window, turn = np.divmod(best.ravel(), len(ORIENTATIONS))
        one, two = (np.repeat(rows, best.shape[1]) for rows in (whole, other))
        chosen = np.take_along_axis(likeness, best, axis=1).ravel()
        found.append(Ways(one, np.zeros_like(one), two, turn, window, chosen))
    return Ways.joined(found)


def best_ways(ways: Ways, count: int) -> Ids:
    """Indices of the most similar `count` transforms of each pair, int64 (m,)."""
    low, high = np.minimum(ways.whole, ways.other), np.maximum(ways.whole, ways.other)
    order = np.lexsort((ways.other_turn, ways.window, ways.whole, -ways.likeness, high, low))
    pairs = (low * (1 + high.max(initial=0)) + high)[order]
    best: Ids = order[places_in_runs(pairs) < count]
    return best


def blocks_of(count: int, size: int = BLOCK) -> Iterator[slice]:
    """Slices of at most `size` rows."""
    for start in range(0, count, size):
        yield slice(start, start + size)


def _nearest(
    index: VectorIndex, vectors: Floats, rows: Ids, k: int, *, least: float
) -> tuple[Ids, Ids, Floats]:
    """Searches the index for neighbours of the vectors with at least a minimum similarity.

    rows: int64 (n,), the id of each vector's own image, which is excluded.
    Returns indices into `vectors`, ids of neighbours and cosines, (m,) each.
    """
    # The vector of a blank image is zero and has no neighbours.
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
