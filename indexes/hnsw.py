"""HNSW: a navigable small-world graph over float32 rows."""

from functools import cache

import faiss
import numpy as np

from mmsearch.indexes.faiss_index import missing, ordered, widened
from mmsearch.indexes.flat import gathered
from mmsearch.indexes.ids import IdFilter
from mmsearch.indexes.rows import TombstoneIndex
from mmsearch.indexes.selectors import RowFilter
from mmsearch.records import Floats, Ids

EFFORTS = (16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024)
LINKS = 24
BUILD_EFFORT = 128

# Below this share of allowed ids a graph search meets too few of them; scanning them is quicker.
SCANNED_SHARE = 0.1


def new_hnsw(dim: int) -> faiss.Index:
    """Creates an empty graph."""
    graph = faiss.IndexHNSWFlat(dim, LINKS, faiss.METRIC_INNER_PRODUCT)
    graph.hnsw.efConstruction = BUILD_EFFORT
    return faiss.IndexIDMap(graph)


class HnswIndex(TombstoneIndex):
    """A graph of float32 rows."""

    kind = "hnsw"

    @staticmethod
    def fits(index: faiss.Index) -> bool:
        """Whether `index` is an IndexHNSWFlat with ids."""
        return isinstance(index, faiss.IndexIDMap) and isinstance(
            faiss.downcast_index(index.index), faiss.IndexHNSWFlat
        )

    def _hold(self, index: faiss.IndexIDMap) -> None:
        super()._hold(index)
        self._graph = faiss.downcast_index(index.index)

    @property
    def efforts(self) -> list[int]:
        """The values of efSearch that tuning tries, ascending."""
        return list(EFFORTS)

    @property
    def effort_text(self) -> str:
        """The efSearch, in words."""
        return f"efSearch {self.effort}"

    def vectors_of_rows(self, rows: Ids) -> Floats:
        """Copies the vectors of rows, int64 (n,) → float32 (n, dim)."""
        return gathered(faiss.downcast_index(self._graph.storage), rows)

    def _nearest(self, queries: Floats, k: int, allowed: IdFilter | None) -> tuple[Floats, Ids]:
        within = self._searchable(allowed)
        if within is not None and len(within.rows) <= SCANNED_SHARE * len(self):
            return self._scan(queries, k, within.rows)
        similarities, ids = self._search_graph(queries, k, within)
        short = missing(ids[:, : self._count if within is None else len(within.rows)])
        if len(short):
            rows = np.arange(self._rows) if within is None else within.rows
            # Rows that cannot be reached from the entry point are found by an exact scan.
            similarities[short], ids[short] = ordered(*self._scan(queries[short], k, rows), k)
        return similarities, ids

    def _search_graph(
        self, queries: Floats, k: int, within: RowFilter | None
    ) -> tuple[Floats, Ids]:
        """Searches the graph → similarities and ids (q, k), -1 where fewer rows were met."""
        effort = max(widened(self.effort, k, 1.0), 2 * k)
        if within is None:
            found: tuple[Floats, Ids] = self.index.search(
                queries, k, params=graph_parameters(effort)
            )
            return found
        effort = effort * self._rows // len(within.rows)
        parameters = faiss.SearchParametersHNSW(efSearch=effort, sel=within.selector)
        similarities, rows = self._graph.search(queries, k, params=parameters)
        return similarities, self._named(rows)


@cache
def graph_parameters(effort: int) -> faiss.SearchParametersHNSW:
    """Returns cached search parameters: creating them takes as long as some search steps."""
    return faiss.SearchParametersHNSW(efSearch=effort)
