"""The rows nearest to query vectors: by the live index, and exactly where that lags behind."""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from mmsearch.fusion import Fusion
from mmsearch.generations import Generation, StoredVectors, estimate_fusion
from mmsearch.indexes import VectorIndex
from mmsearch.indexes.lance_index import LanceIndex
from mmsearch.records import Floats, Ids, Target
from mmsearch.store.filters import LIVE
from mmsearch.store.lance import Store

# Similarities float32 and uids int64, both (n,), best first.
Ranking: TypeAlias = tuple[Floats, Ids]


class Nearest:
    """Stays at the table version and the generation that it was given.

    generation: opened before the store, so that it is never ahead of the rows.
    """

    def __init__(self, store: Store, generation: Generation | None) -> None:
        self._store, self._generation = store, generation
        self._live: Ids | None = None
        self._fusion: Fusion | None = None

    @property
    def fusion(self) -> Fusion:
        if self._fusion is None:
            live = self._generation
            self._fusion = live.info.fusion if live else estimate_fusion(self._store).fusion
        return self._fusion

    def search(
        self, vectors: Floats, target: Target, k: int, allowed: Ids | None, where: str | None = None
    ) -> list[Ranking]:
        """vectors: float32 (q, dim), unit rows → the k nearest to each among the allowed uids.

        where: the filter that they were found by, for an index that runs SQL itself.
        """
        live = self._generation
        if live is not None and target in live.info.counts and live.follows_table(target):
            return self._in_table(live.index(target, self._store.version), vectors, k, where)
        found = self._indexed(vectors, target, k, allowed)
        late = self._late(vectors, target, k, allowed)
        return [best(k, [one, other]) for one, other in zip(found, late, strict=True)]

    def _in_table(
        self, index: VectorIndex, vectors: Floats, k: int, where: str | None
    ) -> list[Ranking]:
        assert isinstance(index, LanceIndex)
        similarities, uids = index.search(vectors, k, where=where)
        return [(similarities[i][uids[i] >= 0], row[row >= 0]) for i, row in enumerate(uids)]

    def _indexed(
        self, vectors: Floats, target: Target, k: int, allowed: Ids | None
    ) -> list[Ranking]:
        live = self._generation
        if live is None or target not in live.info.counts:
            return [nothing()] * len(vectors)
        if self._behind(live):
            # Rows that left the table since stay in the index until the next run.
            present = self._live_uids()
            allowed = present if allowed is None else np.intersect1d(allowed, present)
        similarities, uids = live.index(target).search(vectors, k, allowed=allowed)
        return [(similarities[i][uids[i] >= 0], row[row >= 0]) for i, row in enumerate(uids)]

    def _late(self, vectors: Floats, target: Target, k: int, allowed: Ids | None) -> list[Ranking]:
        """Exact search of the rows that the live generation does not know yet."""
        found = [nothing()] * len(vectors)
        live = self._generation
        indexed = live is not None and target in live.info.counts
        if live is not None and indexed and not self._behind(live):
            return found
        known = live.info.next_uid if live is not None and indexed else 0
        where = f"{LIVE} AND _uid >= {known}"
        for stored, uids in StoredVectors(self._store, target, self.fusion, 0, where):
            chosen = np.isin(uids, allowed) if allowed is not None else slice(None)
            similarities = vectors @ stored[chosen].T
            found = [
                best(k, [kept, (row, uids[chosen])])
                for kept, row in zip(found, similarities, strict=True)
            ]
        return found

    def _behind(self, live: Generation) -> bool:
        return live.info.lance_version != self._store.version

    def _live_uids(self) -> Ids:
        if self._live is None:
            self._live = np.sort(self._store.uids())
        return self._live


def nothing() -> Ranking:
    return np.zeros(0, np.float32), np.zeros(0, np.int64)


def best(k: int, rankings: Sequence[Ranking]) -> Ranking:
    """The k best of several, by similarity, then by smaller uid."""
    similarities = np.concatenate([ranking[0] for ranking in rankings])
    uids = np.concatenate([ranking[1] for ranking in rankings])
    order = np.lexsort((uids, -similarities))[:k]
    return similarities[order], uids[order]
