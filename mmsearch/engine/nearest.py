"""Finds the rows nearest to query vectors: by the live index, and by exact search of newer rows."""

from collections.abc import Sequence
from functools import cached_property, lru_cache
from typing import TypeAlias

import numpy as np

from mmsearch.fusion import Fusion
from mmsearch.generations import Generation, StoredVectors, estimate_fusion
from mmsearch.indexes import IdFilter
from mmsearch.indexes.lance_index import LanceIndex
from mmsearch.records import Floats, Ids, Target
from mmsearch.store import Store
from mmsearch.store.filters import LIVE

# Similarities float32 and uids int64, both (n,), best first.
ScoredUids: TypeAlias = tuple[Floats, Ids]

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
    ) -> list[ScoredUids]:
        """Returns the k rows nearest to each of the vectors, float32 (q, dim), unit rows.

        allowed: the only uids that may be returned. where: an SQL filter instead. Raises BadFilter.
        """
        within = IdFilter(allowed) if allowed is not None else None
        if where is not None:
            within = self.matching(where)
        live = self._generation
        if live is None or target not in live.info.counts:
            return self._scan(vectors, target, k, within=within)
        index = live.index(target, self._store.version)
        if live.follows_table(target):
            assert isinstance(index, LanceIndex)
            # Lance evaluates the SQL itself, which is cheaper than a list of ids.
            listed = None if where is not None else within
            sql = self._store.sql_of(where)
            return _by_query(*index.search(vectors, k, where=sql, allowed=listed))
        found = [nothing()] * len(vectors)
        if live.info.lance_version != self._store.version:
            # Newer rows are not in the index, and rows deleted since are still in it.
            found = self._scan(vectors, target, k, within=within, first_uid=live.info.next_uid)
            kept = self._present
            within = kept if within is None else IdFilter(np.intersect1d(within.ids, kept.ids))
        indexed = _by_query(*index.search(vectors, k, allowed=within))
        return [best(k, [one, other]) for one, other in zip(indexed, found, strict=True)]

    def _scan(
        self,
        vectors: Floats,
        target: Target,
        k: int,
        *,
        within: IdFilter | None,
        first_uid: int = 0,
    ) -> list[ScoredUids]:
        """Searches the rows from a uid on exactly."""
        found = [nothing()] * len(vectors)
        where = f"{LIVE} AND _uid >= {first_uid}"
        for stored, uids in StoredVectors(self._store, target, self.fusion, 0, where):
            chosen = np.isin(uids, within.ids) if within is not None else slice(None)
            similarities = vectors @ stored[chosen].T
            found = [
                best(k, [kept, (row, uids[chosen])])
                for kept, row in zip(found, similarities, strict=True)
            ]
        return found

    @cached_property
    def _present(self) -> IdFilter:
        return IdFilter(self._store.uids())

    def _run_filter(self, where: str) -> IdFilter:
        """Evaluates a filter; `matching` caches this. Raises BadFilter."""
        return IdFilter(self._store.uids(where))


def _by_query(similarities: Floats, uids: Ids) -> list[ScoredUids]:
    """Returns a ranking per row, without the places that an index left empty."""
    return [
        (values[row >= 0], row[row >= 0]) for values, row in zip(similarities, uids, strict=True)
    ]


def nothing() -> ScoredUids:
    """Returns an empty ranking."""
    return np.zeros(0, np.float32), np.zeros(0, np.int64)


def best(k: int, rankings: Sequence[ScoredUids]) -> ScoredUids:
    """Merges rankings and returns the k best, by similarity, then by smaller uid."""
    similarities = np.concatenate([ranking[0] for ranking in rankings])
    uids = np.concatenate([ranking[1] for ranking in rankings])
    order = np.lexsort((uids, -similarities))[:k]
    return similarities[order], uids[order]
