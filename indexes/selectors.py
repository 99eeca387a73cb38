"""Builds the FAISS selectors that restrict a search to some ids or rows."""

from functools import cached_property

import faiss
import numpy as np

from mmsearch.records import Ids

# A bitmap is faster than a hash set; beyond this many bits per allowed id it wastes memory.
BITS_PER_ALLOWED_ID = 64


class RowFilter:
    """The rows that a search may return, int64, ascending."""

    def __init__(self, rows: Ids) -> None:
        self.rows = rows

    @cached_property
    def selector(self) -> faiss.IDSelector:
        """The same rows for FAISS."""
        return selector(self.rows)


def selector(ids: Ids) -> faiss.IDSelector:
    """Builds a selector for ids, int64 (n,), ascending, distinct and not empty."""
    bits = int(ids[-1]) + 1
    if bits > BITS_PER_ALLOWED_ID * len(ids):
        return faiss.IDSelectorBatch(ids)
    flags = np.zeros(bits, np.bool_)
    flags[ids] = True
    return faiss.IDSelectorBitmap(np.packbits(flags, bitorder="little"))
