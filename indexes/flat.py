"""Exact search over vectors as they are: float32 rows, compared one by one."""

import faiss
import numpy as np

from mmsearch.indexes.faiss_index import exact_search
from mmsearch.indexes.rows import RowIndex
from mmsearch.records import Floats, Ids

# Copying the allowed rows together and scanning those beats testing every row up to about here.
GATHERED_SHARE = 0.25


def new_flat(dim: int) -> faiss.Index:
    return faiss.IndexIDMap(faiss.IndexFlatIP(dim))


class FlatIndex(RowIndex):
    kind = "flat"

    @staticmethod
    def fits(index: faiss.Index) -> bool:
        return isinstance(index, faiss.IndexIDMap) and isinstance(
            faiss.downcast_index(index.index), faiss.IndexFlatIP
        )

    def vectors_of_rows(self, rows: Ids) -> Floats:
        """rows: int64 (n,) → float32 (n, dim), a copy."""
        return gathered(faiss.downcast_index(self.index.index), rows)

    def _delete(self, rows: Ids) -> None:
        self.index.remove_ids(faiss.IDSelectorBatch(self.ids_by_row()[rows]))

    def _nearest(self, queries: Floats, k: int, allowed: Ids | None) -> tuple[Floats, Ids]:
        rows = None if allowed is None else np.sort(self.table.rows_of(allowed))
        if rows is not None and len(rows) <= GATHERED_SHARE * len(self):
            return self._scan(queries, k, rows)
        flat = faiss.downcast_index(self.index.index)
        width = k if rows is None else min(k, len(rows))
        similarities, found = exact_search(flat, queries, width, rows)
        return similarities, self._named(found)


def gathered(flat: faiss.IndexFlat, rows: Ids) -> Floats:
    """Copies rows out of FAISS's memory. rows: int64 (n,) → float32 (n, dim)"""
    if not len(rows):
        return np.empty((0, flat.d), np.float32)
    whole = faiss.rev_swig_ptr(flat.get_xb(), flat.ntotal * flat.d).reshape(-1, flat.d)
    copied: Floats = whole[rows]
    return copied
