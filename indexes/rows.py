"""Indexes that keep their vectors in rows under an IndexIDMap: all but ivf-flat and ivf-sq8."""

from abc import abstractmethod
from weakref import WeakKeyDictionary

import faiss
import numpy as np

from mmsearch.indexes.faiss_index import FaissIndex, exact_search, nothing
from mmsearch.indexes.ids import REMOVED, IdFilter, IdTable
from mmsearch.indexes.selectors import RowFilter
from mmsearch.records import Floats, Ids


class RowIndex(FaissIndex):
    """A FaissIndex whose vectors can be read back by row."""

    _table: IdTable | None
    _filters: WeakKeyDictionary[IdFilter, RowFilter]

    @property
    def table(self) -> IdTable:
        """Rows by id, made when first asked for."""
        if self._table is None:
            self._table = IdTable(self.ids_by_row())
        return self._table

    def ids_by_row(self) -> Ids:
        """int64 (rows,), a view that holds until the index changes."""
        rows = self.index.ntotal
        return faiss.rev_swig_ptr(self.index.id_map.data(), rows) if rows else np.empty(0, np.int64)

    @abstractmethod
    def vectors_of_rows(self, rows: Ids) -> Floats:
        """rows: int64 (n,) → float32 (n, dim), a copy."""

    def _changed(self) -> None:
        self._table, self._filters = None, WeakKeyDictionary()

    def _chosen(self, allowed: IdFilter) -> RowFilter:
        """Worked out once while neither the filter nor the index changes."""
        chosen = self._filters.get(allowed)
        if chosen is None:
            chosen = RowFilter(np.sort(self.table.rows_of(allowed.ids)))
            self._filters[allowed] = chosen
        return chosen

    def _scan(self, queries: Floats, k: int, rows: Ids) -> tuple[Floats, Ids]:
        """Exact search over some rows. queries: float32 (q, dim); rows: int64 (n,)"""
        if not len(rows):
            return nothing(queries)
        flat = faiss.IndexFlatIP(self.dim)
        flat.add(self.vectors_of_rows(rows))
        similarities, found = exact_search(flat, queries, min(k, len(rows)))
        return similarities, self.ids_by_row()[rows][found]

    def _named(self, rows: Ids) -> Ids:
        """rows: int64 (q, n), -1 where there is none → the ids that they hold, -1 likewise."""
        ids: Ids = np.where(rows >= 0, self.ids_by_row()[rows], -1)
        return ids


class TombstoneIndex(RowIndex):
    """A RowIndex that cannot forget a row: the id is struck out, and the row is never returned.

    Once many are struck out, the index is better built anew.
    """

    _rows: int
    _live: RowFilter | None

    def can_hold(self, count: int) -> bool:
        """Fewer than there are rows where some are struck out."""
        return 0 <= count <= self._rows

    @property
    def removed(self) -> int:
        """How many struck-out rows it still carries."""
        return self._rows - self._count

    def _delete(self, held: Ids) -> None:
        self.ids_by_row()[self.table.rows_of(held)] = REMOVED

    def _changed(self) -> None:
        super()._changed()
        self._rows, self._live = int(self.index.ntotal), None

    def _searchable(self, allowed: IdFilter | None) -> RowFilter | None:
        """The rows that may be returned, or None where all may."""
        if allowed is not None:
            return self._chosen(allowed)
        if self._live is None and self._rows > self._count:
            self._live = RowFilter(np.flatnonzero(self.ids_by_row() != REMOVED))
        return self._live
