"""Similar pictures: each one's nearest others beyond a threshold, remembered from run to run.

A later run asks only for what is new, and sets it into the lists of what is old: what is found is
what a run over everything finds.
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

# Of each picture, besides itself.
NEAREST = 11
# What is new is asked for more, as long as all that is found lies near: it may be among the nearest
# of any of them.
_ASKED_MORE, _ASKED_MOST = 4, 3000


@dataclass(frozen=True, slots=True)
class SimilarTo:
    """edges: int64 (m, 2), a row and one near it. cosines: float32 (m,), theirs."""

    edges: Ids
    cosines: Floats

    @classmethod
    def joined(cls, parts: Sequence["SimilarTo"]) -> "SimilarTo":
        return cls(
            np.concatenate([np.zeros((0, 2), np.int64), *(part.edges for part in parts)]),
            np.concatenate([np.zeros(0, np.float32), *(part.cosines for part in parts)]),
        )

    def take(self, which: NDArray[np.bool_] | Ids) -> "SimilarTo":
        return SimilarTo(self.edges[which], self.cosines[which])

    def turned(self) -> "SimilarTo":
        return SimilarTo(self.edges[:, ::-1], self.cosines)

    def nearest(self) -> "SimilarTo":
        """Of each row the nearest few, by row."""
        row, other = self.edges.T
        ordered = self.take(np.lexsort((other, -self.cosines, row)))
        return ordered.take(places_in_runs(ordered.edges[:, 0]) < NEAREST)

    def pairs(self) -> SimilarPairs:
        """Each pair once, the smaller row first, in ascending order."""
        pairs = np.sort(self.edges, axis=1)
        order = np.lexsort((-self.cosines, pairs[:, 1], pairs[:, 0]))
        pairs, cosines = pairs[order], self.cosines[order]
        first = np.ones(len(pairs), np.bool_)
        first[1:] = (pairs[1:] != pairs[:-1]).any(axis=1)
        return SimilarPairs(pairs[first], cosines[first])


# The rows that are asked for, bool (n,), and how many neighbours → those near enough, and bool (n,)
# of whom there may be more.
Ask = Callable[[NDArray[np.bool_], int], tuple[SimilarTo, NDArray[np.bool_]]]


def find_similar(
    names: Sequence[str], compared: NDArray[np.bool_], ask: Ask, memory: Remembered
) -> tuple[SimilarTo, Remembered]:
    """names: of all rows, for the memory. compared: bool (n,), the rows that count.

    → their lists, and what the next run is to remember: `memory` itself where nothing changed.
    """
    place_of = {name: place for place, name in enumerate(names) if compared[place]}
    here = np.array([place_of.get(name, -1) for name in memory.hashes], np.int64)
    old = memory.found.pairs
    there: NDArray[np.bool_] = here[old] >= 0
    full = np.bincount(old[:, 0], minlength=len(here)) == NEAREST
    # Whoever's full list lost one has had another one next in line.
    lost = np.zeros(len(here), np.bool_)
    lost[old[there[:, 0] & ~there[:, 1], 0]] = True
    again = _rows(here[full & lost], len(names))
    settled = _rows(here[here >= 0], len(names))
    new = compared & ~settled
    kept = SimilarTo(here[old], memory.found.agreement).take(np.logical_and(*there.T))
    parts = [kept.take(~again[kept.edges[:, 0]])]
    if again.any():
        parts.append(ask(again, NEAREST + 1)[0])
    if new.any():
        parts += _of_new(new, settled & ~again, ask)
    found = SimilarTo.joined(parts).nearest()
    if (here >= 0).all() and not new.any():
        return found, memory
    number = np.cumsum(compared) - 1
    edges = EditedPairs(number[found.edges], found.cosines, np.zeros(len(found.edges), np.int8))
    listed = tuple(name for name, counts in zip(names, compared.tolist(), strict=True) if counts)
    return found, Remembered(listed, edges, memory.setting)


def _of_new(new: NDArray[np.bool_], settled: NDArray[np.bool_], ask: Ask) -> list[SimilarTo]:
    """The lists of new rows, and what they add to those of settled ones."""
    if not settled.any():
        return [ask(new, NEAREST + 1)[0]]
    parts: list[SimilarTo] = []
    left, k = new, (NEAREST + 1) * _ASKED_MORE
    while left.any():
        found, more = ask(left, k)
        if k >= _ASKED_MOST:
            more = np.zeros_like(more)
        done = found.take(~more[found.edges[:, 0]])
        parts += [done, done.take(settled[done.edges[:, 1]]).turned()]
        left, k = more, k * _ASKED_MORE
    return parts


def _rows(places: Ids, count: int) -> NDArray[np.bool_]:
    rows = np.zeros(count, np.bool_)
    rows[places] = True
    return rows
