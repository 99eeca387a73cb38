"""Exact search over vectors as they are: float32 rows, compared one by one."""

import faiss
import numpy as np

from mmsearch.indexes.faiss_index import exact_search
from mmsearch.indexes.ids import IdFilter
from mmsearch.indexes.rows import RowIndex
from mmsearch.records import Floats, Ids

# Copying the allowed rows together and scanning those beats testing every row up to about here.
GATHERED_SHARE = 0.25


def new_flat(dim: int) -> faiss.Index:
    return faiss.IndexIDMap(faiss.IndexFlatIP(dim))


class FlatIndex(RowIndex):
    kind = "flat"

    def _hold(self, index: faiss.IndexIDMap) -> None:
        super()._hold(index)
        self._flat = faiss.downcast_index(index.index)

    @staticmethod
    def fits(index: faiss.Index) -> bool:
        return isinstance(index, faiss.IndexIDMap) and isinstance(
            faiss.downcast_index(index.index), faiss.IndexFlatIP
        )

    def vectors_of_rows(self, rows: Ids) -> Floats:
        """rows: int64 (n,) → float32 (n, dim), a copy."""
        return gathered(self._flat, rows)

    def _delete(self, held: Ids) -> None:
        self.index.remove_ids(faiss.IDSelectorBatch(held))

    def _nearest(self, queries: Floats, k: int, allowed: IdFilter | None) -> tuple[Floats, Ids]:
        within = None if allowed is None else self._chosen(allowed)
        if within is not None and len(within.rows) <= GATHERED_SHARE * len(self):
            return self._scan(queries, k, within.rows)
        width = k if within is None else min(k, len(within.rows))
        similarities, found = exact_search(self._flat, queries, width, within)
        return similarities, self._named(found)


def gathered(flat: faiss.IndexFlat, rows: Ids) -> Floats:
    """Copies rows out of FAISS's memory. rows: int64 (n,) → float32 (n, dim)"""
    if not len(rows):
        return np.empty((0, flat.d), np.float32)
    whole = faiss.rev_swig_ptr(flat.get_xb(), flat.ntotal * flat.d).reshape(-1, flat.d)
    copied: Floats = whole[rows]
    return copied
