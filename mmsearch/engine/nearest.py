"""Finds the rows nearest to query vectors: by the live index, and by exact search of newer rows."""

from collections.abc import Sequence
from functools import cached_property, lru_cache
from typing import TypeAlias

import numpy as np

from mmsearch.fusion import Fusion
from mmsearch.generations import Generation, StoredVectors, estimate_fusion
from mmsearch.indexes import IdFilter, VectorIndex
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
        if live is not None and target in live.info.counts and live.follows_table(target):
            index = live.index(target, self._store.version)
            return self._in_table(index, vectors, k, within=within, where=where)
        found = self._indexed(vectors, target, k, within)
        newer = self._newer(vectors, target, k, within)
        return [best(k, [one, other]) for one, other in zip(found, newer, strict=True)]

    def _in_table(
        self,
        index: VectorIndex,
        vectors: Floats,
        k: int,
        *,
        within: IdFilter | None,
        where: str | None,
    ) -> list[ScoredUids]:
        assert isinstance(index, LanceIndex)
        # Lance evaluates the SQL itself, which is cheaper than a list of ids.
        allowed = within if where is None else None
        sql = self._store.sql_of(where)
        similarities, uids = index.search(vectors, k, where=sql, allowed=allowed)
        return [(similarities[i][uids[i] >= 0], row[row >= 0]) for i, row in enumerate(uids)]

    def _indexed(
        self, vectors: Floats, target: Target, k: int, within: IdFilter | None
    ) -> list[ScoredUids]:
        live = self._generation
        if live is None or target not in live.info.counts:
            return [nothing()] * len(vectors)
        if self._behind(live):
            # Rows deleted since stay in the index until the next run.
            present = self._present
            if within is not None:
                present = IdFilter(np.intersect1d(within.ids, present.ids))
            within = present
        similarities, uids = live.index(target).search(vectors, k, allowed=within)
        return [(similarities[i][uids[i] >= 0], row[row >= 0]) for i, row in enumerate(uids)]

    def _newer(
        self, vectors: Floats, target: Target, k: int, within: IdFilter | None
    ) -> list[ScoredUids]:
        """Searches the rows exactly that are newer than the live generation."""
        found = [nothing()] * len(vectors)
        live = self._generation
        indexed = live is not None and target in live.info.counts
        if live is not None and indexed and not self._behind(live):
            return found
        known = live.info.next_uid if live is not None and indexed else 0
        where = f"{LIVE} AND _uid >= {known}"
        for stored, uids in StoredVectors(self._store, target, self.fusion, 0, where):
            chosen = np.isin(uids, within.ids) if within is not None else slice(None)
            similarities = vectors @ stored[chosen].T
            found = [
                best(k, [kept, (row, uids[chosen])])
                for kept, row in zip(found, similarities, strict=True)
            ]
        return found

    def _behind(self, live: Generation) -> bool:
        return live.info.lance_version != self._store.version

    @cached_property
    def _present(self) -> IdFilter:
        return IdFilter(self._store.uids())

    def _run_filter(self, where: str) -> IdFilter:
        """Evaluates a filter; `matching` caches this. Raises BadFilter."""
        return IdFilter(self._store.uids(where))


def nothing() -> ScoredUids:
    """Returns an empty ranking."""
    return np.zeros(0, np.float32), np.zeros(0, np.int64)


def best(k: int, rankings: Sequence[ScoredUids]) -> ScoredUids:
    """Merges rankings and returns the k best, by similarity, then by smaller uid."""
    similarities = np.concatenate([ranking[0] for ranking in rankings])
    uids = np.concatenate([ranking[1] for ranking in rankings])
    order = np.lexsort((uids, -similarities))[:k]
    return similarities[order], uids[order]
