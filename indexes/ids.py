"""Id filters for searches, and look-ups of rows by id."""

import numpy as np

from mmsearch.indexes.checks import require_ids
from mmsearch.records import Ids

REMOVED = -1

# One flag per id beats binary searches where at least one in FLAGGED_SHARE ids is looked up and the
# largest id is below FLAGS_PER_ID times their number.
FLAGGED_SHARE = 32
FLAGS_PER_ID = 16


class IdFilter:
    """The only ids that a search may return, whether they are in the index or not.

    Reuse one for many searches: an index caches what it derives from it. ids: int64 (n,), sorted
    and made distinct.
    """

    def __init__(self, ids: Ids) -> None:
        require_ids(ids, holder="allowed ids")
        self.ids = ids if ascending(ids) else np.unique(ids)

    def __len__(self) -> int:
        return len(self.ids)


class IdTable:
    """Looks up rows by id, without a hash table.

    ids_by_row: int64 (rows,), REMOVED for tombstones.
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
        """Returns the rows of the ids, int64 (n,), that are present, by ascending id."""
        requested = ids if ascending(ids) else np.unique(ids)
        held = len(self._sorted)
        if 0 < held < FLAGGED_SHARE * len(requested) and self._sorted[-1] < FLAGS_PER_ID * held:
            found = self._flagged(requested)
        else:
            places = np.searchsorted(self._sorted, requested)
            inside = places < held
            places, requested = places[inside], requested[inside]
            found = places[self._sorted[places] == requested]
        return found if self._rows is None else self._rows[found]

    def _flagged(self, requested: Ids) -> Ids:
        """Finds the ids that are present with one flag per id up to the largest."""
        flags = np.zeros(int(self._sorted[-1]) + 1, np.bool_)
        flags[requested[: np.searchsorted(requested, len(flags))]] = True
        return np.flatnonzero(flags[self._sorted])


def ascending(ids: Ids) -> bool:
    """Whether the ids, int64 (n,), are strictly ascending."""
    return bool(np.all(ids[1:] > ids[:-1]))
