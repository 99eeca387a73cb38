"""Tells FAISS which ids or rows a search may return."""

from functools import cached_property

import faiss
import numpy as np

from mmsearch.records import Ids

# A selector of one bit per id is the faster one; past this many bits per id it wastes memory.
BITS_PER_ALLOWED_ID = 64


class RowFilter:
    """rows: those that may be returned, int64, ascending; FAISS is told by `selector`."""

    def __init__(self, rows: Ids) -> None:
        self.rows = rows

    @cached_property
    def selector(self) -> faiss.IDSelector:
        return selector(self.rows)


def selector(ids: Ids) -> faiss.IDSelector:
    """ids: int64 (n,), ascending and distinct, not empty."""
    bits = int(ids[-1]) + 1
    if bits > BITS_PER_ALLOWED_ID * len(ids):
        return faiss.IDSelectorBatch(ids)
    flags = np.zeros(bits, np.bool_)
    flags[ids] = True
    return faiss.IDSelectorBitmap(np.packbits(flags, bitorder="little"))
