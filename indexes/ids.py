"""Where an id's vector lies: rows looked up by id, without a hash table in memory."""

import numpy as np

from mmsearch.records import Ids

REMOVED = -1


class IdTable:
    """Looks rows up by id. ids_by_row: int64 (rows,), REMOVED where a row's id is gone."""

    def __init__(self, ids_by_row: Ids) -> None:
        if len(ids_by_row) and ids_by_row[0] >= 0 and np.all(ids_by_row[1:] > ids_by_row[:-1]):
            self._sorted, self._rows = ids_by_row, np.arange(len(ids_by_row))
            return
        order = np.argsort(ids_by_row, kind="stable")
        order = order[np.searchsorted(ids_by_row, 0, sorter=order) :]
        self._sorted, self._rows = ids_by_row[order], order

    def __len__(self) -> int:
        return len(self._sorted)

    def rows_of(self, ids: Ids) -> Ids:
        """ids: int64 (n,) → the rows that hold those present, in ascending order of id."""
        wanted = ids if np.all(ids[1:] > ids[:-1]) else np.unique(ids)
        places = np.searchsorted(self._sorted, wanted)
        inside = places < len(self._sorted)
        places, wanted = places[inside], wanted[inside]
        rows: Ids = self._rows[places[self._sorted[places] == wanted]]
        return rows
