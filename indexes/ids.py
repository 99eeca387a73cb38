"""Ids: which of them a search may return, and in which row each one's vector lies."""

import numpy as np

from mmsearch.indexes.checks import require_ids
from mmsearch.records import Ids

REMOVED = -1

# A pass over a flag for each id beats a binary search for each of so large a share of the ids,
# where the ids are dense enough for the flags to be few.
FLAGGED_SHARE = 32
FLAGS_PER_ID = 16


class IdFilter:
    """The only ids that a search may return, whether an index holds them or not.

    Made once, it serves many searches: an index keeps what it works out of it. ids: int64 (n,),
    ascending and distinct, whatever order they came in.
    """

    def __init__(self, ids: Ids) -> None:
        require_ids(ids, holder="allowed ids")
        self.ids = ids if ascending(ids) else np.unique(ids)

    def __len__(self) -> int:
        return len(self.ids)


class IdTable:
    """Looks rows up by id, without a hash table in memory.

    ids_by_row: int64 (rows,), REMOVED where a row's id is gone.
    """

    def __init__(self, ids_by_row: Ids) -> None:
        self._rows: Ids | None = None
        self._sorted = ids_by_row
        if len(ids_by_row) and (ids_by_row[0] < 0 or not ascending(ids_by_row)):
            order = np.argsort(ids_by_row, kind="stable")
            self._rows = order[np.searchsorted(ids_by_row, 0, sorter=order) :]
            self._sorted = ids_by_row[self._rows]

    def __len__(self) -> int:
        return len(self._sorted)

    def rows_of(self, ids: Ids) -> Ids:
        """ids: int64 (n,) → the rows that hold those present, in ascending order of id."""
        wanted = ids if ascending(ids) else np.unique(ids)
        held = len(self._sorted)
        if 0 < held < FLAGGED_SHARE * len(wanted) and self._sorted[-1] < FLAGS_PER_ID * held:
            found = self._flagged(wanted)
        else:
            places = np.searchsorted(self._sorted, wanted)
            inside = places < held
            places, wanted = places[inside], wanted[inside]
            found = places[self._sorted[places] == wanted]
        return found if self._rows is None else self._rows[found]

    def _flagged(self, wanted: Ids) -> Ids:
        """Places of those present: one flag for each id up to the largest held."""
        flags = np.zeros(int(self._sorted[-1]) + 1, np.bool_)
        flags[wanted[: np.searchsorted(wanted, len(flags))]] = True
        return np.flatnonzero(flags[self._sorted])


def ascending(ids: Ids) -> bool:
    """Whether each id is larger than the one before. ids: int64 (n,)"""
    return bool(np.all(ids[1:] > ids[:-1]))
