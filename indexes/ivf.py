"""IVF: vectors in cells around k-means centres; a search looks into the nearest cells only."""

import faiss  # noqa: TID253
import numpy as np

from mmsearch.indexes.faiss_index import FaissIndex, selector
from mmsearch.records import Floats, Ids

TRAINING_ROUNDS = 10


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
    quantizer.this.disown()
    index.own_fields = True
    # Centres on the sphere: an unnormalised centre's length would sway the inner product.
    index.cp.spherical = True
    index.cp.niter = TRAINING_ROUNDS
    index.cp.max_points_per_centroid = max(1, len(sample) // cells + 1)
    index.train(sample)
    return index


class IvfIndex(FaissIndex):
    """A FaissIndex in cells; FAISS keeps the ids in them."""

    @property
    def cells(self) -> int:
        return int(self.index.nlist)

    @property
    def efforts(self) -> list[int]:
        """nprobe: powers of √2, up to every cell."""
        steps = {round(2 ** (step / 2)) for step in range(40)}
        return sorted({step for step in steps if step < self.cells} | {self.cells})

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
        share = 1.0 if allowed is None else len(allowed) / len(self)
        probes = min(self.cells, int(np.ceil(max(self.effort, 1) / share)))
        similarities, ids = self._probe(queries, k, allowed, probes)
        short = np.flatnonzero((ids < 0).any(axis=1))
        if len(short) and probes < self.cells:
            every = self._probe(queries[short], k, allowed, self.cells)
            similarities[short], ids[short] = every
        return similarities, ids

    def _probe(
        self, queries: Floats, k: int, allowed: Ids | None, probes: int
    ) -> tuple[Floats, Ids]:
        """queries: float32 (q, dim) → similarities and ids (q, k), -1 where cells run out."""
        parameters = faiss.SearchParametersIVF(nprobe=probes)
        if allowed is not None:
            parameters.sel = selector(allowed)
        similarities, ids = self.index.search(np.ascontiguousarray(queries), k, params=parameters)
        return similarities, ids


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
