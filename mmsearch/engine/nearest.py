"""Finds the items nearest to query vectors: by the live index, and by exact search of newer rows.

An item with several images or passages is as near as its best part.
"""

from collections.abc import Sequence
from functools import cached_property, lru_cache

import numpy as np

from mmsearch.fusion import Fusion
from mmsearch.generations import Generation, StoredVectors, estimate_fusion, stored_parts
from mmsearch.indexes import IdFilter
from mmsearch.indexes.lance_index import LanceIndex
from mmsearch.indexes.part_items import PartItems, RankedItems, search_items
from mmsearch.records import Floats, Ids, Target
from mmsearch.store import Store

# Evaluating a filter takes longer than the search itself, and people page through filtered results
# and refine them. A cached filter takes at most 8 bytes per row.
FILTERS_KEPT = 8


class Nearest:
    """Nearest-neighbour search at one table version and generation.

    generation: opened before the store, so that it is never ahead of the rows.
    """

    def __init__(self, store: Store, generation: Generation | None) -> None:
        self._store, self._generation = store, generation
        self.matching = lru_cache(FILTERS_KEPT)(self._run_filter)
        self._fusion: Fusion | None = None
        self._last_rows: tuple[IdFilter, PartItems, IdFilter] | None = None

    @property
    def fusion(self) -> Fusion:
        """The fusion of the live generation, or one estimated from the rows."""
        if self._fusion is None:
            live = self._generation
            self._fusion = live.info.fusion if live else estimate_fusion(self._store).fusion
        return self._fusion

    def search(
        self,
        vectors: Floats,
        target: Target,
        k: int,
        *,
        allowed: Ids | None = None,
        where: str | None = None,
        by_part: bool = False,
    ) -> list[RankedItems]:
        """Returns the k items nearest to each of the vectors, float32 (q, dim), unit rows.

        allowed: the only items that may be returned, by uid. where: an SQL filter instead. by_part:
        return the k nearest parts, several of an item. Raises BadFilter.
        """
        within = IdFilter(allowed) if allowed is not None else None
        if where is not None:
            within = self.matching(where)
        live = self._generation
        if live is None or target not in live.info.counts:
            return self._scan(vectors, target, k, within=within, by_part=by_part)
        index = live.index(target, self._store.version)
        if live.follows_table(target):
            assert isinstance(index, LanceIndex)
            # Lance evaluates the SQL itself, which is cheaper than a list of ids.
            listed = None if where is not None else within
            sql = self._store.sql_of(where)
            return _by_query(*index.search(vectors, k, where=sql, allowed=listed))
        found = [nothing()] * len(vectors)
        parts = live.parts(target)
        if live.info.lance_version != self._store.version:
            # Newer rows are not in the index, and rows deleted since are still in it.
            first = live.info.next_uid
            found = self._scan(vectors, target, k, within=within, first_uid=first, by_part=by_part)
            kept = self._present
            within = kept if within is None else IdFilter(np.intersect1d(within.ids, kept.ids))
        if parts is None:
            indexed = _by_query(*index.search(vectors, k, allowed=within))
        else:
            indexed = self._by_parts(vectors, target, k, within=within, by_part=by_part)
        return [
            best(k, [one, other], by_part=by_part)
            for one, other in zip(indexed, found, strict=True)
        ]

    def _by_parts(
        self, vectors: Floats, target: Target, k: int, *, within: IdFilter | None, by_part: bool
    ) -> list[RankedItems]:
        """Searches an index that holds the parts of some items."""
        assert self._generation is not None
        index = self._generation.index(target, self._store.version)
        parts = self._generation.parts(target)
        assert parts is not None
        rows = None if within is None else self._rows_of(within, parts)

        def search(queries: Floats, width: int) -> tuple[Floats, Ids]:
            return index.search(queries, width, allowed=rows)

        if not by_part:
            return list(search_items(search, vectors, k, parts))
        return [
            RankedItems(found.similarities, parts.items_of(found.rows), found.rows)
            for found in _by_query(*search(vectors, k))
        ]

    def _rows_of(self, within: IdFilter, parts: PartItems) -> IdFilter:
        """Returns what an index holds of some items; that of the last filter is kept."""
        if self._last_rows is None or self._last_rows[:2] != (within, parts):
            self._last_rows = within, parts, IdFilter(parts.rows_of(within.ids))
        return self._last_rows[2]

    def _scan(
        self,
        vectors: Floats,
        target: Target,
        k: int,
        *,
        within: IdFilter | None,
        first_uid: int = 0,
        by_part: bool,
    ) -> list[RankedItems]:
        """Searches the rows from a uid on exactly."""
        found = [nothing()] * len(vectors)
        parts = self._stored_parts.get(target)
        stored = StoredVectors(self._store, target, self.fusion, 0, since=first_uid, parts=parts)
        for rows, uids in stored:
            items = uids if parts is None else parts.items_of(uids)
            chosen = np.isin(items, within.ids) if within is not None else slice(None)
            similarities = vectors @ rows[chosen].T
            found = [
                best(k, [kept, RankedItems(row, items[chosen], uids[chosen])], by_part=by_part)
                for kept, row in zip(found, similarities, strict=True)
            ]
        return found

    @cached_property
    def _stored_parts(self) -> dict[Target, PartItems]:
        return stored_parts(self._store)

    @cached_property
    def _present(self) -> IdFilter:
        return IdFilter(self._store.uids())

    def _run_filter(self, where: str) -> IdFilter:
        """Evaluates a filter; `matching` caches this. Raises BadFilter."""
        return IdFilter(self._store.uids(where))


def _by_query(similarities: Floats, uids: Ids) -> list[RankedItems]:
    """Returns a ranking per row, without the places that an index left empty."""
    return [
        RankedItems(values[row >= 0], row[row >= 0], row[row >= 0])
        for values, row in zip(similarities, uids, strict=True)
    ]


def nothing() -> RankedItems:
    """Returns an empty ranking."""
    return RankedItems(np.zeros(0, np.float32), np.zeros(0, np.int64), np.zeros(0, np.int64))


def best(k: int, rankings: Sequence[RankedItems], *, by_part: bool = False) -> RankedItems:
    """Merges rankings and returns the k best, by similarity, then by smaller uid.

    by_part: an item may occur several times.
    """
    similarities, items, rows = (np.concatenate(columns) for columns in zip(*rankings, strict=True))
    order = np.lexsort((rows, items, -similarities))
    if not by_part:
        # np.unique returns the first place of each item, which is that of its best row.
        order = order[np.sort(np.unique(items[order], return_index=True)[1])]
    order = order[:k]
    return RankedItems(similarities[order], items[order], rows[order])
