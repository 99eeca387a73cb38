"""Measures the recall of a store's live index against exact search of the same vectors.

Both use the same model's vectors, so that only the index differs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from mmsearch.arrays import unit
from mmsearch.errors import InputError
from mmsearch.evaluation.bootstrap import estimate, mean_of, together
from mmsearch.evaluation.embed import Embedded
from mmsearch.evaluation.labels import NONE, LabelledItem
from mmsearch.evaluation.metrics import Doubles
from mmsearch.evaluation.results import Estimate, IndexScores
from mmsearch.generations import Generation, StoredVectors, live_generation, stored_parts
from mmsearch.indexes import IdFilter
from mmsearch.indexes.ground_truth import keep_best_of_each
from mmsearch.indexes.part_items import PartItems, RowSearch, search_items
from mmsearch.progress import ProgressListener
from mmsearch.records import Floats, Ids, Modality, SpaceId, Target, printable_path
from mmsearch.store import Store
from mmsearch.store.filters import LIVE

K = 10
# Queries of each modality; the interval is then within 0.01 for any recall above 0.95.
MOST_QUERIES = 2_000
_SAME_SIMILARITY = 1e-6


@dataclass(frozen=True, slots=True)
class LiveStore:
    """A store with its live generation."""

    store: Store
    generation: Generation

    def require(self, space: SpaceId) -> None:
        """Raises SpaceMismatch unless the store's vectors lie in `space`."""
        self.store.manifest.space.require(space, holder=str(self.store.folder))


def open_live(folder: Path, *, device: str) -> LiveStore:
    """Opens a store with its index. Raises StoreNotFound; InputError without an index.

    device: as in the settings.
    """
    generation = live_generation(folder, on_gpu=not device.startswith(("cpu", "mps")))
    store = Store.open(folder)
    if generation is None:
        raise InputError(
            f"{printable_path(folder)} holds no index yet; run `catalog.index()` first"
        )
    return LiveStore(store, generation)


@dataclass(frozen=True, slots=True)
class _Queries:
    """Queries of a modality.

    vectors: float32 (q, dim), unit rows. answers: the uids of each query's labelled items.
    """

    modality: Modality
    vectors: Floats
    answers: Sequence[Ids]


@dataclass(frozen=True, slots=True)
class _Nearest:
    """Nearest neighbours.

    similarities: float32 (q, k) descending, -inf where missing; uids: int64 (q, k), -1 there.
    """

    similarities: Floats
    uids: Ids


def index_scores(
    live: LiveStore, items: Sequence[LabelledItem], embedded: Embedded, progress: ProgressListener
) -> list[IndexScores]:
    """Measures each modality of queries against each target of the store."""
    table = live.store.scan(["key", "_uid"], LIVE)
    keys, numbers = table.column("key").to_pylist(), table.column("_uid").to_pylist()
    uids = dict(zip(keys, numbers, strict=True))
    modalities: tuple[Modality, ...] = ("text", "image")
    candidates = [_queries(modality, items, embedded, uids) for modality in modalities]
    asked = [queries for queries in candidates if len(queries.vectors)]
    targets = list(live.generation.info.counts.items())
    progress.start("measuring the live index", len(asked) * len(targets))
    scores = []
    for target, count in targets:
        for queries in asked:
            scores.append(_score(live, queries, target, count))
            progress.advance(1)
    return scores


