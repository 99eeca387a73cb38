"""What all FAISS indexes share: checks at the door, ids, filters, complete and ordered answers.

FAISS holds the ids as well, so that index.faiss alone can be searched; the kinds differ in how
they insert, delete and look (flat.py, hnsw.py, ivf.py).
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

# Float32 dot products of unit vectors, summed in another order, differ by less.
TIE = 1e-6

# Past this many ties at place k, which of them are kept is left to FAISS (the lowest rows).
TIES_SEEN = 4096

# Over 30,000 embeddings, cells tuned to 0.95 for 10 hits found 0.89 of 100 and 0.67 of 1,000; with
# this they find 0.97 and above. Random filters of 50 % to 0.05 % kept the recall as well.
REACH_POWER = 0.4

# NumPy takes a microsecond a call: over so few numbers a loop in Python is quicker.
LOOPED = 64


_NONE = np.empty(0, np.int64)


class FaissIndex(ABC):
    """A VectorIndex in FAISS. effort: nprobe or efSearch; reason: why it is of this kind.

    mapped: the file that its vectors are mapped from, None when it owns them.
    built: how many ids it held when it was trained and tuned; changes: added or removed since.
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
        """count: of the ids held, where some of the rows are removed ones."""
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
        """Whether this class can hold that index."""

    def _hold(self, index: faiss.Index) -> None:
        """Takes the index in; what a search asks of it each time is read once, here."""
        self.index = index
        self.dim = int(index.d)
        self._changed()

    def __len__(self) -> int:
        return self._count

    def can_hold(self, count: int) -> bool:
        """Whether so many ids may be in what FAISS holds."""
        return count == int(self.index.ntotal)

    @property
    def efforts(self) -> list[int]:
        """What `effort` may be tried at, ascending; none for an exact kind."""
        return []

    @property
    def refinements(self) -> tuple[int, ...]:
        """What `refinement` may be tried at, ascending; none where nothing is compared again."""
        return ()

    @property
    def refinement(self) -> int:
        """How many candidates are compared again, for each hit asked for."""
        return 1

    @refinement.setter
    def refinement(self, factor: int) -> None:
        raise InputError(f"an index of kind {self.kind} compares no candidates again")

    @property
    def effort_text(self) -> str:
        """The effort in words."""
        return "every vector compared"

    def add(self, vectors: Floats, ids: Ids) -> None:
        """vectors: float32 (n, dim), unit rows; ids: int64 (n,), none of them present yet."""
        require_pairs(vectors, ids, self.dim)
        require_distinct(ids)
        present = self._held(ids)
        if len(present):
            raise InputError(f"id {present.min()} is in the index already; remove it first")
        self.insert(vectors, ids)
        self.changes += len(ids)

    def insert(self, vectors: Floats, ids: Ids) -> None:
        """`add` without its checks, for the builder. vectors: float32 (n, dim); ids: int64 (n,)"""
        self.own()
        self.index.add_with_ids(vectors, ids)
        self._count += len(ids)
        self._changed()

    def remove(self, ids: Ids) -> int:
        """Removes those present and returns how many there were. ids: int64 (n,)"""
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
        """queries: float32 (q, dim), unit rows → similarities (q, k), ids (q, k); see base.py."""
        require_vectors(queries, self.dim, holder="the query")
        require_k(k)
        width = min(k, self._count if allowed is None else len(allowed), self._count)
        if not width or not len(queries):
            return _padded(nothing(queries)[0], k)
        # A thread without a query only waits, and on a busy machine the search waits for it: one
        # query with product codes took 15 ms on two threads of two busy cores, and 0.4 ms on one.
        threads = faiss.omp_get_max_threads()
        faiss.omp_set_num_threads(min(threads, len(queries)))
        try:
            found = self._nearest(queries, width, allowed)
        finally:
            faiss.omp_set_num_threads(threads)
        return ordered(*found, k)

    @abstractmethod
    def _changed(self) -> None:
        """Forgets what was worked out from the ids held."""

    def _held(self, ids: Ids) -> Ids:
        """Those that are present. ids: int64 (n,), distinct"""
        # For ids as dense as a store's, NumPy sorts nothing here, and a table of all would.
        return ids[np.isin(ids, self.ids_by_row(), assume_unique=True)] if len(ids) else ids

    @abstractmethod
    def ids_by_row(self) -> Ids:
        """int64 (rows,): the id that each row holds, REMOVED where it is gone."""

    @abstractmethod
    def _delete(self, held: Ids) -> None:
        """held: int64 (n,), ids that are present."""

    @abstractmethod
    def _nearest(self, queries: Floats, k: int, allowed: IdFilter | None) -> tuple[Floats, Ids]:
        """Similarities and ids, (q, k or more) each, in any order; -1 where there is none.

        k: at most the number of ids held. allowed: not empty.
        """

    def own(self) -> None:
        """Copies a mapped index into memory, since FAISS cannot change a mapped one."""
        if self.mapped is not None:
            self._hold(reread(self.mapped))
            self.mapped = None


