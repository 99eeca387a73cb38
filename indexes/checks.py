"""Validates what enters an index: finite unit vectors of the right shape, each with an id."""

import numpy as np

from mmsearch.errors import InputError, SpaceMismatch
from mmsearch.records import Floats, Ids, require_unit_rows


def require_vectors(vectors: Floats, dim: int, *, holder: str) -> None:
    """Raises unless `vectors` are float32 (n, dim), unit rows. holder: their name in messages."""
    if not isinstance(vectors, np.ndarray) or vectors.dtype != np.float32 or vectors.ndim != 2:
        got = f"{vectors.dtype} {vectors.shape}" if isinstance(vectors, np.ndarray) else vectors
        raise InputError(f"{holder} must be float32 (n, {dim}), got {got}")
    if vectors.shape[1] != dim:
        raise SpaceMismatch(
            f"the index holds {dim}-dim vectors, {holder} has {vectors.shape[1]}; use the model "
            f"that the index was built with, or build a new index"
        )
    require_unit_rows(vectors)


def require_ids(ids: Ids, *, holder: str) -> None:
    """Raises unless `ids` are int64 (n,) and not negative."""
    if not isinstance(ids, np.ndarray) or ids.dtype != np.int64 or ids.ndim != 1:
        got = f"{ids.dtype} {ids.shape}" if isinstance(ids, np.ndarray) else type(ids).__name__
        raise InputError(f"{holder} must be int64 (n,), got {got}")
    if ids.size and ids.min() < 0:
        raise InputError(f"{holder} must not be negative, got {ids.min()}")


def require_distinct(ids: Ids) -> None:
    """Raises InputError unless all ids, int64 (n,), are distinct."""
    ordered = np.sort(ids)
    twice = ordered[1:][ordered[1:] == ordered[:-1]]
    if twice.size:
        raise InputError(f"id {twice[0]} occurs twice among {len(ids):,} ids; ids must be distinct")


def require_pairs(vectors: Floats, ids: Ids, dim: int) -> None:
    """Raises unless vectors, float32 (n, dim), and ids, int64 (n,), are valid and as many."""
    require_vectors(vectors, dim, holder="a batch of vectors")
    require_ids(ids, holder="ids")
    if len(vectors) != len(ids):
        raise InputError(f"got {len(vectors)} vectors and {len(ids)} ids; give one id per vector")


def require_k(k: int) -> None:
    """Raises InputError unless k is at least 1."""
    if k < 1:
        raise InputError(f"k must be at least 1, got {k}")
