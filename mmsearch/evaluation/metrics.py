"""Metrics in NumPy: recall, MRR, AP and nDCG from ranks; precision, recall and F1 from labels.

Ties count against the encoder: of candidates with equal similarity the least relevant comes first,
so that constant vectors never score well. All metrics are per query or per class.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from mmsearch.errors import InputError
from mmsearch.records import Floats, Ids

Doubles: TypeAlias = NDArray[np.float64]

# Up to this many relevant candidates, counting nearer ones is faster than sorting all.
_COUNTED = 8


@dataclass(frozen=True, slots=True)
class Judgements:
    """Relevance judgements: one entry per relevant pair of query and candidate.

    query, candidate: int64 (m,), positions, sorted by query; grade: float64 (m,), above 0, higher
    is better. count: of queries; each has at least one entry. Raises InputError if not.
    """

    query: Ids
    candidate: Ids
    grade: Doubles
    count: int

    def __post_init__(self) -> None:
        if not len(self.query) == len(self.candidate) == len(self.grade):
            raise InputError("judgements need equally many queries, candidates and grades")
        if not (np.isfinite(self.grade) & (self.grade > 0)).all():
            raise InputError("a grade must be a number above 0; leave out irrelevant candidates")
        if (np.diff(self.query) < 0).any():
            raise InputError("judgements must be sorted by query")
        answers = np.bincount(self.query, minlength=self.count)
        if len(answers) != self.count or not answers.all():
            raise InputError(
                f"each of the {self.count} queries needs at least one relevant candidate"
            )

    def part(self, start: int, stop: int) -> "Judgements":
        """Returns the judgements of queries start to stop, renumbered from 0."""
        first, last = np.searchsorted(self.query, [start, stop])
        return Judgements(
            self.query[first:last] - start,
            self.candidate[first:last],
            self.grade[first:last],
            stop - start,
        )


@dataclass(frozen=True, slots=True)
class Ranking:
    """The ranks of the relevant candidates, per query in ascending order.

    query, rank: int64 (m,), sorted by query, then rank; ranks start at 1. grade: float64 (m,).
    """

    query: Ids
    rank: Ids
    grade: Doubles
    count: int

    def first_ranks(self) -> Ids:
        """Returns the rank of each query's first relevant candidate, int64 (count,)."""
        starts = np.searchsorted(self.query, np.arange(self.count))
        return self.rank[starts]

    def recall_at(self, k: int) -> Doubles:
        """Returns 1 where a relevant candidate is among the first k, else 0: float64 (count,)."""
        return (self.first_ranks() <= k).astype(np.float64)

    def coverage_at(self, k: int) -> Doubles:
        """Returns the relevant among the first k over the most possible, float64 (count,)."""
        found = self._sum((self.rank <= k).astype(np.float64))
        return found / np.minimum(self._sum(np.ones(len(self.query))), k)

    def reciprocal_ranks(self) -> Doubles:
        """Returns 1 / rank of the first relevant candidate, float64 (count,)."""
        return 1.0 / self.first_ranks()

    def average_precisions(self) -> Doubles:
        """Returns the average precision, float64 (count,): the mean precision at relevant ranks."""
        precision = (self._place() + 1) / self.rank
        return self._sum(precision) / self._sum(np.ones(len(self.query)))

    def ndcg_at(self, k: int) -> Doubles:
        """Returns nDCG at k, float64 (count,), with gain = grade, discount = 1 / log2(rank + 1)."""
        gain = self._sum(np.where(self.rank <= k, self.grade / np.log2(self.rank + 1), 0.0))
        ideal = self.grade[np.lexsort((-self.grade, self.query))]
        place = self._place()
        best = self._sum(np.where(place < k, ideal / np.log2(place + 2), 0.0))
        return gain / best

    def _place(self) -> Ids:
        """Returns each entry's position within its query, int64 (m,), from 0."""
        starts = np.searchsorted(self.query, np.arange(self.count))
        return np.arange(len(self.query)) - starts[self.query]

    def _sum(self, values: Doubles) -> Doubles:
        return _tally(self.query, values, self.count)


