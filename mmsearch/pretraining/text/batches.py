"""Batches of texts of like length."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray


def batches(
    ids: NDArray[np.int32], steps: int, batch: int, seed: int
) -> Iterator[NDArray[np.int64]]:
    """Row numbers, epoch after epoch; texts of like length share a batch, which saves padding."""
    rng = np.random.default_rng(seed)
    lengths = (ids != 0).sum(axis=1)
    given = 0
    while given < steps:
        order = rng.permutation(len(ids))
        for start in range(0, len(order), batch * 32):
            chunk = order[start : start + batch * 32]
            chunk = chunk[np.argsort(lengths[chunk], kind="stable")]
            parts = [chunk[i : i + batch] for i in range(0, len(chunk), batch)]
            for index in rng.permutation(len(parts)):
                if given < steps and len(parts[index]) > 1:
                    given += 1
                    yield parts[index]
