"""What all FAISS indexes share: checks at the door, ids, filters, complete and ordered answers.

FAISS holds the ids as well, so that index.faiss alone can be searched; the kinds differ in how
they insert, delete and look (flat.py, hnsw.py, ivf.py).
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import faiss
import numpy as np

from mmsearch.errors import CorruptIndex, InputError
from mmsearch.indexes.base import RECALL_AT, Tuning
from mmsearch.indexes.checks import (
    require_distinct,
    require_ids,
    require_k,
    require_pairs,
    require_vectors,
)
from mmsearch.indexes.ids import IdTable, ascending
from mmsearch.records import Floats, Ids

# Float32 dot products of unit vectors, summed in another order, differ by less.
TIE = 1e-6

# Past this many ties at place k, which of them are kept is left to FAISS (the lowest rows).
TIES_SEEN = 4096

# Over 30,000 embeddings, cells tuned to 0.95 for 10 hits found 0.89 of 100 and 0.67 of 1,000; with
# this they find 0.97 and above. Random filters of 50 % to 0.05 % kept the recall as well.
REACH_POWER = 0.4

# A selector of one bit per id is the faster one; past this many bits per id it wastes memory.
BITS_PER_ALLOWED_ID = 64


class FaissIndex(ABC):
    """A VectorIndex in FAISS. effort: nprobe or efSearch; reason: why it is of this kind.

    mapped: the file that its vectors are mapped from, None when it owns them.
    built: how many ids it held when it was trained and tuned; changes: added or removed since.
    """

    kind: str
    _table: IdTable | None

    def __init__(
        self,
        index: faiss.Index,
        *,
        effort: int = 0,
        reason: str = "",
        tuning: Tuning | None = None,
        mapped: Path | None = None,
    ) -> None:
        self.index = index
        self.effort = effort
        self.reason = reason
        self.tuning = tuning
        self.mapped = mapped
        self.built = 0
        self.changes = 0
        self._changed()

    @staticmethod
    @abstractmethod
    def fits(index: faiss.Index) -> bool:
        """Whether this class can hold that index."""

    @property
    def dim(self) -> int:
        return int(self.index.d)

    def __len__(self) -> int:
        return int(self.index.ntotal)

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

    @property
    def table(self) -> IdTable:
        """Rows by id, made when first asked for."""
        if self._table is None:
            self._table = IdTable(self.ids_by_row())
        return self._table

    def add(self, vectors: Floats, ids: Ids) -> None:
        """vectors: float32 (n, dim), unit rows; ids: int64 (n,), none of them present yet."""
        require_pairs(vectors, ids, self.dim)
        require_distinct(ids)
        present = self.table.rows_of(ids)
        if len(present):
            raise InputError(
                f"id {self.ids_by_row()[present[0]]} is in the index already; remove it first"
            )
        self._own()
        self.insert(vectors, ids)
        self.changes += len(ids)

    def insert(self, vectors: Floats, ids: Ids) -> None:
        """`add` without its checks, for the builder. vectors: float32 (n, dim); ids: int64 (n,)"""
        self.index.add_with_ids(vectors, ids)
        self._changed()

    def remove(self, ids: Ids) -> int:
        """Removes those present and returns how many there were. ids: int64 (n,)"""
        require_ids(ids, holder="ids")
        rows = self.table.rows_of(ids)
        if len(rows):
            self._own()
            self._delete(rows)
            self._changed()
            self.changes += len(rows)
        return len(rows)

    def search(self, queries: Floats, k: int, *, allowed: Ids | None = None) -> tuple[Floats, Ids]:
        """queries: float32 (q, dim), unit rows → similarities (q, k), ids (q, k); see base.py."""
        require_vectors(queries, self.dim, holder="the query")
        require_k(k)
        if allowed is not None:
            require_ids(allowed, holder="allowed ids")
            allowed = allowed if ascending(allowed) else np.unique(allowed)
        width = min(k, len(self) if allowed is None else len(allowed), len(self))
        if not width or not len(queries):
            return _padded(np.empty((len(queries), 0), np.float32), k)
        with threads_for(len(queries)):
            found = self._nearest(queries, width, allowed)
        return ordered(*found, k)

    def _changed(self) -> None:
        """Forgets what was worked out from the ids held."""
        self._table = None

    @abstractmethod
    def ids_by_row(self) -> Ids:
        """int64 (rows,): the id that each row holds, REMOVED where it is gone."""

    @abstractmethod
    def _delete(self, rows: Ids) -> None:
        """rows: int64 (n,), each holding an id."""

    @abstractmethod
    def _nearest(self, queries: Floats, k: int, allowed: Ids | None) -> tuple[Floats, Ids]:
        """Similarities and ids, (q, k or more) each, in any order; -1 where there is none.

        k: at most the number of ids held. allowed: int64, ascending and distinct, not empty.
        """

    def _own(self) -> None:
        """Copies a mapped index into memory, since FAISS cannot change a mapped one."""
        if self.mapped is None:
            return
        if not self.mapped.exists():
            raise CorruptIndex(
                f"{self.mapped} was deleted while it was open; open the store again to change it"
            )
        self.index = faiss.read_index(str(self.mapped))
        self.mapped = None
        self._changed()


def widened(effort: int, k: int, share: float) -> int:
    """The effort for k hits among a `share` of the rows, above 0, when it was tuned for RECALL_AT.

    Both reach for neighbours that lie further away: a tenth of the rows is like ten times k.
    """
    reach: float = max(1.0, k / (RECALL_AT + 1) / min(share, 1.0))
    factor: float = reach**REACH_POWER
    return max(1, round(effort * factor))


@contextmanager
def threads_for(queries: int) -> Iterator[None]:
    """No more threads than queries: FAISS spreads a search over queries.

    A thread without one only waits, and on a busy machine the search then waits for it: one query
    with product codes took 15 ms on two threads of two busy cores, and 0.4 ms on one.
    """
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(max(1, min(before, queries)))
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)


def exact_search(
    flat: faiss.IndexFlat, queries: Floats, k: int, rows: Ids | None = None
) -> tuple[Floats, Ids]:
    """queries: float32 (q, dim) → similarities and rows, (q, k or more), all ties at k included.

    rows: the only ones to look at, int64, ascending. Ties at place k would be cut at random, so
    the search widens until it has seen them all.
    """
    queries = np.ascontiguousarray(queries)
    available = flat.ntotal if rows is None else len(rows)
    parameters = None if rows is None else faiss.SearchParameters(sel=selector(rows))
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


def selector(ids: Ids) -> faiss.IDSelector:
    """ids: int64 (n,), ascending and distinct, not empty."""
    bits = int(ids[-1]) + 1
    if bits > BITS_PER_ALLOWED_ID * len(ids):
        return faiss.IDSelectorBatch(ids)
    flags = np.zeros(bits, np.bool_)
    flags[ids] = True
    return faiss.IDSelectorBitmap(np.packbits(flags, bitorder="little"))


def ordered(similarities: Floats, ids: Ids, k: int) -> tuple[Floats, Ids]:
    """The best k by similarity, then by smaller id, padded. Both in: (q, any), both out: (q, k)."""
    if _is_ordered(similarities, ids, k):
        return np.minimum(similarities, np.float32(1)), ids
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
    if ids.shape[1] != k or (ids < 0).any():
        return False
    descending = (similarities[:, 1:] < similarities[:, :-1]).all()
    # Rounding may lift several copies above 1, and cut to 1 they tie.
    return bool(descending and (k == 1 or (similarities[:, 1] < 1).all()))


def _padded(similarities: Floats, k: int) -> tuple[Floats, Ids]:
    """similarities: (q, at most k) → (q, k) with -inf at the end, and ids (q, k) all -1."""
    padded = np.full((len(similarities), k), -np.inf, np.float32)
    padded[:, : similarities.shape[1]] = similarities
    return padded, np.full((len(similarities), k), -1, np.int64)