def rank_answers(similarities: Floats, judgements: Judgements) -> Ranking:
    """Ranks the relevant candidates of each query.

    similarities: float32 (count, n), higher is nearer; -inf excludes a candidate. Raises InputError
    where a similarity is NaN.
    """
    if np.isnan(similarities).any():
        raise InputError(
            "similarities contain NaN; the encoder returned a vector that is not finite"
        )
    bounds = np.searchsorted(judgements.query, np.arange(judgements.count + 1))
    ranks, grades = np.empty(len(judgements.query), np.int64), np.empty(len(judgements.query))
    for query in range(judgements.count):
        part = slice(bounds[query], bounds[query + 1])
        right = similarities[query, judgements.candidate[part]]
        order = np.lexsort((judgements.grade[part], -right))
        ranks[part] = _ranks(similarities[query], right[order])
        grades[part] = judgements.grade[part][order]
    return Ranking(judgements.query, ranks, grades, judgements.count)


def _ranks(similarities: Floats, right: Floats) -> Ids:
    """Ranks relevant similarities, (m,), descending, among all, (n,): int64 (m,)."""
    right_at_least = np.searchsorted(-right, -right, side="right")
    ranks: Ids = _at_least(similarities, right) - right_at_least + np.arange(1, len(right) + 1)
    return ranks


def _at_least(similarities: Floats, right: Floats) -> Ids:
    """Counts the candidates that are at least as near as each relevant one, int64 (m,)."""
    if len(right) <= _COUNTED:
        return np.array([np.count_nonzero(similarities >= each) for each in right], np.int64)
    return len(similarities) - np.searchsorted(np.sort(similarities), right, side="left")


def join_rankings(parts: list[Ranking]) -> Ranking:
    """Joins the rankings of consecutive blocks of queries."""
    offsets = np.cumsum([0, *(part.count for part in parts)])
    return Ranking(
        np.concatenate([part.query + offset for part, offset in zip(parts, offsets, strict=False)]),
        np.concatenate([part.rank for part in parts]),
        np.concatenate([part.grade for part in parts]),
        int(offsets[-1]),
    )


@dataclass(frozen=True, slots=True)
class ClassCounts:
    """Counts per class, float64 (…, c): true members, predicted ones, and correct predictions."""

    actual: Doubles
    predicted: Doubles
    correct: Doubles

    def precision(self) -> Doubles:
        """Returns precision, float64 (…, c); 0 for a class that was never predicted."""
        return _ratio(self.correct, self.predicted)

    def recall(self) -> Doubles:
        """Returns recall, float64 (…, c); 0 for a class without members."""
        return _ratio(self.correct, self.actual)

    def f1(self) -> Doubles:
        """Returns F1, float64 (…, c): the harmonic mean of precision and recall."""
        return _ratio(2 * self.correct, self.actual + self.predicted)

    def accuracy(self) -> Doubles:
        """Returns accuracy, float64 (…)."""
        return _ratio(self.correct.sum(-1), self.actual.sum(-1))

    def macro(self, scores: Doubles) -> Doubles:
        """Averages scores, (…, c) → (…), over the classes that occur or were predicted."""
        present = (self.actual + self.predicted) > 0
        return _ratio((scores * present).sum(-1), present.sum(-1).astype(np.float64))

    def weighted(self, scores: Doubles) -> Doubles:
        """Averages scores, (…, c) → (…), weighted by the members of each class."""
        return _ratio((scores * self.actual).sum(-1), self.actual.sum(-1))


def class_counts(
    actual: Ids, predicted: Ids, classes: int, weights: Doubles | None = None
) -> ClassCounts:
    """Counts members and predictions per class.

    actual, predicted: int64 (n,), below `classes`; weights: float64 (n,), 1 each if None.
    """
    shares = np.ones(len(actual)) if weights is None else weights
    return ClassCounts(
        _tally(actual, shares, classes),
        _tally(predicted, shares, classes),
        _tally(actual, shares * (actual == predicted), classes),
    )


def confusion_matrix(actual: Ids, predicted: Ids, classes: int) -> Ids:
    """Returns the confusion matrix, int64 (c, c): row = true class, column = predicted class."""
    cells = np.bincount(actual * classes + predicted, minlength=classes * classes)
    return cells.reshape(classes, classes)


def _tally(positions: Ids, values: Doubles, count: int) -> Doubles:
    """Sums values, float64 (m,), by position, int64 (m,), below count: float64 (count,)."""
    return np.bincount(positions, values, count).astype(np.float64, copy=False)


def _ratio(part: Doubles, whole: Doubles) -> Doubles:
    part, whole = np.asarray(part, np.float64), np.asarray(whole, np.float64)
    quotient: Doubles = np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)
    return quotient
