"""Unit vectors of chance, for indexes to hold."""

from collections.abc import Iterator

import numpy as np

from mmsearch.records import Floats, Ids


class RandomVectors:
    """`count` rows under the ids from 0, in one batch; the same ones each time.

    vectors: float32 (count, dim), unit rows.
    """

    def __init__(self, count: int, dim: int) -> None:
        vectors = np.random.default_rng(0).normal(size=(count, dim))
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        self.vectors: Floats = vectors.astype(np.float32)

    def __len__(self) -> int:
        return len(self.vectors)

    def __iter__(self) -> Iterator[tuple[Floats, Ids]]:
        yield self.vectors, np.arange(len(self.vectors), dtype=np.int64)
