"""The base of all FAISS indexes: validation, ids, filters, complete and ordered results.

FAISS stores the ids too, so that index.faiss can be searched on its own. The kinds differ in how
they insert, delete and search (flat.py, hnsw.py, ivf.py).
"""

from abc import ABC, abstractmethod
from operator import gt
from pathlib import Path

import faiss
import numpy as np

from mmsearch.errors import InputError
from mmsearch.indexes.appended_rows import reread
from mmsearch.indexes.base import RECALL_AT, Tuning
from mmsearch.indexes.checks import (
    require_distinct,
    require_ids,
    require_k,
    require_pairs,
    require_vectors,
)
from mmsearch.indexes.ids import IdFilter
from mmsearch.indexes.selectors import RowFilter
from mmsearch.records import Floats, Ids

# Float32 dot products of unit vectors differ by less than this between summation orders.
TIE = 1e-6

# Beyond this many ties at place k, FAISS chooses which are kept (the lowest rows).
TIES_SEEN = 4096

# Over 30,000 embeddings, an IVF index tuned to recall 0.95 at 10 reached 0.89 at 100 and 0.67 at
# 1,000; with this exponent it reaches 0.97 and more, also under random filters of 50 % to 0.05 %.
REACH_POWER = 0.4

# A NumPy call takes a microsecond; up to this many numbers a Python loop is faster.
LOOPED = 64


_NONE = np.empty(0, np.int64)


class FaissIndex(ABC):
    """A VectorIndex in FAISS.

    effort: nprobe, efSearch or candidates. reason: why this kind was chosen. mapped: the file that
    its vectors are memory-mapped from, None when they are in memory. built: how many ids it held
    when it was trained and tuned; changes: ids added or removed since.
    """

    kind: str
    index: faiss.Index
    dim: int

    def __init__(
        self,
        index: faiss.Index,
        *,
        count: int | None = None,
        effort: int = 0,
        reason: str = "",
        tuning: Tuning | None = None,
        mapped: Path | None = None,
    ) -> None:
        """Wraps `index`. count: its ids, where some of its rows are tombstones."""
        self._count = int(index.ntotal) if count is None else count
        self._hold(index)
        self.effort = effort
        self.reason = reason
        self.tuning = tuning
        self.mapped = mapped
        self.built = 0
        self.changes = 0

    @staticmethod
    @abstractmethod
    def fits(index: faiss.Index) -> bool:
        """Whether this class can wrap `index`."""

    def _hold(self, index: faiss.Index) -> None:
        """Wraps `index`, and reads once what every search needs of it."""
        self.index = index
        self.dim = int(index.d)
        self._changed()

    def __len__(self) -> int:
        return self._count

    def can_hold(self, count: int) -> bool:
        """Whether the FAISS index can hold `count` ids."""
        return count == int(self.index.ntotal)

    @property
    def efforts(self) -> list[int]:
        """The efforts that tuning tries, ascending; none for an exact kind."""
        return []

    @property
    def refinements(self) -> tuple[int, ...]:
        """The refinements that tuning tries, ascending; none without re-ranking."""
        return ()

    @property
    def refinement(self) -> int:
        """Candidates re-ranked per requested hit."""
        return 1

    @refinement.setter
    def refinement(self, factor: int) -> None:
        raise InputError(f"an index of kind {self.kind} does not re-rank candidates")

    @property
    def effort_text(self) -> str:
        """The effort in words."""
        return "every vector compared"

    def add(self, vectors: Floats, ids: Ids) -> None:
        """Adds vectors, float32 (n, dim), unit rows, under ids, int64 (n,), not present yet."""
        require_pairs(vectors, ids, self.dim)
        require_distinct(ids)
        present = self._held(ids)
        if len(present):
            raise InputError(f"id {present.min()} is already in the index; remove it first")
        self.insert(vectors, ids)
        self.changes += len(ids)

    def insert(self, vectors: Floats, ids: Ids) -> None:
        """Adds vectors, float32 (n, dim), under ids, int64 (n,), without the checks of `add`."""
        self.own()
        self.index.add_with_ids(vectors, ids)
        self._count += len(ids)
        self._changed()

    def remove(self, ids: Ids) -> int:
        """Removes the ids, int64 (n,), that are present and returns how many those were."""
        require_ids(ids, holder="ids")
        held = self._held(np.unique(ids))
        if len(held):
            self.own()
            self._delete(held)
            self._count -= len(held)
            self._changed()
            self.changes += len(held)
        return len(held)

    def search(
        self, queries: Floats, k: int, *, allowed: IdFilter | None = None
    ) -> tuple[Floats, Ids]:
        """Searches queries, float32 (q, dim), unit rows → similarities (q, k), ids (q, k).

        allowed: the only ids that may be returned. See `VectorIndex.search`.
        """
        require_vectors(queries, self.dim, holder="the query")
        require_k(k)
        width = min(k, self._count if allowed is None else len(allowed), self._count)
        if not width or not len(queries):
            return _padded(nothing(queries)[0], k)
        # Idle threads delay a search on a busy machine: one query with product codes took 15 ms on
        # two threads of two busy cores, and 0.4 ms on one.
        threads = faiss.omp_get_max_threads()
        faiss.omp_set_num_threads(min(threads, len(queries)))
        try:
            found = self._nearest(queries, width, allowed)
        finally:
            faiss.omp_set_num_threads(threads)
        return ordered(*found, k)

    @abstractmethod
    def _changed(self) -> None:
        """Drops what was derived from the ids."""

    def _held(self, ids: Ids) -> Ids:
        """Returns those of the distinct ids, int64 (n,), that are present."""
        # For dense ids such as a store's, NumPy needs no sorting here.
        return ids[np.isin(ids, self.ids_by_row(), assume_unique=True)] if len(ids) else ids

    @abstractmethod
    def ids_by_row(self) -> Ids:
        """Returns the id of each row, int64 (rows,); REMOVED for a tombstone."""

    @abstractmethod
    def _delete(self, held: Ids) -> None:
        """Removes ids, int64 (n,), that are all present."""

    @abstractmethod
    def _nearest(self, queries: Floats, k: int, allowed: IdFilter | None) -> tuple[Floats, Ids]:
        """Returns similarities and ids, (q, k or more) each, in any order; -1 for missing hits.

        k: at most the number of ids. allowed: not empty.
        """

    def own(self) -> None:
        """Copies a mapped index into memory, since FAISS cannot modify a mapped one."""
        if self.mapped is not None:
            self._hold(reread(self.mapped))
            self.mapped = None


