"""Batches of texts of similar length, which saves padding."""

import numpy as np
from numpy.typing import NDArray

# Batches that are sorted by length together.
SORTED_BATCHES = 32


def length_batches(
    ids: NDArray[np.int32], *, steps: int, batch: int, seed: int
) -> list[NDArray[np.int64]]:
    """Draws the row numbers of each step, epoch after epoch.

    ids: token ids (n, context), 0 where padded. Batches have at least 2 rows, so n must be above 1.
    """
    rng = np.random.default_rng(seed)
    lengths = (ids != 0).sum(axis=1)
    drawn: list[NDArray[np.int64]] = []
    while len(drawn) < steps:
        order = rng.permutation(len(ids))
        for start in range(0, len(order), batch * SORTED_BATCHES):
            chunk = order[start : start + batch * SORTED_BATCHES]
            chunk = chunk[np.argsort(lengths[chunk], kind="stable")]
            parts = [chunk[i : i + batch] for i in range(0, len(chunk), batch)]
            drawn += [parts[i] for i in rng.permutation(len(parts)) if len(parts[i]) > 1]
    return drawn[:steps]
