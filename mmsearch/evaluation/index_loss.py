"""Measures the recall of a store's live index against exact search of the same vectors.

Both use the same model's vectors, so that only the index differs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mmsearch.arrays import unit
from mmsearch.errors import InputError
from mmsearch.evaluation.bootstrap import estimate, mean_of, together
from mmsearch.evaluation.embed import Embedded
from mmsearch.evaluation.labels import NONE, LabelledItem
from mmsearch.evaluation.metrics import Doubles
from mmsearch.evaluation.results import Estimate, IndexScores
from mmsearch.generations import Generation, StoredVectors, live_generation
from mmsearch.indexes import IdFilter
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
    allowed = IdFilter(live.store.uids()) if behind else None
    found = _Nearest(*index.search(vectors, min(K, count), allowed=allowed))
    exact, similarities = _exact(live, target, count, vectors, found=found.uids)
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


def _exact(
    live: LiveStore, target: Target, count: int, queries: Floats, *, found: Ids
) -> tuple[_Nearest, Floats]:
    """Returns the exact neighbours, and the exact similarities of those found, float32 (q, k)."""
    info = live.generation.info
    shape = (len(queries), K)
    best = _Nearest(np.full(shape, -np.inf, np.float32), np.full(shape, -1, np.int64))
    similarities = np.full(found.shape, -np.inf, np.float32)
    # Newer rows are not in the index; the engine searches those exactly.
    where = f"{LIVE} AND _uid < {info.next_uid}"
    for vectors, uids in StoredVectors(live.store, target, info.fusion, count, where):
        block: Floats = queries @ unit(vectors).T
        best = _merged(best, block, uids)
        order = np.argsort(uids)
        at = np.minimum(np.searchsorted(uids[order], found), len(uids) - 1)
        here = uids[order][at] == found
        values = np.take_along_axis(block, order[at], axis=1)
        similarities[here] = values[here]
    return best, similarities


def _merged(best: _Nearest, block: Floats, uids: Ids) -> _Nearest:
    """Merges neighbours with a block of similarities, float32 (q, n): the K best of both."""
    similarities = np.concatenate([best.similarities, block], axis=1)
    order = np.argsort(-similarities, axis=1, kind="stable")[:, :K]
    all_uids = np.concatenate([best.uids, np.broadcast_to(uids, block.shape)], axis=1)
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
