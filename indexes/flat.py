"""Exact search over vectors as they are: float32 rows, compared one by one."""

import faiss  # noqa: TID253
import numpy as np

from mmsearch.indexes.faiss_index import FaissIndex, exact_search, scan
from mmsearch.records import Floats, Ids

# Copying the allowed rows together and scanning those beats testing every row up to about here.
GATHERED_SHARE = 0.25


def new_flat(dim: int) -> faiss.Index:
    return faiss.IndexIDMap(faiss.IndexFlatIP(dim))


class RowIndex(FaissIndex):
    """A FaissIndex that keeps whole vectors in rows, under an IndexIDMap."""

    def ids_by_row(self) -> Ids:
        """int64 (rows,), a view that holds until the index changes."""
        rows = self.index.ntotal
        return faiss.rev_swig_ptr(self.index.id_map.data(), rows) if rows else np.empty(0, np.int64)

    def _scan(self, queries: Floats, k: int, rows: Ids) -> tuple[Floats, Ids]:
        """Exact search over some rows. queries: float32 (q, dim); rows: int64 (n,)"""
        if not len(rows):
            return np.empty((len(queries), 0), np.float32), np.empty((len(queries), 0), np.int64)
        return scan(self.vectors_by_row()[rows], self.ids_by_row()[rows], queries, k)

    def vectors_by_row(self) -> Floats:
        """float32 (rows, dim), a view that holds until the index changes."""
        flat = self._storage()
        values = faiss.rev_swig_ptr(flat.get_xb(), flat.ntotal * self.dim)
        whole: Floats = values.reshape(-1, self.dim)
        return whole

    def _storage(self) -> faiss.IndexFlat:
        return faiss.downcast_index(self.index.index)


class FlatIndex(RowIndex):
    kind = "flat"

    @staticmethod
    def fits(index: faiss.Index) -> bool:
        return isinstance(index, faiss.IndexIDMap) and isinstance(
            faiss.downcast_index(index.index), faiss.IndexFlatIP
        )

    def _delete(self, rows: Ids) -> None:
        self.index.remove_ids(faiss.IDSelectorBatch(self.ids_by_row()[rows]))

    def _nearest(self, queries: Floats, k: int, allowed: Ids | None) -> tuple[Floats, Ids]:
        if allowed is None:
            return self._named(*exact_search(self._storage(), queries, k))
        rows = self.table.rows_of(allowed)
        if len(rows) <= GATHERED_SHARE * len(self):
            return self._scan(queries, k, rows)
        return self._named(
            *exact_search(self._storage(), queries, min(k, len(rows)), np.sort(rows))
        )

    def _named(self, similarities: Floats, rows: Ids) -> tuple[Floats, Ids]:
        """rows: int64 (q, n) → the ids that they hold."""
        return similarities, self.ids_by_row()[rows]
