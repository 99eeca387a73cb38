"""Similar images: the nearest neighbours of each one above a threshold, updated incrementally.

A later run searches only for new images and merges them into the lists of known ones, with the same
result as a full run.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mmsearch.dedup.cache.pair_cache import Remembered
from mmsearch.dedup.results import SimilarPairs
from mmsearch.dedup.thumbnails.edited_copies import EditedPairs
from mmsearch.dedup.thumbnails.greedy_matching import places_in_runs
from mmsearch.records import Floats, Ids

# Neighbours of each image, without itself.
NEAREST = 11
# New images are searched with more neighbours as long as all of these are above the threshold: they
# may be among the nearest of any known image.
_GROWTH, _MOST_NEIGHBOURS = 4, 3000


@dataclass(frozen=True, slots=True)
class SimilarTo:
    """Directed edges from rows to similar rows.

    edges: int64 (m, 2), a row and a neighbour.
    cosines: float32 (m,).
    """

    edges: Ids
    cosines: Floats

    @classmethod
    def joined(cls, parts: Sequence["SimilarTo"]) -> "SimilarTo":
        """Concatenates edges."""
        return cls(
            np.concatenate([np.zeros((0, 2), np.int64), *(part.edges for part in parts)]),
            np.concatenate([np.zeros(0, np.float32), *(part.cosines for part in parts)]),
        )

    def take(self, which: NDArray[np.bool_] | Ids) -> "SimilarTo":
        """Selects edges by a mask or by indices."""
        return SimilarTo(self.edges[which], self.cosines[which])

    def reversed(self) -> "SimilarTo":
        """Reverses the edges."""
        return SimilarTo(self.edges[:, ::-1], self.cosines)

    def nearest(self) -> "SimilarTo":
        """Keeps the NEAREST neighbours of each row, sorted by row."""
        row, other = self.edges.T
        ordered = self.take(np.lexsort((other, -self.cosines, row)))
        return ordered.take(places_in_runs(ordered.edges[:, 0]) < NEAREST)

    def pairs(self) -> SimilarPairs:
        """Unique pairs, the smaller row first, in ascending order."""
        pairs = np.sort(self.edges, axis=1)
        order = np.lexsort((-self.cosines, pairs[:, 1], pairs[:, 0]))
        pairs, cosines = pairs[order], self.cosines[order]
        first = np.ones(len(pairs), np.bool_)
        first[1:] = (pairs[1:] != pairs[:-1]).any(axis=1)
        return SimilarPairs(pairs[first], cosines[first])


# A search: from query rows, bool (n,), and a number of neighbours to the edges above the threshold,
# and the rows, bool (n,), that may have more of them.
Search = Callable[[NDArray[np.bool_], int], tuple[SimilarTo, NDArray[np.bool_]]]


def find_similar(
    names: Sequence[str], compared: NDArray[np.bool_], search: Search, memory: Remembered
) -> tuple[SimilarTo, Remembered]:
    """Finds similar rows, reusing an earlier result.

    names: of all rows, keys of the cache.
    compared: bool (n,), the rows to include.
    Returns the edges and the result to cache, `memory` itself if nothing changed.
    """
    place_of = {name: place for place, name in enumerate(names) if compared[place]}
    here = np.array([place_of.get(name, -1) for name in memory.hashes], np.int64)
    old = memory.found.pairs
    there: NDArray[np.bool_] = here[old] >= 0
    full = np.bincount(old[:, 0], minlength=len(here)) == NEAREST
    # A full list that lost a neighbour had a next one that is not known.
    lost = np.zeros(len(here), np.bool_)
    lost[old[there[:, 0] & ~there[:, 1], 0]] = True
    repeated = _rows(here[full & lost], len(names))
    settled = _rows(here[here >= 0], len(names))
    new = compared & ~settled
    kept = SimilarTo(here[old], memory.found.agreement).take(np.logical_and(*there.T))
    parts = [kept.take(~repeated[kept.edges[:, 0]])]
    if repeated.any():
        parts.append(search(repeated, NEAREST + 1)[0])
    if new.any():
        parts += _of_new(new, settled & ~repeated, search)
    found = SimilarTo.joined(parts).nearest()
    if (here >= 0).all() and not new.any():
        return found, memory
    number = np.cumsum(compared) - 1
    edges = EditedPairs(number[found.edges], found.cosines, np.zeros(len(found.edges), np.int8))
    listed = tuple(name for name, counts in zip(names, compared.tolist(), strict=True) if counts)
    return found, Remembered(listed, edges, memory.setting)


def _of_new(new: NDArray[np.bool_], settled: NDArray[np.bool_], search: Search) -> list[SimilarTo]:
    """Edges of new rows, and the edges back to them from known rows."""
    if not settled.any():
        return [search(new, NEAREST + 1)[0]]
    parts: list[SimilarTo] = []
    left, k = new, (NEAREST + 1) * _GROWTH
    while left.any():
        found, more = search(left, k)
        if k >= _MOST_NEIGHBOURS:
            more = np.zeros_like(more)
        done = found.take(~more[found.edges[:, 0]])
        parts += [done, done.take(settled[done.edges[:, 1]]).reversed()]
        left, k = more, k * _GROWTH
    return parts


def _rows(places: Ids, count: int) -> NDArray[np.bool_]:
    rows = np.zeros(count, np.bool_)
    rows[places] = True
    return rows
