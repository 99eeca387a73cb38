"""IVF: vectors in cells around k-means centres; a search looks into the nearest cells only.

Cells are learned from what lies in them. A product index holds both modalities; into the sample
of an image index no captions are mixed, though they are what it is asked: they lie in another cone
and would take cells that hold no image. Over 30,000 images in 512 cells, text queries found
0.959 of their neighbours among 1,913 rows compared; with 1,000 captions among the 28,000 sampled
rows it took 2,224 to find 0.962, and with 6,000 no 45 cells found 0.95. Effort is tuned on both
modalities.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from weakref import WeakKeyDictionary

import faiss
import numpy as np

from mmsearch.indexes.appended_rows import AppendedRows
from mmsearch.indexes.faiss_index import FaissIndex, missing, nothing, widened
from mmsearch.indexes.gpu_detection import probe_gpu
from mmsearch.indexes.ids import IdFilter
from mmsearch.indexes.selectors import selector
from mmsearch.records import Floats, Ids

TRAINING_ROUNDS = 10

# Rows times cells: from there k-means takes a CPU several seconds, and a GPU is asked for.
WORTH_A_GPU = 10**8

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


def train_cells(
    index: faiss.IndexIVF,
    quantizer: faiss.IndexFlat,
    sample: Floats,
    *,
    nearest: faiss.Index | None = None,
) -> None:
    """Hands `quantizer` over to `index` and trains both. sample: float32 (n, dim)

    nearest: an empty index by inner product that finds each row's centre while they are learned;
    None for one on a GPU where that is worth it and there is one, else the quantizer itself.
    """
    quantizer.this.disown()
    index.own_fields = True
    # Centres on the sphere: an unnormalised centre's length would sway the inner product.
    index.cp.spherical = True
    index.cp.niter = TRAINING_ROUNDS
    index.cp.max_points_per_centroid = len(sample) // index.nlist + 1
    if nearest is None and len(sample) * index.nlist >= WORTH_A_GPU:
        nearest = _on_a_gpu(index.d)
    if nearest is None:
        index.train(sample)
        return
    index.clustering_index = nearest
    try:
        index.train(sample)
    finally:
        # FAISS keeps the address alone, and `nearest` ends with this call.
        index.clustering_index = None


def _on_a_gpu(dim: int) -> faiss.Index | None:
    probe = probe_gpu()
    if not probe.available:
        return None
    return faiss.index_cpu_to_gpu(
        faiss.StandardGpuResources(), probe.devices[0].number, faiss.IndexFlatIP(dim)
    )


def probe_efforts(cells: int) -> list[int]:
    """nprobe: powers of √2, up to every cell."""
    steps = {round(2 ** (step / 2)) for step in range(40)}
    return sorted({step for step in steps if step < cells} | {cells})


@dataclass(frozen=True, slots=True)
class CellFilter:
    """Where the ids of a filter lie. held: at most so many of them the index holds.

    cells: how many may hold any; among: tells which, None for all.
    """

    ids: faiss.IDSelector
    held: int
    cells: int
    among: faiss.IDSelector | None

    def probing(self, probes: int) -> faiss.SearchParametersIVF:
        # Given as arguments, the selectors are kept alive by the parameters.
        inside = faiss.SearchParameters(sel=self.among)
        return faiss.SearchParametersIVF(nprobe=probes, sel=self.ids, quantizer_params=inside)


class IvfIndex(FaissIndex):
    """A FaissIndex in cells; FAISS keeps the ids in them.

    late: rows that came since the file was written that it is mapped from, None where none did.
    """

    cells: int
    late: AppendedRows | None = None
    _ends: Ids | None
    _filters: WeakKeyDictionary[IdFilter, CellFilter]

    def _hold(self, index: faiss.IndexIVF) -> None:
        super()._hold(index)
        self.cells = int(index.nlist)

    def can_hold(self, count: int) -> bool:
        return count == sum(int(part.ntotal) for part in self._parts())

    @property
    def efforts(self) -> list[int]:
        return probe_efforts(self.cells)

    @property
    def effort_text(self) -> str:
        return f"{self.effort:,} of {self.cells:,} cells probed"

    def ids_by_row(self) -> Ids:
        """int64 (n,): cell after cell, and those of the late rows after all others."""
        held = (self._cell_ids(lists, cell) for lists, cell in self._lists())
        return np.concatenate(list(held))

    @staticmethod
    def _cell_ids(lists: faiss.InvertedLists, cell: int) -> Ids:
        size = lists.list_size(cell)
        if not size:
            return np.empty(0, np.int64)
        ids: Ids = faiss.rev_swig_ptr(lists.get_ids(cell), size)
        return ids

    def insert(self, vectors: Floats, ids: Ids) -> None:
        """Beside what is mapped; vectors: float32 (n, dim); ids: int64 (n,)"""
        if self.mapped is None:
            super().insert(vectors, ids)
            return
        if self.late is None:
            self.late = AppendedRows.of(self.index)
        self.late.add(vectors, ids)
        self._count += len(ids)
        self._changed()

    def own(self) -> None:
        super().own()
        if self.late is not None:
            self.late.pour_into(self.index)
            self.late = None
            self._changed()

    def _parts(self) -> Iterator[faiss.IndexIVF]:
        yield self.index
        if self.late is not None:
            yield self.late.index

    def _lists(self) -> Iterator[tuple[faiss.InvertedLists, int]]:
        for part in self._parts():
            lists = part.invlists
            yield from ((lists, cell) for cell in range(self.cells))

    def _delete(self, held: Ids) -> None:
        self.index.remove_ids(faiss.IDSelectorBatch(held))

    def _nearest(self, queries: Floats, k: int, allowed: IdFilter | None) -> tuple[Floats, Ids]:
        if allowed is None:
            return self._probed(queries, k, widened(self.effort, k, 1.0), None)
        within = self._chosen(allowed)
        if not within.held:
            return nothing(queries)
        probes = widened(self.effort, k, within.held / len(self))
        return self._probed(queries, min(k, within.held), probes, within)

    def _chosen(self, allowed: IdFilter) -> CellFilter:
        """Worked out once while neither the filter nor the index changes."""
        chosen = self._filters.get(allowed)
        if chosen is None:
            chosen = self._filters[allowed] = self._located(allowed)
        return chosen

    def _located(self, allowed: IdFilter) -> CellFilter:
        if len(allowed) > SCATTERED_SHARE * len(self):
            return CellFilter(selector(allowed.ids), len(allowed), self.cells, None)
        # No table of all ids, which takes seconds to make for ten million.
        rows = np.flatnonzero(np.isin(self.ids_by_row(), allowed.ids, assume_unique=True))
        cells = np.unique(np.searchsorted(self._cell_ends(), rows, side="right") % self.cells)
        among = selector(cells) if len(cells) else None
        return CellFilter(selector(allowed.ids), len(rows), len(cells), among)

    def _probed(
        self, queries: Floats, k: int, probes: int, within: CellFilter | None
    ) -> tuple[Floats, Ids]:
        """Probes the nearest cells, and all of them where those hold fewer than k.

        Returns similarities and ids (q, k), -1 where cells run out.
        """
        parameters = probing if within is None else within.probing
        cells = self.cells if within is None else within.cells
        probes = min(max(probes, 1), cells)
        similarities, ids = self._look(queries, k, parameters(probes))
        short = missing(ids)
        if len(short) and probes < cells:
            similarities[short], ids[short] = self._look(queries[short], k, parameters(cells))
        return similarities, ids

    def _look(
        self, queries: Floats, k: int, parameters: faiss.SearchParametersIVF
    ) -> tuple[Floats, Ids]:
        if self.late is not None:
            return self.late.search_with(self.index, queries, k, parameters)
        found: tuple[Floats, Ids] = self.index.search(queries, k, params=parameters)
        return found

    def _changed(self) -> None:
        self._ends, self._filters = None, WeakKeyDictionary()

    def _cell_ends(self) -> Ids:
        """Where each cell's rows end, int64 (cells,), and again with late rows; made when asked."""
        if self._ends is None:
            self._ends = np.cumsum([lists.list_size(cell) for lists, cell in self._lists()])
        return self._ends


@cache
def probing(probes: int) -> faiss.SearchParametersIVF:
    """Made once: making them takes as long as looking into a few cells."""
    return faiss.SearchParametersIVF(nprobe=probes)


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
