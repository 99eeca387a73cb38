"""Builds retrieval tasks from labels: queries, candidates and relevance for each direction.

An item's product is its image and its text together. A product that contains the query is not
relevant to it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from mmsearch.evaluation.labels import NONE, LabelledItem
from mmsearch.evaluation.metrics import Doubles, Judgements
from mmsearch.evaluation.queries import LabelledQuery
from mmsearch.evaluation.results import DirectionName
from mmsearch.records import Ids, Modality, Target

Flags: TypeAlias = NDArray[np.bool_]

# A group of g items has g² relevant pairs; beyond this many in all, queries are sampled evenly.
MOST_PAIRS = 10_000_000
_BOTH: tuple[tuple[Modality, Modality], ...] = (
    ("text", "image"),
    ("image", "text"),
    ("image", "image"),
    ("text", "text"),
)
_OF_GROUPS: tuple[tuple[Target, Target], ...] = (
    ("image", "image"),
    ("text", "text"),
    ("text", "product"),
    ("image", "product"),
    ("product", "product"),
)


@dataclass(frozen=True, slots=True)
class Products:
    """The distinct pairs of image and text, int64 (p,) each: positions in the pools, or NONE."""

    images: Ids
    texts: Ids

    @classmethod
    def of(cls, items: Iterable[LabelledItem]) -> "Products":
        """Returns the products of items; none if no item has both modalities."""
        pairs = sorted({(item.image, item.text) for item in items} - {(NONE, NONE)})
        if not any(NONE not in pair for pair in pairs):
            pairs = []
        columns = np.array(pairs, np.int64).reshape(-1, 2)
        return cls(columns[:, 0], columns[:, 1])

    def parts(self, target: Target) -> Ids:
        """Returns the part of each product that is of this kind, int64 (p,)."""
        if target == "product":
            return np.arange(len(self.images))
        return self.images if target == "image" else self.texts


@dataclass(frozen=True, slots=True)
class Task:
    """A retrieval task.

    queries int64 (q,), candidates int64 (n,): positions in their pools, or of products. left_out:
    int64 (m, 2), row of queries and of candidates, ascending: the query itself and the products
    that contain it are excluded, unless they are labelled as relevant.
    """

    query: Target
    candidate: Target
    queries: Ids
    candidates: Ids
    judgements: Judgements
    left_out: Ids

    @property
    def direction(self) -> DirectionName:
        """The name of the direction, as 'text-to-image'."""
        return cast(DirectionName, f"{self.query}-to-{self.candidate}")


@dataclass(frozen=True, slots=True)
class _Pairs:
    """Relevant pairs of pool positions, int64 (m,), with grades, float64 (m,)."""

    query: Ids
    candidate: Ids
    grade: Doubles


def tasks_from_pairs(items: Sequence[LabelledItem], *, grouped: bool) -> list[Task]:
    """Builds tasks in which each item's text and image are relevant to each other.

    grouped: also tasks in which the items of a group are relevant to each other, with products.
    """
    both = [item for item in items if NONE not in (item.image, item.text)]
    texts = np.array([item.text for item in both], dtype=np.int64)
    images = np.array([item.image for item in both], dtype=np.int64)
    ones = np.ones(len(both))
    pools = _Pools(items)
    tasks = [
        _task("text", "image", _Pairs(texts, images, ones), pools),
        _task("image", "text", _Pairs(images, texts, ones), pools),
    ]
    if grouped:
        tasks += [_task(*way, _group_pairs(items, *way, pools), pools) for way in _OF_GROUPS]
    return [task for task in tasks if task is not None]


def tasks_from_queries(
    items: Sequence[LabelledItem], queries: Sequence[LabelledQuery]
) -> list[Task]:
    """Builds tasks from labelled queries over images, texts and products."""
    pools = _Pools(items)
    ways: tuple[tuple[Modality, Target], ...] = (*_BOTH, ("text", "product"), ("image", "product"))
    tasks = (_task(*way, _query_pairs(items, queries, *way, pools=pools), pools) for way in ways)
    return [task for task in tasks if task is not None]


class _Pools:
    """The positions of each item's image, text and product."""

    def __init__(self, items: Sequence[LabelledItem]) -> None:
        self.products = Products.of(items)
        pairs = zip(self.products.images.tolist(), self.products.texts.tolist(), strict=True)
        places = {pair: place for place, pair in enumerate(pairs)}
        self._places = {
            "image": [item.image for item in items],
            "text": [item.text for item in items],
            "product": [places.get((item.image, item.text), NONE) for item in items],
        }

    def of_item(self, target: Target, item: int) -> int:
        return self._places[target][item]

    def candidates(self, target: Target) -> Ids:
        """Returns all candidates of a target, int64 (n,), ascending, distinct."""
        return np.array(sorted(set(self._places[target]) - {NONE}), dtype=np.int64)

    def holds(self, query: Target, candidate: Target, queries: Ids, answers: Ids) -> Flags:
        """Returns whether each answer is or contains the query, bool (m,)."""
        if query != candidate and candidate != "product":
            return np.zeros(len(queries), np.bool_)
        parts = self.products.parts(query)[answers] if candidate == "product" else answers
        return np.equal(parts, queries)

    def holders(self, query: Target, candidate: Target, queries: Ids, candidates: Ids) -> Ids:
        """Returns rows of queries and candidates that contain them, int64 (m, 2), ascending."""
        if query != candidate and candidate != "product":
            return np.zeros((0, 2), np.int64)
        parts = self.products.parts(query)[candidates] if candidate == "product" else candidates
        order = np.argsort(parts, kind="stable")
        starts = np.searchsorted(parts[order], queries)
        counts = np.searchsorted(parts[order], queries, side="right") - starts
        rows = np.repeat(np.arange(len(queries)), counts)
        within = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
        return np.stack([rows, order[np.repeat(starts, counts) + within]], axis=1)


