"""Indexes that store vectors in rows under an IndexIDMap: all but ivf-flat and ivf-sq8."""

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
        """The rows by id, built on first use."""
        if self._table is None:
            self._table = IdTable(self.ids_by_row())
        return self._table

    def ids_by_row(self) -> Ids:
        """Returns the ids, int64 (rows,), as a view that is valid until the index changes."""
        rows = self.index.ntotal
        return faiss.rev_swig_ptr(self.index.id_map.data(), rows) if rows else np.empty(0, np.int64)

    @abstractmethod
    def vectors_of_rows(self, rows: Ids) -> Floats:
        """Copies the vectors of rows, int64 (n,) → float32 (n, dim)."""

    def _changed(self) -> None:
        self._table, self._filters = None, WeakKeyDictionary()

    def _chosen(self, allowed: IdFilter) -> RowFilter:
        """Computed once for as long as neither the filter nor the index changes."""
        chosen = self._filters.get(allowed)
        if chosen is None:
            chosen = RowFilter(np.sort(self.table.rows_of(allowed.ids)))
            self._filters[allowed] = chosen
        return chosen

    def _scan(self, queries: Floats, k: int, rows: Ids) -> tuple[Floats, Ids]:
        """Searches some rows, int64 (n,), exactly. queries: float32 (q, dim)."""
        if not len(rows):
            return nothing(queries)
        flat = faiss.IndexFlatIP(self.dim)
        flat.add(self.vectors_of_rows(rows))
        similarities, found = exact_search(flat, queries, min(k, len(rows)))
        return similarities, self.ids_by_row()[rows][found]

    def _named(self, rows: Ids) -> Ids:
        """Maps rows, int64 (q, n), to their ids; -1 stays -1."""
        ids: Ids = np.where(rows >= 0, self.ids_by_row()[rows], -1)
        return ids


class TombstoneIndex(RowIndex):
    """A RowIndex that cannot delete rows: removed ids leave tombstones, which are never returned.

    Once there are many, the index should be rebuilt.
    """

    _rows: int
    _live: RowFilter | None

    def can_hold(self, count: int) -> bool:
        """Whether `count` ids are possible: fewer than the rows where some are tombstones."""
        return 0 <= count <= self._rows

    @property
    def removed(self) -> int:
        """The number of tombstones."""
        return self._rows - self._count

    def _delete(self, held: Ids) -> None:
        self.ids_by_row()[self.table.rows_of(held)] = REMOVED

    def _changed(self) -> None:
        super()._changed()
        self._rows, self._live = int(self.index.ntotal), None

    def _searchable(self, allowed: IdFilter | None) -> RowFilter | None:
        """Returns the rows that may be returned, or None for all."""
        if allowed is not None:
            return self._chosen(allowed)
        if self._live is None and self._rows > self._count:
            self._live = RowFilter(np.flatnonzero(self.ids_by_row() != REMOVED))
        return self._live
