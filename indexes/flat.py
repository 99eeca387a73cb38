"""Exact search: every float32 row is compared."""

import faiss
import numpy as np

from mmsearch.indexes.faiss_index import exact_search
from mmsearch.indexes.ids import IdFilter
from mmsearch.indexes.rows import RowIndex
from mmsearch.records import Floats, Ids

# Up to about this share, copying the allowed rows and scanning those beats testing every row.
GATHERED_SHARE = 0.25


def new_flat(dim: int) -> faiss.Index:
    """Creates an empty index."""
    return faiss.IndexIDMap(faiss.IndexFlatIP(dim))


class FlatIndex(RowIndex):
    """An exact index of float32 rows."""

    kind = "flat"

    def _hold(self, index: faiss.IndexIDMap) -> None:
        super()._hold(index)
        self._flat = faiss.downcast_index(index.index)

    @staticmethod
    def fits(index: faiss.Index) -> bool:
        """Whether `index` is an IndexFlatIP with ids."""
        return isinstance(index, faiss.IndexIDMap) and isinstance(
            faiss.downcast_index(index.index), faiss.IndexFlatIP
        )

    def vectors_of_rows(self, rows: Ids) -> Floats:
        """Copies the vectors of rows, int64 (n,) → float32 (n, dim)."""
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
    """Copies rows, int64 (n,), out of FAISS's memory → float32 (n, dim)."""
    if not len(rows):
        return np.empty((0, flat.d), np.float32)
    whole = faiss.rev_swig_ptr(flat.get_xb(), flat.ntotal * flat.d).reshape(-1, flat.d)
    copied: Floats = whole[rows]
    return copied