def widened(effort: int, k: int, share: float) -> int:
    """The effort for k hits among a `share` of the rows, above 0, when it was tuned for RECALL_AT.

    Both reach for neighbours that lie further away: a tenth of the rows is like ten times k.
    """
    reach: float = k / (RECALL_AT + 1) / min(share, 1.0)
    if reach <= 1:
        return max(1, effort)
    factor: float = reach**REACH_POWER
    return max(1, round(effort * factor))


def exact_search(
    flat: faiss.IndexFlat, queries: Floats, k: int, within: RowFilter | None = None
) -> tuple[Floats, Ids]:
    """queries: float32 (q, dim) → similarities and rows, (q, k or more), all ties at k included.

    within: the only rows to look at. Ties at place k would be cut at random, so
    the search widens until it has seen them all.
    """
    queries = np.ascontiguousarray(queries)
    available = flat.ntotal if within is None else len(within.rows)
    parameters = None if within is None else faiss.SearchParameters(sel=within.selector)
    width = min(k + 4, available)
    while True:
        similarities, found = flat.search(queries, width, params=parameters)
        # FAISS searches 20 queries or more through BLAS, which rounds otherwise than its own
        # kernels; scored again, a vector has one similarity in any batch.
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
    """The best k by similarity, then by smaller id, padded. Both in: (q, any), both out: (q, k)."""
    if _is_ordered(similarities, ids, k):
        # A query that is none of the rows, the usual one, has nothing to cut.
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
    """Whether they are k each, all there and without ties, as FAISS mostly returns them.

    Sorting anew takes as long as a small index takes to search.
    """
    if ids.shape[1] != k or not ids.size:
        return False
    if len(ids) == 1 and k <= LOOPED:
        return min(ids[0].tolist()) >= 0 and _falls(similarities[0].tolist())
    if ids.min() < 0:
        return False
    descending = (similarities[:, 1:] < similarities[:, :-1]).all()
    # Rounding may lift several copies above 1, and cut to 1 they tie.
    return bool(descending and (k == 1 or similarities[:, 1].max() < 1))


def _falls(similarities: list[float]) -> bool:
    return all(map(gt, similarities, similarities[1:])) and (
        len(similarities) == 1 or similarities[1] < 1
    )


def missing(ids: Ids) -> Ids:
    """Which queries, int64 (n,), lack hits. ids: (q, k), as FAISS returns them."""
    # FAISS puts what is missing last.
    if len(ids) == 1 and ids.item(-1) >= 0:
        return _NONE
    return np.flatnonzero(ids[:, -1] < 0)


def nothing(queries: Floats) -> tuple[Floats, Ids]:
    """Similarities and ids, (q, 0) each."""
    return np.empty((len(queries), 0), np.float32), np.empty((len(queries), 0), np.int64)


def _padded(similarities: Floats, k: int) -> tuple[Floats, Ids]:
    """similarities: (q, at most k) → (q, k) with -inf at the end, and ids (q, k) all -1."""
    padded = np.full((len(similarities), k), -np.inf, np.float32)
    padded[:, : similarities.shape[1]] = similarities
    return padded, np.full((len(similarities), k), -1, np.int64)
