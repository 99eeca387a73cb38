"""Labels become retrieval tasks: per direction the queries, the candidates, and which are right."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from mmsearch.evaluation.labels import NONE, Item
from mmsearch.evaluation.queries import LabelledQuery
from mmsearch.metrics import Doubles, Judgements
from mmsearch.records import Ids, Modality
from mmsearch.scores import DirectionName

# A group of g items makes g² right pairs; past this many in all, queries are thinned out evenly.
MOST_PAIRS = 10_000_000
_BOTH: tuple[tuple[Modality, Modality], ...] = (
    ("text", "image"),
    ("image", "text"),
    ("image", "image"),
    ("text", "text"),
)


@dataclass(frozen=True, slots=True)
class Task:
    """queries int64 (q,), candidates int64 (n,): positions in the pools of their modalities.

    itself: int64 (q,), where the query stands among the candidates, NONE where it does not: a
    query is no answer to itself.
    """

    query: Modality
    candidate: Modality
    queries: Ids
    candidates: Ids
    judgements: Judgements
    itself: Ids

    @property
    def direction(self) -> DirectionName:
        names: dict[tuple[Modality, Modality], DirectionName] = {
            ("text", "image"): "text-to-image",
            ("image", "text"): "image-to-text",
            ("image", "image"): "image-to-image",
            ("text", "text"): "text-to-text",
        }
        return names[self.query, self.candidate]


@dataclass(frozen=True, slots=True)
class _Pairs:
    """Right pairs of pool positions: int64 (m,) twice, and float64 (m,) grades."""

    query: Ids
    candidate: Ids
    grade: Doubles


def tasks_from_pairs(items: Sequence[Item], *, grouped: bool) -> list[Task]:
    """Each item's text and picture answer each other; with groups, so do those of a group."""
    both = [item for item in items if NONE not in (item.picture, item.text)]
    texts = np.array([item.text for item in both], dtype=np.int64)
    pictures = np.array([item.picture for item in both], dtype=np.int64)
    ones = np.ones(len(both))
    tasks = [
        _task("text", "image", _Pairs(texts, pictures, ones), items),
        _task("image", "text", _Pairs(pictures, texts, ones), items),
    ]
    if grouped:
        tasks += [_task(name, name, _group_pairs(items, name), items) for name in ("image", "text")]
    return [task for task in tasks if task is not None]


def tasks_from_queries(items: Sequence[Item], queries: Sequence[LabelledQuery]) -> list[Task]:
    """Every query against the pictures and against the texts of the items that answer it."""
    tasks = (_task(*way, _query_pairs(items, queries, *way), items) for way in _BOTH)
    return [task for task in tasks if task is not None]


def _query_pairs(
    items: Sequence[Item], queries: Sequence[LabelledQuery], query: Modality, candidate: Modality
) -> _Pairs:
    asked, answer = _position_of(query), _position_of(candidate)
    rows = [
        (asked(labelled), answer(items[item]), grade)
        for labelled in queries
        if asked(labelled) != NONE
        for item, grade in labelled.grades.items()
        if answer(items[item]) != NONE
    ]
    columns = list(zip(*rows, strict=True)) or [(), (), ()]
    return _Pairs(
        np.array(columns[0], dtype=np.int64),
        np.array(columns[1], dtype=np.int64),
        np.array(columns[2], dtype=np.float64),
    )


def _group_pairs(items: Sequence[Item], modality: Modality) -> _Pairs:
    position = _position_of(modality)
    members: dict[str, set[int]] = {}
    for item in items:
        if item.group is not None and position(item) != NONE:
            members.setdefault(item.group, set()).add(position(item))
    groups = [np.array(sorted(group), dtype=np.int64) for group in members.values()]
    total = sum(len(group) ** 2 for group in groups)
    step = max(1, -(-total // MOST_PAIRS))
    queries = [np.repeat(group[::step], len(group)) for group in groups]
    answers = [np.tile(group, len(group[::step])) for group in groups]
    query, answer = _joined(queries), _joined(answers)
    others = query != answer
    return _Pairs(query[others], answer[others], np.ones(int(others.sum())))


def _task(
    query: Modality, candidate: Modality, pairs: _Pairs, items: Sequence[Item]
) -> Task | None:
    """None if there is nothing to ask."""
    if not len(pairs.query):
        return None
    position = _position_of(candidate)
    candidates = _distinct(position(item) for item in items)
    queries, query_at = np.unique(pairs.query, return_inverse=True)
    answer_at = np.searchsorted(candidates, pairs.candidate)
    # Doubles share positions: each pair counts once, with its best grade.
    order = np.lexsort((-pairs.grade, answer_at, query_at))
    first = np.ones(len(order), dtype=bool)
    cell = (query_at * len(candidates) + answer_at)[order]
    first[1:] = np.diff(cell) > 0
    kept = order[first]
    judgements = Judgements(query_at[kept], answer_at[kept], pairs.grade[kept], len(queries))
    itself = np.full(len(queries), NONE)
    if query == candidate:
        at = np.minimum(np.searchsorted(candidates, queries), len(candidates) - 1)
        own = np.zeros(len(queries), dtype=bool)
        own[query_at[queries[query_at] == candidates[answer_at]]] = True
        itself = np.where((candidates[at] == queries) & ~own, at, NONE)
    return Task(query, candidate, queries, candidates, judgements, itself)


def _position_of(modality: Modality) -> Callable[[Item | LabelledQuery], int]:
    return (lambda entry: entry.picture) if modality == "image" else (lambda entry: entry.text)


def _distinct(positions: Iterable[int]) -> Ids:
    """int64 (n,), ascending, without NONE."""
    return np.array(sorted(set(positions) - {NONE}), dtype=np.int64)


def _joined(parts: Sequence[Ids]) -> Ids:
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)
