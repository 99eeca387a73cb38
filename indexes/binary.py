"""Binary codes: one bit per value after a learned rotation; candidates by Hamming distance.

The candidates are then re-ranked by their stored vectors. A row's bits are the signs of its rotated
values; a query's bits are the signs of the least-squares weights with which the rows' bits predict
its similarity to a row. Captions lie in another cone than images: over 60,000 embeddings of 512
dimensions, 640 candidates by a caption's own signs held 0.83 of its ten nearest images, by those
weights 0.93. A code takes dim/8 bytes of memory.
"""

from collections.abc import Mapping
from functools import cached_property

import faiss
import numpy as np
from numpy.typing import NDArray

from mmsearch.errors import InputError
from mmsearch.indexes.base import RECALL_AT
from mmsearch.indexes.ids import IdFilter
from mmsearch.indexes.itq import learn_rotation
from mmsearch.indexes.refined import RefinedIndex, is_refined, refined
from mmsearch.indexes.selectors import RowFilter
from mmsearch.records import Floats, Ids

# Candidates re-ranked per requested hit: the values that tuning tries.
EFFORTS = (4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)
# The value for an index that was never tuned.
UNTUNED = 64

# An exact scan over this many rows takes well under a millisecond.
SCANNED_ROWS = 1_000

# Ridge term that keeps the weights finite where two bits always agree.
_RIDGE = 1e-3


def new_binary(dim: int, rows: Floats, modalities: Mapping[str, Floats]) -> faiss.Index:
    """Creates an empty index whose rotation is learned on sampled rows and on each modality.

    rows, modalities: float32 (n, dim), unit rows.
    """
    if dim % 8:
        raise InputError(f"binary packs eight values into a byte, and {dim} is not a multiple of 8")
    mean = rows.mean(axis=0)
    rotation = learn_rotation({"rows": rows, **modalities})
    turned = faiss.LinearTransform(dim, dim, True)
    faiss.copy_array_to_vector(np.ascontiguousarray(rotation.T).ravel(), turned.A)
    faiss.copy_array_to_vector(-(mean @ rotation), turned.b)
    turned.is_trained = True
    # Takes signs only; its own rotation matrix, which FAISS saves, holds the query weights here.
    signs = faiss.IndexLSH(dim, dim, False, False)
    faiss.copy_array_to_vector(bit_weights(rows - mean, rotation).ravel(), signs.rrot.A)
    signs.rrot.is_trained = True
    # Must match the metric of the refinement, although candidates are found by Hamming distance.
    signs.metric_type = faiss.METRIC_INNER_PRODUCT
    return refined(faiss.IndexPreTransform(turned, signs), dim)


def bit_weights(centred_rows: Floats, rotation: Floats) -> Floats:
    """Returns the weights W, float32 (bits, dim), that predict similarities from bits.

    The least-squares fit of the rows to their bits, x ≈ Wᵀ·b, so that q·x ≈ (W·q)·b for any query.
    """
    bits = np.where(centred_rows @ rotation >= 0, np.float32(1), np.float32(-1))
    bits -= bits.mean(axis=0)
    common = bits.T @ bits / len(bits) + _RIDGE * np.eye(bits.shape[1], dtype=np.float32)
    weights: Floats = np.linalg.solve(common, bits.T @ centred_rows / len(bits))
    return np.ascontiguousarray(weights, dtype=np.float32)


class BinaryIndex(RefinedIndex):
    """One bit per value, with the float16 rows that candidates are re-ranked by."""

    kind = "binary"

    @staticmethod
    def fits(index: faiss.Index) -> bool:
        """Whether `index` holds binary codes."""
        return is_refined(index, faiss.IndexLSH)

    @property
    def efforts(self) -> list[int]:
        """The numbers of candidates per requested hit that tuning tries."""
        return list(EFFORTS)

    @property
    def effort_text(self) -> str:
        """The number of candidates re-ranked, in words."""
        return f"{self.effort * RECALL_AT:,} candidates re-ranked for {RECALL_AT} hits"

    def _nearest(self, queries: Floats, k: int, allowed: IdFilter | None) -> tuple[Floats, Ids]:
        within = self._searchable(allowed)
        rows = self._rows if within is None else len(within.rows)
        count = (self.effort or UNTUNED) * max(k, RECALL_AT)
        if rows <= max(count, SCANNED_ROWS):
            every = np.arange(rows) if within is None else within.rows
            return self._scan(queries, k, every)
        candidates = self._candidates(queries, count, within)
        # Ascending, so that a mapped file is read sequentially.
        candidates.sort(axis=1)
        found = [self._scan(queries[i : i + 1], k, rows) for i, rows in enumerate(candidates)]
        similarities, ids = (np.concatenate(parts) for parts in zip(*found, strict=True))
        return similarities, ids

    def _candidates(self, queries: Floats, count: int, within: RowFilter | None) -> Ids:
        """Returns the rows nearest by Hamming distance, int64 (q, count), of more than `count`."""
        codes = self._query_codes(queries)
        held = self._codes.codes
        distances = np.empty((len(queries), count), np.int32)
        rows = np.empty((len(queries), count), np.int64)
        heap = faiss.int_maxheap_array_t()
        heap.nh, heap.k = len(queries), count
        heap.val, heap.ids = faiss.swig_ptr(distances), faiss.swig_ptr(rows)
        chosen = () if within is None else (faiss.EXACT_TOPK, within.selector)
        in_order = 1
        faiss.hammings_knn_hc(
            heap,
            faiss.swig_ptr(codes),
            held.data(),
            self._rows,
            codes.shape[1],
            in_order,
            *chosen,
        )
        return rows

    def _query_codes(self, queries: Floats) -> NDArray[np.uint8]:
        """Encodes queries, float32 (q, dim), as uint8 (q, dim / 8)."""
        return np.packbits(queries @ self._weights.T >= 0, axis=1, bitorder="little")

    @cached_property
    def _weights(self) -> Floats:
        """The query weights, float32 (bits, dim); see `bit_weights`. They never change."""
        weights: Floats = faiss.vector_to_array(self._codes.rrot.A).reshape(self.dim, self.dim)
        return weights
