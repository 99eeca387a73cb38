"""IVF-PQ: cells of 4-bit product codes with fast scan; candidates are re-ranked as float16.

A code takes dim/4 bytes of memory.
"""

from functools import cache

import faiss

from mmsearch.errors import InputError
from mmsearch.indexes.base import RECALL_AT
from mmsearch.indexes.faiss_index import missing, widened
from mmsearch.indexes.ids import IdFilter
from mmsearch.indexes.ivf import probe_efforts, train_cells
from mmsearch.indexes.refined import RefinedIndex, is_refined, refined
from mmsearch.indexes.selectors import RowFilter
from mmsearch.records import Floats, Ids

BITS = 4

# Larger values changed recall by less than 0.002.
ROTATION_ROUNDS = 8
ROTATION_POINTS = 16_384

# Candidates re-ranked per requested hit. A million rows need 16 or 32; among ten million, codes
# rank some of an image's ten nearest beyond the 640th place.
REFINEMENTS = (4, 8, 16, 32, 64, 128, 256, 512)

# An exact scan over this many rows costs no more than probing.
SCANNED_ROWS = 2_000


def new_pq(dim: int, cells: int, sample: Floats) -> faiss.Index:
    """Creates an empty index trained on `sample`, float32 (n, dim); dim must be even."""
    if dim % 2:
        raise InputError(f"ivf-pq splits vectors into pairs of values, and {dim} is odd")
    rotation = faiss.OPQMatrix(dim, dim // 2)
    # By default OPQ trains for 8-bit codes: ten times the work, and not the codes used here.
    codebook = faiss.ProductQuantizer(dim, dim // 2, BITS)
    rotation.pq = codebook
    rotation.niter = ROTATION_ROUNDS
    rotation.max_train_points = ROTATION_POINTS
    rotation.train(sample)
    rotation.pq = None
    quantizer = faiss.IndexFlatIP(dim)
    codes = faiss.IndexIVFPQFastScan(
        quantizer, dim, cells, dim // 2, BITS, faiss.METRIC_INNER_PRODUCT
    )
    train_cells(codes, quantizer, rotation.apply(sample))
    return refined(faiss.IndexPreTransform(rotation, codes), dim)


class IvfPqIndex(RefinedIndex):
    """Cells of product codes, with the float16 rows that candidates are re-ranked by."""

    kind = "ivf-pq"

    @staticmethod
    def fits(index: faiss.Index) -> bool:
        """Whether `index` holds product codes in cells."""
        return is_refined(index, faiss.IndexIVFPQFastScan)

    def _hold(self, index: faiss.IndexIDMap) -> None:
        super()._hold(index)
        self.cells, self._refinement = int(self._codes.nlist), int(self._refine.k_factor)

    @property
    def efforts(self) -> list[int]:
        """The values of nprobe that tuning tries, ascending."""
        return probe_efforts(self.cells)

    @property
    def refinements(self) -> tuple[int, ...]:
        """The numbers of candidates per requested hit that tuning tries."""
        return REFINEMENTS

    @property
    def refinement(self) -> int:
        """Candidates re-ranked per requested hit; saved with the index."""
        return self._refinement

    @refinement.setter
    def refinement(self, factor: int) -> None:
        # Saving links a mapped file unchanged, without the new value.
        self.own()
        self._refine.k_factor = self._refinement = factor

    @property
    def effort_text(self) -> str:
        """The cells probed and the candidates re-ranked, in words."""
        return (
            f"{self.effort:,} of {self.cells:,} cells probed, "
            f"{10 * self.refinement:,} candidates re-ranked"
        )

    def _nearest(self, queries: Floats, k: int, allowed: IdFilter | None) -> tuple[Floats, Ids]:
        within = self._searchable(allowed)
        rows = self._rows if within is None else len(within.rows)
        # Probing re-ranks this many candidates anyway.
        if within is not None and rows <= max(SCANNED_ROWS, RECALL_AT * self._refinement):
            return self._scan(queries, k, within.rows)
        # The refinement was tuned with the candidates of RECALL_AT hits.
        width = max(k, RECALL_AT)
        probes = min(self.cells, widened(self.effort, k, rows / self._rows))
        similarities, ids = self._probe(queries, width, within, probes)
        short = missing(ids[:, : min(k, rows)])
        if len(short) and probes < self.cells:
            every = self._probe(queries[short], width, within, self.cells)
            similarities[short], ids[short] = every
        return similarities, ids

    def _probe(
        self, queries: Floats, k: int, within: RowFilter | None, probes: int
    ) -> tuple[Floats, Ids]:
        """Probes cells → similarities and ids (q, k), -1 where the cells hold fewer."""
        if within is None:
            parameters = refining(probes, self._refinement)
            named: tuple[Floats, Ids] = self.index.search(queries, k, params=parameters)
            return named
        inside = faiss.SearchParametersIVF(nprobe=probes, sel=within.selector)
        parameters = _refined_by(inside, self._refinement)
        similarities, found = self._refine.search(queries, k, params=parameters)
        return similarities, self._named(found)


@cache
def refining(probes: int, refinement: int) -> faiss.IndexRefineSearchParameters:
    """Returns cached search parameters: creating them takes as long as scanning a few cells."""
    return _refined_by(faiss.SearchParametersIVF(nprobe=probes), refinement)


def _refined_by(
    inside: faiss.SearchParametersIVF, refinement: int
) -> faiss.IndexRefineSearchParameters:
    return faiss.IndexRefineSearchParameters(
        k_factor=refinement,
        base_index_params=faiss.SearchParametersPreTransform(index_params=inside),
    )
