"""Compact codes with refinement: the best candidates by code are re-ranked as float16 rows.

The codes stay in memory. The float16 rows stay in the mapped index file, and take no more memory
than the pages that a search touches.
"""

import faiss
import numpy as np
from numpy.typing import NDArray

from mmsearch.indexes.faiss_index import nothing
from mmsearch.indexes.rows import TombstoneIndex
from mmsearch.records import Floats, Ids


def refined(codes: faiss.Index, dim: int) -> faiss.Index:
    """Creates the empty FAISS index of a RefinedIndex. codes: an IndexPreTransform over codes."""
    return faiss.IndexIDMap(faiss.IndexRefine(codes, _halves(dim)))


def is_refined(index: faiss.Index, codes: type[faiss.Index]) -> bool:
    """Whether `index` has the structure of `refined`, with codes of the given type."""
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
    """A TombstoneIndex of codes, with the float16 rows that candidates are re-ranked by."""

    def _hold(self, index: faiss.IndexIDMap) -> None:
        super()._hold(index)
        self._refine = faiss.downcast_index(index.index)
        self._rotated = faiss.downcast_index(self._refine.base_index)
        self._codes = faiss.downcast_index(self._rotated.index)

    def vectors_of_rows(self, rows: Ids) -> Floats:
        """Copies the vectors of rows, int64 (n,) → float32 (n, dim), at float16 precision."""
        vectors: Floats = self._stored()[rows].astype(np.float32)
        return vectors

    def _scan(self, queries: Floats, k: int, rows: Ids) -> tuple[Floats, Ids]:
        """Scans some rows exactly; FAISS reads float16 faster than NumPy converts it."""
        if not len(rows):
            return nothing(queries)
        halves = _halves(self.dim)
        faiss.copy_array_to_vector(self._stored()[rows].view(np.uint8).ravel(), halves.codes)
        halves.ntotal = len(rows)
        similarities, found = halves.search(np.ascontiguousarray(queries), min(k, len(rows)))
        return similarities, self.ids_by_row()[rows][found]

    def _stored(self) -> NDArray[np.float16]:
        """Returns a view of the stored rows, float16 (rows, dim)."""
        halves = faiss.downcast_index(self._refine.refine_index)
        size = int(self.index.ntotal) * self.dim
        if not size:
            return np.empty((0, self.dim), np.float16)
        held = faiss.rev_swig_ptr(halves.codes.data(), 2 * size)
        vectors: NDArray[np.float16] = held.view(np.float16).reshape(-1, self.dim)
        return vectors


def _halves(dim: int) -> faiss.IndexScalarQuantizer:
    """Creates an empty index of float16 rows."""
    return faiss.IndexScalarQuantizer(
        dim, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT
    )