def widened(effort: int, k: int, share: float) -> int:
    """Scales an effort tuned for RECALL_AT hits to k hits among a `share` of the rows, above 0.

    Both mean more distant neighbours: a tenth of the rows is like ten times k.
    """
    reach: float = k / (RECALL_AT + 1) / min(share, 1.0)
    if reach <= 1:
        return max(1, effort)
    factor: float = reach**REACH_POWER
    return max(1, round(effort * factor))


def exact_search(
    flat: faiss.IndexFlat, queries: Floats, k: int, within: RowFilter | None = None
) -> tuple[Floats, Ids]:
    """Searches exactly → similarities and rows, (q, k or more), with all ties at place k.

    queries: float32 (q, dim). within: the only rows to search. Ties at place k would be cut
    arbitrarily, so the search widens until it has seen them all.
    """
    queries = np.ascontiguousarray(queries)
    available = flat.ntotal if within is None else len(within.rows)
    parameters = None if within is None else faiss.SearchParameters(sel=within.selector)
    width = min(k + 4, available)
    while True:
        similarities, found = flat.search(queries, width, params=parameters)
        # FAISS searches 20 queries or more through BLAS, which rounds differently from its own
        # kernels; scored again, a vector has the same similarity in any batch.
        flat.compute_distance_subset(
            len(queries),
            faiss.swig_ptr(queries),
            width,
            faiss.swig_ptr(similarities),
            faiss.swig_ptr(found),
        )
        kth = np.sort(similarities, axis=1)[:, -k]
        tied = np.any(kth - similarities.min(axis=1) <= TIE)
        if not tied or width >= min(available, k + TIES_SEEN):
            return similarities, found
        width = min(2 * width, available)


def ordered(similarities: Floats, ids: Ids, k: int) -> tuple[Floats, Ids]:
    """Sorts hits by similarity, then by id, and cuts or pads them: (q, any) → (q, k)."""
    if _is_ordered(similarities, ids, k):
        # The usual query is none of the rows, and has nothing to clip.
        if len(ids) > 1 or similarities.item(0) > 1:
            np.minimum(similarities, np.float32(1), out=similarities)
        return similarities, ids
    similarities = np.where(ids >= 0, np.clip(similarities, -1, 1), np.float32(-np.inf))
    order = np.lexsort((ids, -similarities), axis=1)[:, :k]
    similarities = np.take_along_axis(similarities, order, axis=1)
    padded_similarities, padded_ids = _padded(similarities, k)
    padded_ids[:, : order.shape[1]] = np.take_along_axis(ids, order, axis=1)
    return padded_similarities, padded_ids


def _is_ordered(similarities: Floats, ids: Ids, k: int) -> bool:
    """Whether all k hits are present without ties, as FAISS mostly returns them.

    Sorting them again would take as long as searching a small index.
    """
    if ids.shape[1] != k or not ids.size:
        return False
    if len(ids) == 1 and k <= LOOPED:
        return min(ids[0].tolist()) >= 0 and _falls(similarities[0].tolist())
    if ids.min() < 0:
        return False
    descending = (similarities[:, 1:] < similarities[:, :-1]).all()
    # Rounding may put several copies above 1; clipped to 1 they tie.
    return bool(descending and (k == 1 or similarities[:, 1].max() < 1))


def _falls(similarities: list[float]) -> bool:
    return all(map(gt, similarities, similarities[1:])) and (
        len(similarities) == 1 or similarities[1] < 1
    )


def missing(ids: Ids) -> Ids:
    """Returns the queries, int64 (n,), with missing hits. ids: (q, k), as FAISS returns them."""
    # FAISS puts missing hits last.
    if len(ids) == 1 and ids.item(-1) >= 0:
        return _NONE
    return np.flatnonzero(ids[:, -1] < 0)


def nothing(queries: Floats) -> tuple[Floats, Ids]:
    """Returns empty similarities and ids, (q, 0) each."""
    return np.empty((len(queries), 0), np.float32), np.empty((len(queries), 0), np.int64)


def _padded(similarities: Floats, k: int) -> tuple[Floats, Ids]:
    """Pads similarities, (q, at most k), with -inf to (q, k); with ids (q, k), all -1."""
    padded = np.full((len(similarities), k), -np.inf, np.float32)
    padded[:, : similarities.shape[1]] = similarities
    return padded, np.full((len(similarities), k), -1, np.int64)