def _query_pairs(
    items: Sequence[LabelledItem],
    queries: Sequence[LabelledQuery],
    query: Modality,
    candidate: Target,
    *,
    pools: _Pools,
) -> _Pairs:
    rows = [
        (place, pools.of_item(candidate, item), grade)
        for labelled in queries
        if (place := labelled.image if query == "image" else labelled.text) != NONE
        for item, grade in labelled.grades.items()
        if pools.of_item(candidate, item) != NONE
    ]
    places, answers, grades = np.array(rows, dtype=np.float64).reshape(-1, 3).T
    return _Pairs(places.astype(np.int64), answers.astype(np.int64), grades)


def _group_pairs(
    items: Sequence[LabelledItem], query: Target, candidate: Target, pools: _Pools
) -> _Pairs:
    asked, answering = _members(items, query, pools), _members(items, candidate, pools)
    names = [name for name in asked if name in answering]
    total = sum(len(asked[name]) * len(answering[name]) for name in names)
    step = max(1, -(-total // MOST_PAIRS))
    queries = [np.repeat(asked[name][::step], len(answering[name])) for name in names]
    answers = [np.tile(answering[name], len(asked[name][::step])) for name in names]
    found, answer = _joined(queries), _joined(answers)
    others = ~pools.holds(query, candidate, found, answer)
    return _Pairs(found[others], answer[others], np.ones(int(others.sum())))


def _members(items: Sequence[LabelledItem], target: Target, pools: _Pools) -> dict[str, Ids]:
    """Returns each group's positions, int64 (g,), ascending, distinct."""
    members: dict[str, set[int]] = {}
    for place, item in enumerate(items):
        position = pools.of_item(target, place)
        if item.group is not None and position != NONE:
            members.setdefault(item.group, set()).add(position)
    return {name: np.array(sorted(group), dtype=np.int64) for name, group in members.items()}


def _task(query: Target, candidate: Target, pairs: _Pairs, pools: _Pools) -> Task | None:
    """Builds a task; returns None without relevant pairs."""
    if not len(pairs.query):
        return None
    candidates = pools.candidates(candidate)
    queries, query_at = np.unique(pairs.query, return_inverse=True)
    answer_at = np.searchsorted(candidates, pairs.candidate)
    # Duplicates share positions: each pair counts once, with its best grade.
    order = np.lexsort((-pairs.grade, answer_at, query_at))
    first = np.ones(len(order), dtype=bool)
    cells = (query_at * len(candidates) + answer_at)[order]
    first[1:] = np.diff(cells) > 0
    kept = order[first]
    judgements = Judgements(query_at[kept], answer_at[kept], pairs.grade[kept], len(queries))
    holders = pools.holders(query, candidate, queries, candidates)
    judged = np.isin(holders[:, 0] * len(candidates) + holders[:, 1], cells)
    return Task(query, candidate, queries, candidates, judgements, holders[~judged])


def _joined(parts: Sequence[Ids]) -> Ids:
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)