def _queries(
    modality: Modality, items: Sequence[LabelledItem], embedded: Embedded, uids: dict[str, int]
) -> _Queries:
    """Returns the distinct images or texts, evenly sampled if there are too many."""
    answers: dict[int, list[int]] = {}
    for item in items:
        place = item.image if modality == "image" else item.text
        if place != NONE:
            answers.setdefault(place, []).extend([uids[item.key]] if item.key in uids else [])
    step = max(1, -(-len(answers) // MOST_QUERIES))
    chosen = sorted(answers)[::step]
    vectors = embedded.images if modality == "image" else embedded.texts
    return _Queries(
        modality, vectors[chosen], [np.array(answers[place], np.int64) for place in chosen]
    )


def _score(live: LiveStore, queries: _Queries, target: Target, count: int) -> IndexScores:
    vectors = queries.vectors
    if target == "product":
        vectors = live.generation.info.fusion.centre(vectors, queries.modality)
    index = live.generation.index(target)
    behind = live.generation.info.lance_version != live.store.version
    parts, allowed = live.generation.parts(target), None
    if behind:
        parts, present = stored_parts(live.store).get(target), live.store.uids()
        if parts is not None:
            present = np.concatenate([parts.without_parts(present), parts.parts])
        allowed = IdFilter(present)
    search = partial(index.search, allowed=allowed)
    found = _items(search, vectors, min(K, count), parts)
    exact, similarities = _exact(live, target, vectors, found=found.uids, parts=parts)
    recall = _recall(exact, similarities)
    labelled = [place for place, uids in enumerate(queries.answers) if len(uids)]
    return IndexScores(
        queries.modality,
        target,
        index.kind,
        count,
        len(vectors),
        _mean(recall),
        len(labelled),
        _mean(_answered(queries, exact, labelled)) if labelled else None,
        _mean(_answered(queries, found, labelled)) if labelled else None,
    )


def _items(search: RowSearch, queries: Floats, k: int, parts: PartItems | None) -> _Nearest:
    if parts is None:
        return _Nearest(*search(queries, k))
    nearest = _Nearest(
        np.full((len(queries), k), -np.inf, np.float32), np.full((len(queries), k), -1, np.int64)
    )
    for place, ranking in enumerate(search_items(search, queries, k, parts)):
        nearest.similarities[place, : len(ranking.items)] = ranking.similarities
        nearest.uids[place, : len(ranking.items)] = ranking.items
    return nearest


def _exact(
    live: LiveStore, target: Target, queries: Floats, *, found: Ids, parts: PartItems | None
) -> tuple[_Nearest, Floats]:
    """Returns the exact neighbours, and the exact similarities of those found, float32 (q, k)."""
    info = live.generation.info
    shape = (len(queries), K)
    best = _Nearest(np.full(shape, -np.inf, np.float32), np.full(shape, -1, np.int64))
    similarities = np.full(found.shape, -np.inf, np.float32)
    for vectors, rows in StoredVectors(live.store, target, info.fusion, 0, parts=parts):
        # Newer rows are not in the index; the engine searches those exactly.
        indexed = rows < info.next_uid
        block: Floats = queries @ unit(vectors[indexed]).T
        uids = rows[indexed]
        if not len(uids):
            continue
        if parts is not None:
            items = parts.items_of(uids)
            order = np.argsort(items, kind="stable")
            uids, starts = np.unique(items[order], return_index=True)
            block = np.maximum.reduceat(block[:, order], starts, axis=1)
        best = _merged(best, block, uids)
        order = np.argsort(uids)
        at = np.minimum(np.searchsorted(uids[order], found), len(uids) - 1)
        here = uids[order][at] == found
        values = np.take_along_axis(block, order[at], axis=1)
        similarities[here] = np.maximum(similarities[here], values[here])
    return best, similarities


def _merged(best: _Nearest, block: Floats, uids: Ids) -> _Nearest:
    """Merges neighbours with a block of similarities, float32 (q, n): the K best of both."""
    kept = np.argsort(-block, axis=1, kind="stable")[:, :K]
    similarities = np.concatenate(
        [best.similarities, np.take_along_axis(block, kept, axis=1)], axis=1
    )
    all_uids = np.concatenate([best.uids, uids[kept]], axis=1)
    # The parts of an item may be in several blocks.
    keep_best_of_each(similarities, all_uids)
    order = np.argsort(-similarities, axis=1, kind="stable")[:, :K]
    return _Nearest(
        np.take_along_axis(similarities, order, axis=1), np.take_along_axis(all_uids, order, axis=1)
    )


def _recall(exact: _Nearest, similarities: Floats) -> Doubles:
    """Returns recall, float64 (q,); equally near neighbours count as found."""
    wanted = (exact.uids >= 0).sum(axis=1)
    last = np.where(exact.uids >= 0, exact.similarities, np.inf).min(axis=1)
    found = (similarities >= last[:, None] - _SAME_SIMILARITY).sum(axis=1)
    recall: Doubles = np.minimum(found, wanted) / wanted
    return recall


def _answered(queries: _Queries, nearest: _Nearest, labelled: Sequence[int]) -> Doubles:
    """Returns 1 where a labelled item is among the nearest, else 0: float64 (labelled,)."""
    hits = (np.isin(nearest.uids[place], queries.answers[place]).any() for place in labelled)
    return np.fromiter(hits, np.float64, len(labelled))


def _mean(values: Doubles) -> Estimate:
    return estimate(together({"mean": mean_of(values)}), len(values))["mean"]
