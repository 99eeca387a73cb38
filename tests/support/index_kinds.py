"""Every kind of index over the same vectors, and the exact answers that they are held against."""

from collections.abc import Iterator
from functools import cache

import numpy as np

from mmsearch.indexes import FaissIndex, IndexKind, IndexOptions, build_index
from mmsearch.records import Floats, Ids

DIM = 24
KINDS: tuple[IndexKind, ...] = ("flat", "hnsw", "ivf-flat", "ivf-sq8", "ivf-pq", "binary")
EXACT: tuple[IndexKind, ...] = ("flat",)


class Batches:
    """vectors: float32 (n, dim); ids: int64 (n,); read in batches of `size`."""

    def __init__(self, vectors: Floats, ids: Ids, size: int = 512) -> None:
        self.vectors, self.ids, self.size = vectors, ids, size

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Iterator[tuple[Floats, Ids]]:
        for start in range(0, len(self.ids), self.size):
            part = slice(start, start + self.size)
            yield self.vectors[part], self.ids[part]


def mixture(count: int, seed: int = 0) -> Floats:
    """Unit vectors in a cone around 60 centres of unlike weight and width, float32 (n, DIM)."""
    shape = np.random.default_rng(42)
    centres = shape.normal(size=(60, DIM)) + 1.5
    widths = shape.uniform(0.2, 0.9, size=60)
    weights = shape.dirichlet(np.full(60, 0.7))
    generator = np.random.default_rng(seed)
    chosen = generator.choice(60, size=count, p=weights)
    vectors = centres[chosen] + widths[chosen, None] * generator.normal(size=(count, DIM))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors.astype(np.float32)


def ids_for(count: int) -> Ids:
    """Distinct ids with gaps, in no order, int64 (n,)."""
    return np.random.default_rng(7).permutation(3 * count)[:count].astype(np.int64)


def oracle(vectors: Floats, ids: Ids, queries: Floats, k: int) -> tuple[Floats, Ids]:
    """All similarities, sorted by similarity, then by id, padded: (q, k) each."""
    similarities = np.full((len(queries), max(k, len(ids))), -np.inf, np.float32)
    similarities[:, : len(ids)] = queries @ vectors.T
    every = np.full(similarities.shape, -1, np.int64)
    every[:, : len(ids)] = ids
    order = np.lexsort((every, -similarities), axis=1)[:, :k]
    return np.take_along_axis(similarities, order, 1), np.take_along_axis(every, order, 1)


def built(kind: IndexKind, count: int, *, size: int = 512) -> tuple[FaissIndex, Floats, Ids]:
    vectors, ids = mixture(count), ids_for(count)
    index = build_index(Batches(vectors, ids, size), dim=DIM, options=IndexOptions(kind=kind))
    return index, vectors, ids


@cache
def shared(kind: IndexKind, count: int) -> tuple[FaissIndex, Floats, Ids]:
    """Like `built`, once for all the tests that only read."""
    return built(kind, count)


def overlap(found: Ids, wanted: Ids) -> float:
    """Share of the wanted ids that were found, 1 where none is wanted. Both int64 (q, k)."""
    if not (wanted >= 0).any():
        return 1.0
    hits = [np.isin(row, truth[truth >= 0]).sum() for row, truth in zip(found, wanted, strict=True)]
    return float(np.sum(hits) / (wanted >= 0).sum())


def tolerance(kind: str) -> float:
    """By how much a reported similarity may differ from the cosine."""
    return {"ivf-sq8": 2e-2, "ivf-pq": 1e-3, "binary": 1e-3}.get(kind, 1e-6)


def look_everywhere(index: FaissIndex) -> None:
    """Leaves nothing to the luck of training."""
    index.effort = max(index.efforts, default=0)
    if index.refinements:
        index.refinement = max(index.refinements)
