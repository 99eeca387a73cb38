"""Finds the items nearest to query vectors: by the live index, and by exact search of newer rows.

A row of an index is an item, or a part of an item with several images or passages.
"""

from collections.abc import Sequence
from functools import cached_property, lru_cache, partial

import numpy as np

from mmsearch.fusion import Fusion
from mmsearch.generations import Generation, StoredVectors, estimate_fusion, stored_parts
from mmsearch.indexes import IdFilter
from mmsearch.indexes.lance_index import LanceIndex
from mmsearch.indexes.part_items import PartItems, RankedItems, rank_items, search_items
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
        self._matching_rows = lru_cache(FILTERS_KEPT)(self._expand_filter)
        self._fusion: Fusion | None = None

    @property
    def fusion(self) -> Fusion:
        """The fusion of the live generation, or one estimated from the rows."""
        if self._fusion is None:
            live = self._generation
            self._fusion = live.info.fusion if live else estimate_fusion(self._store).fusion
        return self._fusion

    def parts(self, target: Target) -> PartItems | None:
        """Returns the parts that the rows of a target are, None where they are items alone."""
        if self._indexes(target):
            assert self._generation is not None
            return self._generation.parts(target)
        return self._stored_parts.get(target)

    def search(
        self,
        vectors: Floats,
        target: Target,
        k: int,
        *,
        allowed: Ids | None = None,
        where: str | None = None,
        each_part: bool = False,
    ) -> list[RankedItems]:
        """Returns the k items nearest to each of the vectors, float32 (q, dim), unit rows.

        allowed: the only uids of rows that may be returned. where: an SQL filter of items instead.
        each_part: return the k nearest rows, not one for each item. Raises BadFilter.
        """
        live, parts = self._generation, self.parts(target)
        if live is not None and target in live.info.counts and live.follows_table(target):
            index = live.index(target, self._store.version)
            assert isinstance(index, LanceIndex)
            # Lance evaluates the SQL itself, which is cheaper than a list of ids.
            listed = IdFilter(allowed) if allowed is not None and where is None else None
            sql = self._store.sql_of(where)
            return _by_query(*index.search(vectors, k, where=sql, allowed=listed))
        within = IdFilter(allowed) if allowed is not None else None
        if where is not None:
            within = self.matching(where) if parts is None else self._matching_rows(where, target)
        if live is None or target not in live.info.counts:
            return self._scan(vectors, target, k, within=within, each_part=each_part)
        newer = None
        if not self._indexes(target):
            # Newer rows are not in the index, and rows deleted since are still in it.
            newer = self._scan(
                vectors,
                target,
                k,
                within=within,
                since=live.info.next_uid,
                each_part=each_part,
            )
            kept = self._present(parts)
            within = kept if within is None else IdFilter(np.intersect1d(within.ids, kept.ids))
        rows = partial(live.index(target).search, allowed=within)
        if parts is None or each_part:
            indexed = _by_query(*rows(vectors, k), parts)
        else:
            indexed = list(search_items(rows, vectors, k, parts))
        if newer is None:
            return indexed
        return [
            _best(k, pair, parts, each_part=each_part) for pair in zip(indexed, newer, strict=True)
        ]

    def _indexes(self, target: Target) -> bool:
        """Whether the target's index holds exactly the live rows."""
        live = self._generation
        return (
            live is not None
            and target in live.info.counts
            and live.info.lance_version == self._store.version
        )

    @cached_property
    def _stored_parts(self) -> dict[Target, PartItems]:
        return stored_parts(self._store)

    def _scan(
        self,
        vectors: Floats,
        target: Target,
        k: int,
        *,
        within: IdFilter | None,
        since: int = 0,
        each_part: bool = False,
    ) -> list[RankedItems]:
        """Searches the rows from a uid on exactly."""
        found = [nothing()] * len(vectors)
        parts = self.parts(target)
        for stored, uids in StoredVectors(
            self._store, target, self.fusion, 0, since=since, parts=parts
        ):
            chosen = np.isin(uids, within.ids) if within is not None else np.full(len(uids), True)
            rows = uids[chosen]
            similarities = vectors @ stored[chosen].T
            found = [
                _best(k, [kept, RankedItems(row, rows, rows)], parts, each_part=each_part)
                for kept, row in zip(found, similarities, strict=True)
            ]
        return found

    def _present(self, parts: PartItems | None) -> IdFilter:
        """Returns the live rows of a target with these parts."""
        if parts is None:
            return self._live
        return IdFilter(np.concatenate([parts.without_parts(self._live.ids), parts.parts]))

    @cached_property
    def _live(self) -> IdFilter:
        return IdFilter(self._store.uids())

    def _run_filter(self, where: str) -> IdFilter:
        """Evaluates a filter; `matching` caches this. Raises BadFilter."""
        return IdFilter(self._store.uids(where))

    def _expand_filter(self, where: str, target: Target) -> IdFilter:
        """Returns the rows of the items that match; `_matching_rows` caches this."""
        parts, items = self.parts(target), self.matching(where)
        return items if parts is None else IdFilter(parts.rows_of(items.ids))


def _by_query(similarities: Floats, rows: Ids, parts: PartItems | None = None) -> list[RankedItems]:
    """Returns a ranking of rows per query, without the places that an index left empty."""
    items = rows if parts is None else parts.items_of(rows)
    return [
        RankedItems(values[held], owners[held], found[held])
        for values, owners, found in zip(similarities, items, rows, strict=True)
        for held in [found >= 0]
    ]


def nothing() -> RankedItems:
    """Returns an empty ranking."""
    none = np.zeros(0, np.int64)
    return RankedItems(np.zeros(0, np.float32), none, none)


def _best(
    k: int, rankings: Sequence[RankedItems], parts: PartItems | None, *, each_part: bool
) -> RankedItems:
    """Merges rankings and returns the k best."""
    similarities = np.concatenate([ranking.similarities for ranking in rankings])
    rows = np.concatenate([ranking.rows for ranking in rankings])
    return rank_items(similarities, rows, k, parts, each_part=each_part)
