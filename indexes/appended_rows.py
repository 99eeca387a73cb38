"""Rows appended to an IVF index since its file was written, in a second index with the same cells.

FAISS can only write an index file whole, and most of its bytes do not change from run to run. A
query is compared with the centroids once, and both indexes are searched in the cells it probes.
"""

from pathlib import Path

import faiss
import numpy as np

from mmsearch.errors import CorruptIndex
from mmsearch.records import Floats, Ids


class AppendedRows:
    """Appended rows, in the cells of another index.

    mapped: the file they are memory-mapped from; None once they are in memory.
    """

    def __init__(self, index: faiss.IndexIVF, mapped: Path | None = None) -> None:
        self.index, self._mapped = index, mapped

    @classmethod
    def of(cls, base: faiss.IndexIVF) -> "AppendedRows":
        """Creates an empty instance with the cells and codes of `base`."""
        quantizer = faiss.clone_index(base.quantizer)
        if isinstance(base, faiss.IndexIVFScalarQuantizer):
            empty = faiss.IndexIVFScalarQuantizer(
                quantizer, base.d, base.nlist, base.sq.qtype, base.metric_type, base.by_residual
            )
            empty.sq = base.sq
        else:
            empty = faiss.IndexIVFFlat(quantizer, base.d, base.nlist, base.metric_type)
        quantizer.this.disown()
        empty.own_fields = True
        empty.is_trained = True
        return cls(empty)

    def __len__(self) -> int:
        return int(self.index.ntotal)

    def add(self, vectors: Floats, ids: Ids) -> None:
        """Adds vectors, float32 (n, dim), under ids, int64 (n,)."""
        self._own()
        self.index.add_with_ids(vectors, ids)

    def merge_into(self, base: faiss.IndexIVF) -> None:
        """Moves all rows into `base`."""
        self._own()
        base.merge_from(self.index, 0)

    def search_with(
        self,
        base: faiss.IndexIVF,
        queries: Floats,
        k: int,
        parameters: faiss.SearchParametersIVF,
    ) -> tuple[Floats, Ids]:
        """Returns the k best of both: similarities and ids (q, k), -1 for missing hits."""
        queries = np.ascontiguousarray(queries)
        nearness, cells = base.quantizer.search(
            queries, parameters.nprobe, params=parameters.quantizer_params
        )
        similarities = np.empty((2, len(queries), k), np.float32)
        ids = np.empty((2, len(queries), k), np.int64)
        for part, index in enumerate((base, self.index)):
            index.search_preassigned_c(
                len(queries),
                faiss.swig_ptr(queries),
                k,
                faiss.swig_ptr(cells),
                faiss.swig_ptr(nearness),
                faiss.swig_ptr(similarities[part]),
                faiss.swig_ptr(ids[part]),
                False,
                parameters,
            )
        merged: tuple[Floats, Ids] = faiss.merge_knn_results(similarities, ids, keep_max=True)
        return merged

    def _own(self) -> None:
        if self._mapped is not None:
            self.index, self._mapped = reread(self._mapped), None


def reread(mapped: Path) -> faiss.Index:
    """A mapped index once more, into memory, since FAISS cannot change a mapped one."""
    if not mapped.exists():
        raise CorruptIndex(
            f"{mapped} was deleted while it was open; open the store again to change it"
        )
    return faiss.read_index(str(mapped))
