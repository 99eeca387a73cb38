"""Nearest neighbours of each row, updated incrementally."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mmsearch.indexes import IndexOptions, build_index
from mmsearch.indexes.base import IndexKind, VectorIndex
from mmsearch.indexes.faiss_index import ordered
from mmsearch.records import Floats, Ids

BLOCK = 512
# With a larger share of queries a full search is as fast.
_MOST_QUERIES = 0.5
_FEW = 8


@dataclass(frozen=True, slots=True)
class NearestRows:
    """Nearest neighbours of rows.

    uids: int64 (n,), ascending.
    near: int64 (n, k), indices of neighbours, nearest first, ties by index.
    similarities: float32 (n, k).
    """

    uids: Ids
    near: Ids
    similarities: Floats

    @classmethod
    def of(cls, uids: Ids, vectors: Floats, k: int) -> "NearestRows":
        """Searches for k neighbours of each row, fewer if there are not enough rows.

        vectors: float32 (n, dim), unit rows.
        """
        rows = np.arange(len(uids))
        return cls(uids, *_search(_index_of(vectors, rows, "auto"), vectors, rows, _most(k, rows)))

    def updated(self, uids: Ids, vectors: Floats, k: int) -> "NearestRows":
        """Updates the neighbours to these rows; known uids must have unchanged vectors."""
        count, width = len(uids), self.near.shape[1]
        if width != _most(k, uids):
            return NearestRows.of(uids, vectors, k)
        here = places_of(self.uids, uids)
        lists = here[self.near]
        complete = (here >= 0) & (lists >= 0).all(axis=1)
        near = np.zeros((count, width), np.int64)
        similarities = np.zeros((count, width), np.float32)
        near[here[complete]], similarities[here[complete]] = (
            lists[complete],
            self.similarities[complete],
        )
        known, new = np.zeros(count, np.bool_), np.ones(count, np.bool_)
        known[here[complete]], new[here[here >= 0]] = True, False
        queries = np.flatnonzero(~known)
        if len(queries) > _MOST_QUERIES * count:
            return NearestRows.of(uids, vectors, k)
        if new.any():
            _merge_new(near, similarities, vectors, np.flatnonzero(known), new=np.flatnonzero(new))
        if queries.size:
            index = _index_of(vectors, np.arange(count), "flat")
            near[queries], similarities[queries] = _search(index, vectors, queries, width)
        return NearestRows(uids, near, similarities)


def _merge_new(near: Ids, similarities: Floats, vectors: Floats, known: Ids, *, new: Ids) -> None:
    """Merges new rows into the lists of known rows, in place."""
    width = near.shape[1]
    index = _index_of(vectors, new, "flat")
    most = min(width, len(new))
    for block in _blocks(len(known)):
        left = known[block]
        # Most lists change by one or two; a search among all new rows is the slowest step.
        for k in sorted({min(_FEW, most), most}):
            closeness, others = index.search(vectors[left], k)
            nearer = closeness >= similarities[left, -1:]
            done = nearer[:, 0] & (~nearer[:, -1] | (k == most))
            chosen = left[done]
            similarities[chosen], near[chosen] = ordered(
                np.concatenate([similarities[chosen], closeness[done]], axis=1),
                np.concatenate([near[chosen], others[done]], axis=1),
                width,
            )
            left = left[nearer[:, -1] & (k < most)]
            if not left.size:
                break


def _search(index: VectorIndex, vectors: Floats, rows: Ids, k: int) -> tuple[Ids, Floats]:
    """The k nearest other rows, int64 and float32 (n, k), nearest first."""
    parts = [
        _others(*index.search(vectors[rows[block]], k + 1), rows[block])
        for block in _blocks(len(rows))
    ]
    near, similarities = (np.concatenate(column) for column in zip(*parts, strict=True))
    return near, similarities


def _others(similarities: Floats, ids: Ids, rows: Ids) -> tuple[Ids, Floats]:
    """Removes each query row itself, or the last row if ties crowded the query out."""
    own = ids == rows[:, None]
    own[~own.any(axis=1), -1] = True
    shape = (len(rows), ids.shape[1] - 1)
    return ids[~own].reshape(shape), similarities[~own].reshape(shape)


def _most(k: int, rows: Ids) -> int:
    return min(k, len(rows) - 1)


def places_of(uids: Ids, ascending: Ids) -> Ids:
    """Indices of uids in `ascending`, -1 for those that are missing.

    uids: int64 (n,).
    """
    if not len(ascending):
        return np.full(len(uids), -1)
    place = np.minimum(np.searchsorted(ascending, uids), len(ascending) - 1)
    there: Ids = np.where(ascending[place] == uids, place, -1)
    return there


def _index_of(vectors: Floats, rows: Ids, kind: IndexKind) -> VectorIndex:
    chosen = _Rows(vectors, rows)
    return build_index(chosen, dim=vectors.shape[1], options=IndexOptions(kind=kind))


@dataclass(frozen=True, slots=True)
class _Rows:
    vectors: Floats
    chosen: Ids

    def __len__(self) -> int:
        return len(self.chosen)

    def __iter__(self) -> Iterator[tuple[Floats, Ids]]:
        for block in _blocks(len(self.chosen)):
            rows = self.chosen[block]
            yield self.vectors[rows], rows


def _blocks(count: int) -> Iterator[slice]:
    for start in range(0, count, BLOCK):
        yield slice(start, start + BLOCK)
