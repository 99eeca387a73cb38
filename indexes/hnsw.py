"""HNSW: a graph over float32 rows, walked from vector to nearer vector.

The graph cannot forget a row: a removed one stays as a waypoint with its id struck out, and is
never returned; once many are struck out, the index is better built anew.
"""

import faiss  # noqa: TID253
import numpy as np

from mmsearch.indexes.faiss_index import ordered, selector
from mmsearch.indexes.flat import RowIndex
from mmsearch.indexes.ids import REMOVED
from mmsearch.records import Floats, Ids

EFFORTS = (16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024)
LINKS = 24
BUILD_EFFORT = 128

# Below this share of allowed ids the walk meets too few of them; scanning those is quicker.
SCANNED_SHARE = 0.1


def new_hnsw(dim: int) -> faiss.Index:
    graph = faiss.IndexHNSWFlat(dim, LINKS, faiss.METRIC_INNER_PRODUCT)
    graph.hnsw.efConstruction = BUILD_EFFORT
    return faiss.IndexIDMap(graph)


class HnswIndex(RowIndex):
    kind = "hnsw"

    @staticmethod
    def fits(index: faiss.Index) -> bool:
        return isinstance(index, faiss.IndexIDMap) and isinstance(
            faiss.downcast_index(index.index), faiss.IndexHNSWFlat
        )

    def __len__(self) -> int:
        return len(self.table)

    @property
    def efforts(self) -> list[int]:
        """efSearch: how many candidates the walk keeps."""
        return list(EFFORTS)

    @property
    def effort_text(self) -> str:
        return f"efSearch {self.effort}"

    @property
    def removed(self) -> int:
        """How many struck-out rows the graph still carries."""
        return int(self.index.ntotal) - len(self)

    def _delete(self, rows: Ids) -> None:
        self.ids_by_row()[rows] = REMOVED

    def _nearest(self, queries: Floats, k: int, allowed: Ids | None) -> tuple[Floats, Ids]:
        if allowed is not None and len(allowed) <= SCANNED_SHARE * len(self):
            return self._scan(queries, k, self.table.rows_of(allowed))
        similarities, ids = self._walk(queries, k, allowed)
        held = k if allowed is None else min(k, len(self.table.rows_of(allowed)))
        short = np.flatnonzero((ids >= 0).sum(axis=1) < held)
        if len(short):
            rows = self.table.rows_of(self._present() if allowed is None else allowed)
            exact = self._scan(queries[short], held, rows)
            similarities[short], ids[short] = ordered(*exact, k)
        return similarities, ids

    def _walk(self, queries: Floats, k: int, allowed: Ids | None) -> tuple[Floats, Ids]:
        """queries: float32 (q, dim) → similarities (q, k) and ids (q, k), -1 where none was met."""
        share = 1.0 if allowed is None else len(allowed) / len(self)
        parameters = faiss.SearchParametersHNSW(efSearch=int(max(self.effort, 2 * k) / share))
        if allowed is not None:
            parameters.sel = selector(allowed)
        elif self.removed:
            parameters.sel = faiss.IDSelectorRange(0, np.iinfo(np.int64).max)
        similarities, ids = self.index.search(queries, k, params=parameters)
        return similarities, ids

    def _present(self) -> Ids:
        by_row = self.ids_by_row()
        present: Ids = by_row[by_row != REMOVED]
        return present

    def _storage(self) -> faiss.IndexFlat:
        return faiss.downcast_index(faiss.downcast_index(self.index.index).storage)
