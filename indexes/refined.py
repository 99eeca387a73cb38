"""Codes first, stored vectors second: the best by code are compared again as float16 rows.

The codes stay in memory. The float16 rows take no more of it than the pages that a search touches,
since they stay in the file that the index is mapped from.
"""

import faiss
import numpy as np
from numpy.typing import NDArray

from mmsearch.indexes.faiss_index import nothing
from mmsearch.indexes.rows import TombstoneIndex
from mmsearch.records import Floats, Ids


def refined(codes: faiss.Index, dim: int) -> faiss.Index:
    """What RefinedIndex holds, empty. codes: IndexPreTransform, a rotation before the codes."""
    return faiss.IndexIDMap(faiss.IndexRefine(codes, _halves(dim)))


def is_refined(index: faiss.Index, codes: type[faiss.Index]) -> bool:
    """Whether `index` is of that build, and its codes are of that type."""
    if not isinstance(index, faiss.IndexIDMap):
        return False
    outer = faiss.downcast_index(index.index)
    if not isinstance(outer, faiss.IndexRefine):
        return False
    rotated = faiss.downcast_index(outer.base_index)
    return isinstance(rotated, faiss.IndexPreTransform) and isinstance(
        faiss.downcast_index(rotated.index), codes
    )


class RefinedIndex(TombstoneIndex):
    """A TombstoneIndex of codes, with the float16 rows that candidates are compared by."""

    def _hold(self, index: faiss.IndexIDMap) -> None:
        super()._hold(index)
        self._refine = faiss.downcast_index(index.index)
        self._rotated = faiss.downcast_index(self._refine.base_index)
        self._codes = faiss.downcast_index(self._rotated.index)

    def vectors_of_rows(self, rows: Ids) -> Floats:
        """rows: int64 (n,) → float32 (n, dim), as float16 keeps them."""
        vectors: Floats = self._stored()[rows].astype(np.float32)
        return vectors

    def _scan(self, queries: Floats, k: int, rows: Ids) -> tuple[Floats, Ids]:
        """Compares some rows with all queries; FAISS reads float16 quicker than NumPy turns it."""
        if not len(rows):
            return nothing(queries)
        halves = _halves(self.dim)
        faiss.copy_array_to_vector(self._stored()[rows].view(np.uint8).ravel(), halves.codes)
        halves.ntotal = len(rows)
        similarities, found = halves.search(np.ascontiguousarray(queries), min(k, len(rows)))
        return similarities, self.ids_by_row()[rows][found]

    def _stored(self) -> NDArray[np.float16]:
        """float16 (rows, dim), a view of what FAISS holds or has mapped."""
        halves = faiss.downcast_index(self._refine.refine_index)
        size = int(self.index.ntotal) * self.dim
        if not size:
            return np.empty((0, self.dim), np.float16)
        held = faiss.rev_swig_ptr(halves.codes.data(), 2 * size)
        vectors: NDArray[np.float16] = held.view(np.float16).reshape(-1, self.dim)
        return vectors


def _halves(dim: int) -> faiss.IndexScalarQuantizer:
    """Rows of float16, empty."""
    return faiss.IndexScalarQuantizer(
        dim, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT
    )
