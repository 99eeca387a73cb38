"""The exact nearest neighbours of the tuning queries, collected while the index is built."""

from collections.abc import Mapping

import faiss
import numpy as np
from numpy.typing import NDArray

from mmsearch.indexes.faiss_index import TIE
from mmsearch.indexes.part_items import PartItems
from mmsearch.records import Floats, Ids

# Copies of an image tie, and an index that finds another copy than the scan did is not wrong.
WIDTH = 64

# Stored vectors are float16 and codes are coarser: neighbours closer together than this cannot be
# ordered. A placeholder image on ten thousand products makes such queries.
SPREAD = 5e-4

# A query this close to a vector is that vector: every effort finds it, which inflates recall.
SELF = 1 - 1e-4


class GroundTruth:
    """The WIDTH nearest vectors of each query, or items where the index holds their parts.

    queries: by group, float32 (q, dim), unit rows.
    """

    def __init__(self, queries: Mapping[str, Floats], parts: PartItems | None = None) -> None:
        self.parts = parts
        self.queries = np.ascontiguousarray(np.concatenate(list(queries.values())))
        self.groups: dict[str, slice] = {}
        for name, part in queries.items():
            start = max((group.stop for group in self.groups.values()), default=0)
            self.groups[name] = slice(start, start + len(part))
        self._similarities = np.full((len(self.queries), WIDTH), -np.inf, np.float32)
        self._ids = np.full((len(self.queries), WIDTH), -1, np.int64)

    def update(self, vectors: Floats, ids: Ids) -> None:
        """Takes in a batch: vectors, float32 (n, dim), unit rows, and their ids, int64 (n,)."""
        if not len(ids) or not len(self.queries):
            return
        similarities, found = self._nearest(vectors, ids)
        both = np.concatenate([self._similarities, similarities], axis=1)
        both_ids = np.concatenate([self._ids, found], axis=1)
        if self.parts is not None:
            keep_best_of_each(both, both_ids)
        order = np.argsort(-both, axis=1, kind="stable")[:, :WIDTH]
        self._similarities = np.take_along_axis(both, order, axis=1)
        self._ids = np.take_along_axis(both_ids, order, axis=1)

    def _nearest(self, vectors: Floats, ids: Ids) -> tuple[Floats, Ids]:
        """Returns similarities and ids, (q, n), of what a batch has among the nearest."""
        if self.parts is None:
            similarities, rows = faiss.knn(
                self.queries,
                np.ascontiguousarray(vectors),
                min(WIDTH, len(ids)),
                metric=faiss.METRIC_INNER_PRODUCT,
            )
            return similarities, ids[rows]
        items = self.parts.items_of(ids)
        order = np.argsort(items, kind="stable")
        distinct, starts = np.unique(items[order], return_index=True)
        best = np.maximum.reduceat(self.queries @ vectors[order].T, starts, axis=1)
        places = np.argsort(-best, axis=1)[:, :WIDTH]
        return np.take_along_axis(best, places, axis=1), distinct[places]

    def thinned(self, step: int) -> "GroundTruth":
        """Returns the ground truth of every `step`th query of each group."""
        thin = GroundTruth(
            {name: self.queries[part][::step] for name, part in self.groups.items()}, self.parts
        )
        rows = np.concatenate(
            [np.arange(part.start, part.stop, step) for part in self.groups.values()]
        )
        thin._similarities, thin._ids = self._similarities[rows], self._ids[rows]
        return thin

    def judged(self, at: int) -> NDArray[np.bool_]:
        """Returns which queries, bool (q,), have `at` neighbours distinct from the next ones."""
        first, last = self._similarities[:, at], self._similarities[:, -1]
        return ~np.isfinite(last) | (last + SPREAD < first)

    def recalls(self, found: Ids, at: int) -> NDArray[np.float64]:
        """Returns recall@at of each query, float64 (q,).

        found: int64 (q, at + 1 or more), best first. A query that is itself in the
        index is excluded from its own neighbours.
        """
        own = np.where(self._similarities[:, 0] >= SELF, self._ids[:, 0], -2)
        similarities = np.where(self._ids == own[:, None], -np.inf, self._similarities)
        ids = np.where(np.isfinite(similarities), self._ids, -3)
        last = -np.sort(-similarities, axis=1)[:, at - 1 : at]
        wanted = np.isfinite(similarities).sum(axis=1).clip(max=at)
        good = np.where(similarities >= last - TIE, ids, -3)
        found = np.array(
            [row[row != one][:at] for row, one in zip(found[:, : at + 1], own, strict=True)]
        )
        hits = (found[:, :, None] == good[:, None, :]).any(axis=2).sum(axis=1)
        return np.where(wanted > 0, np.minimum(hits, wanted) / np.maximum(wanted, 1), 1.0)


def keep_best_of_each(similarities: Floats, ids: Ids) -> None:
    """Sets all similarities, (q, n), but the best of each id in its row to -inf."""
    order = np.lexsort((-similarities, ids), axis=1)
    ordered = np.take_along_axis(ids, order, axis=1)
    again = np.zeros(ids.shape, np.bool_)
    np.put_along_axis(again, order[:, 1:], ordered[:, 1:] == ordered[:, :-1], axis=1)
    similarities[again] = -np.inf
