"""IVF: vectors in cells around k-means centres; a search looks into the nearest cells only."""

from dataclasses import dataclass
from functools import cache

import faiss
import numpy as np

from mmsearch.indexes.faiss_index import FaissIndex, selector, widened
from mmsearch.records import Floats, Ids

TRAINING_ROUNDS = 10

# Above this share of allowed ids hardly any cell is without one, and looking for such costs more.
SCATTERED_SHARE = 0.02


def new_ivf(kind: str, dim: int, cells: int, sample: Floats) -> faiss.Index:
    """An empty index trained on `sample`, float32 (n, dim); at least 39 rows for each cell."""
    quantizer = faiss.IndexFlatIP(dim)
    if kind == "ivf-flat":
        index = faiss.IndexIVFFlat(quantizer, dim, cells, faiss.METRIC_INNER_PRODUCT)
    else:
        bits = faiss.ScalarQuantizer.QT_8bit
        index = faiss.IndexIVFScalarQuantizer(
            quantizer, dim, cells, bits, faiss.METRIC_INNER_PRODUCT
        )
    train_cells(index, quantizer, sample)
    return index


def train_cells(index: faiss.IndexIVF, quantizer: faiss.IndexFlat, sample: Floats) -> None:
    """Hands `quantizer` over to `index` and trains both. sample: float32 (n, dim)"""
    quantizer.this.disown()
    index.own_fields = True
    # Centres on the sphere: an unnormalised centre's length would sway the inner product.
    index.cp.spherical = True
    index.cp.niter = TRAINING_ROUNDS
    index.cp.max_points_per_centroid = len(sample) // index.nlist + 1
    index.train(sample)


def probe_efforts(cells: int) -> list[int]:
    """nprobe: powers of √2, up to every cell."""
    steps = {round(2 ** (step / 2)) for step in range(40)}
    return sorted({step for step in steps if step < cells} | {cells})


class IvfIndex(FaissIndex):
    """A FaissIndex in cells; FAISS keeps the ids in them."""

    _ends: Ids | None

    @property
    def cells(self) -> int:
        return int(self.index.nlist)

    @property
    def efforts(self) -> list[int]:
        return probe_efforts(self.cells)

    @property
    def effort_text(self) -> str:
        return f"{self.effort:,} of {self.cells:,} cells probed"

    def ids_by_row(self) -> Ids:
        """int64 (n,): cell after cell."""
        lists = self.index.invlists
        held = (self._cell_ids(lists, cell) for cell in range(self.cells))
        return np.concatenate(list(held))

    @staticmethod
    def _cell_ids(lists: faiss.InvertedLists, cell: int) -> Ids:
        size = lists.list_size(cell)
        if not size:
            return np.empty(0, np.int64)
        ids: Ids = faiss.rev_swig_ptr(lists.get_ids(cell), size)
        return ids

    def _delete(self, rows: Ids) -> None:
        self.index.remove_ids(faiss.IDSelectorBatch(self.ids_by_row()[rows]))

    def _nearest(self, queries: Floats, k: int, allowed: Ids | None) -> tuple[Floats, Ids]:
        if allowed is None:
            return self._probed(queries, k, widened(self.effort, k, 1.0), self.cells, None)
        share = len(allowed) / len(self)
        probes = widened(self.effort, k, share)
        if share > SCATTERED_SHARE:
            return self._probed(queries, k, probes, self.cells, Filters(selector(allowed)))
        rows = self.table.rows_of(allowed)
        if not len(rows):
            return np.empty((len(queries), 0), np.float32), np.empty((len(queries), 0), np.int64)
        cells = np.unique(np.searchsorted(self._cell_ends(), rows, side="right"))
        filters = Filters(selector(allowed), selector(cells))
        return self._probed(queries, min(k, len(rows)), probes, len(cells), filters)

    def _probed(
        self, queries: Floats, k: int, probes: int, cells: int, filters: "Filters | None"
    ) -> tuple[Floats, Ids]:
        """Probes the nearest of `cells`, and all of them where those hold fewer than k."""
        probes = min(max(probes, 1), cells)
        similarities, ids = self._probe(queries, k, probes, filters)
        short = np.flatnonzero((ids < 0).any(axis=1))
        if len(short) and probes < cells:
            similarities[short], ids[short] = self._probe(queries[short], k, cells, filters)
        return similarities, ids

    def _probe(
        self, queries: Floats, k: int, probes: int, filters: "Filters | None"
    ) -> tuple[Floats, Ids]:
        """queries: float32 (q, dim) → similarities and ids (q, k), -1 where cells run out."""
        if filters is None:
            parameters = probing(probes)
        else:
            # Given as arguments, the selectors are kept alive by the parameters.
            parameters = faiss.SearchParametersIVF(
                nprobe=probes,
                sel=filters.ids,
                quantizer_params=faiss.SearchParameters(sel=filters.cells),
            )
        similarities, ids = self.index.search(np.ascontiguousarray(queries), k, params=parameters)
        return similarities, ids

    def _changed(self) -> None:
        super()._changed()
        self._ends = None

    def _cell_ends(self) -> Ids:
        """Where each cell's rows end, int64 (cells,); made when first asked for."""
        if self._ends is None:
            lists = self.index.invlists
            self._ends = np.cumsum([lists.list_size(cell) for cell in range(self.cells)])
        return self._ends


@cache
def probing(probes: int) -> faiss.SearchParametersIVF:
    """Made once: making them takes as long as looking into a few cells."""
    return faiss.SearchParametersIVF(nprobe=probes)


@dataclass(frozen=True, slots=True)
class Filters:
    """ids: those that may be returned; cells: those that hold any of them, None for all."""

    ids: faiss.IDSelector
    cells: faiss.IDSelector | None = None


class IvfFlatIndex(IvfIndex):
    kind = "ivf-flat"

    @staticmethod
    def fits(index: faiss.Index) -> bool:
        return isinstance(index, faiss.IndexIVFFlat)


class IvfSq8Index(IvfIndex):
    kind = "ivf-sq8"

    @staticmethod
    def fits(index: faiss.Index) -> bool:
        return isinstance(index, faiss.IndexIVFScalarQuantizer)
