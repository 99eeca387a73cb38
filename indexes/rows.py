"""Indexes that keep their vectors in rows under an IndexIDMap: flat, hnsw and ivf-pq."""

from abc import abstractmethod
from functools import cached_property

import faiss
import numpy as np

from mmsearch.indexes.faiss_index import FaissIndex, exact_search, selector
from mmsearch.indexes.ids import REMOVED
from mmsearch.records import Floats, Ids


class RowIndex(FaissIndex):
    """A FaissIndex whose vectors can be read back by row."""

    def ids_by_row(self) -> Ids:
        """int64 (rows,), a view that holds until the index changes."""
        rows = self.index.ntotal
        return faiss.rev_swig_ptr(self.index.id_map.data(), rows) if rows else np.empty(0, np.int64)

    @abstractmethod
    def vectors_of_rows(self, rows: Ids) -> Floats:
        """rows: int64 (n,) → float32 (n, dim), a copy."""

    def _scan(self, queries: Floats, k: int, rows: Ids) -> tuple[Floats, Ids]:
        """Exact search over some rows. queries: float32 (q, dim); rows: int64 (n,)"""
        if not len(rows):
            return np.empty((len(queries), 0), np.float32), np.empty((len(queries), 0), np.int64)
        flat = faiss.IndexFlatIP(self.dim)
        flat.add(self.vectors_of_rows(rows))
        similarities, found = exact_search(flat, queries, min(k, len(rows)))
        return similarities, self.ids_by_row()[rows][found]

    def _named(self, rows: Ids) -> Ids:
        """rows: int64 (q, n), -1 where there is none → the ids that they hold, -1 likewise."""
        ids: Ids = np.where(rows >= 0, self.ids_by_row()[rows], -1)
        return ids


class StrikingIndex(RowIndex):
    """A RowIndex that cannot forget a row: the id is struck out, and the row is never returned.

    Once many are struck out, the index is better built anew.
    """

    _live: "RowFilter | None"

    def __len__(self) -> int:
        return len(self.table)

    @property
    def removed(self) -> int:
        """How many struck-out rows it still carries."""
        return int(self.index.ntotal) - len(self)

    def _delete(self, rows: Ids) -> None:
        self.ids_by_row()[rows] = REMOVED

    def _changed(self) -> None:
        super()._changed()
        self._live = None

    def _searchable(self, allowed: Ids | None) -> "RowFilter | None":
        """The rows that may be returned, or None where all may."""
        if allowed is not None:
            return RowFilter(np.sort(self.table.rows_of(allowed)))
        if self._live is None and self.removed:
            self._live = RowFilter(np.flatnonzero(self.ids_by_row() != REMOVED))
        return self._live


class RowFilter:
    """rows: those that may be returned, int64, ascending; FAISS is told by `selector`."""

    def __init__(self, rows: Ids) -> None:
        self.rows = rows

    @cached_property
    def selector(self) -> faiss.IDSelector:
        return selector(self.rows)
