"""Pure NumPy measures: ranks of right answers → recall, MRR, AP, nDCG; labels → precision, F1.

Ties count against the encoder: of candidates with equal similarity the worst comes first, so that
a constant vector never looks good. Means, medians and intervals are made of per-query values.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from mmsearch.errors import InputError
from mmsearch.records import Floats, Ids

Doubles: TypeAlias = NDArray[np.float64]

# Up to so many right answers a query, counting nearer candidates is quicker than sorting them all.
_COUNTED = 8


@dataclass(frozen=True, slots=True)
class Judgements:
    """Which candidates answer which queries: one entry per right pair.

    query, candidate: int64 (m,), positions, sorted by query; grade: float64 (m,), above 0, higher
    is better. count: queries; each has at least one answer. Raises InputError if not.
    """

    query: Ids
    candidate: Ids
    grade: Doubles
    count: int

    def __post_init__(self) -> None:
        if not len(self.query) == len(self.candidate) == len(self.grade):
            raise InputError("judgements need as many candidates and grades as queries")
        if not (np.isfinite(self.grade) & (self.grade > 0)).all():
            raise InputError("a grade must be a number above 0; leave out what does not answer")
        if (np.diff(self.query) < 0).any():
            raise InputError("judgements must be sorted by query")
        answers = np.bincount(self.query, minlength=self.count)
        if len(answers) != self.count or not answers.all():
            raise InputError(f"each of the {self.count} queries needs at least one right answer")

    def part(self, start: int, stop: int) -> "Judgements":
        """The judgements of queries start to stop, counted from 0 again."""
        first, last = np.searchsorted(self.query, [start, stop])
        return Judgements(
            self.query[first:last] - start,
            self.candidate[first:last],
            self.grade[first:last],
            stop - start,
        )


@dataclass(frozen=True, slots=True)
class Ranking:
    """Where the right answers came, per query best first.

    query, rank: int64 (m,), sorted by query, then rank; ranks start at 1. grade: float64 (m,).
    """

    query: Ids
    rank: Ids
    grade: Doubles
    count: int

    def first_ranks(self) -> Ids:
        """int64 (count,): the rank of each query's first right answer."""
        starts = np.searchsorted(self.query, np.arange(self.count))
        return self.rank[starts]

    def recall_at(self, k: int) -> Doubles:
        """float64 (count,): 1 where a right answer is among the first k, else 0."""
        return (self.first_ranks() <= k).astype(np.float64)

    def coverage_at(self, k: int) -> Doubles:
        """float64 (count,): the share of the right answers that could be in the first k and are."""
        found = self._sum((self.rank <= k).astype(np.float64))
        return found / np.minimum(self._sum(np.ones(len(self.query))), k)

    def reciprocal_ranks(self) -> Doubles:
        """float64 (count,): 1 / rank of the first right answer."""
        return 1.0 / self.first_ranks()

    def average_precisions(self) -> Doubles:
        """float64 (count,): the precision at each right answer, averaged over all of them."""
        precision = (self._place() + 1) / self.rank
        return self._sum(precision) / self._sum(np.ones(len(self.query)))

    def ndcg_at(self, k: int) -> Doubles:
        """float64 (count,): gain = grade, discount = 1 / log2(rank + 1), over the best order's."""
        gain = self._sum(np.where(self.rank <= k, self.grade / np.log2(self.rank + 1), 0.0))
        ideal = self.grade[np.lexsort((-self.grade, self.query))]
        place = self._place()
        best = self._sum(np.where(place < k, ideal / np.log2(place + 2), 0.0))
        return gain / best

    def _place(self) -> Ids:
        """int64 (m,): 0 for a query's first entry, 1 for its second, …"""
        starts = np.searchsorted(self.query, np.arange(self.count))
        return np.arange(len(self.query)) - starts[self.query]

    def _sum(self, values: Doubles) -> Doubles:
        return _tally(self.query, values, self.count)


def rank_answers(similarities: Floats, judgements: Judgements) -> Ranking:
    """similarities: float32 (count, n), higher is nearer; -inf takes a candidate out.

    Raises InputError where a similarity is NaN.
    """
    if np.isnan(similarities).any():
        raise InputError("similarities hold NaN; the encoder gave a vector that is not finite")
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
    """similarities: (n,), all candidates. right: (m,), the right ones, descending → int64 (m,)."""
    right_at_least = np.searchsorted(-right, -right, side="right")
    ranks: Ids = _at_least(similarities, right) - right_at_least + np.arange(1, len(right) + 1)
    return ranks


def _at_least(similarities: Floats, right: Floats) -> Ids:
    """int64 (m,): how many of the candidates are at least as near as each right one."""
    if len(right) <= _COUNTED:
        return np.array([np.count_nonzero(similarities >= each) for each in right], np.int64)
    return len(similarities) - np.searchsorted(np.sort(similarities), right, side="left")


def join_rankings(parts: list[Ranking]) -> Ranking:
    """Rankings of consecutive blocks of queries as one."""
    offsets = np.cumsum([0, *(part.count for part in parts)])
    return Ranking(
        np.concatenate([part.query + offset for part, offset in zip(parts, offsets, strict=False)]),
        np.concatenate([part.rank for part in parts]),
        np.concatenate([part.grade for part in parts]),
        int(offsets[-1]),
    )


@dataclass(frozen=True, slots=True)
class ClassCounts:
    """float64 (…, c) each: images of a class, those taken for it, and those rightly so."""

    actual: Doubles
    predicted: Doubles
    correct: Doubles

    def precision(self) -> Doubles:
        """float64 (…, c); 0 for a class that nothing was taken for."""
        return _ratio(self.correct, self.predicted)

    def recall(self) -> Doubles:
        """float64 (…, c); 0 for a class without images."""
        return _ratio(self.correct, self.actual)

    def f1(self) -> Doubles:
        """float64 (…, c): the harmonic mean of precision and recall."""
        return _ratio(2 * self.correct, self.actual + self.predicted)

    def accuracy(self) -> Doubles:
        """float64 (…): the share of all that was right."""
        return _ratio(self.correct.sum(-1), self.actual.sum(-1))

    def macro(self, scores: Doubles) -> Doubles:
        """scores: (…, c) → (…): the plain mean over the classes that occur or were predicted."""
        present = (self.actual + self.predicted) > 0
        return _ratio((scores * present).sum(-1), present.sum(-1).astype(np.float64))

    def weighted(self, scores: Doubles) -> Doubles:
        """scores: (…, c) → (…): the mean over classes, each as often as it occurs."""
        return _ratio((scores * self.actual).sum(-1), self.actual.sum(-1))


def class_counts(
    actual: Ids, predicted: Ids, classes: int, weights: Doubles | None = None
) -> ClassCounts:
    """actual, predicted: int64 (n,), below `classes`; weights: float64 (n,), 1 each if None."""
    shares = np.ones(len(actual)) if weights is None else weights
    return ClassCounts(
        _tally(actual, shares, classes),
        _tally(predicted, shares, classes),
        _tally(actual, shares * (actual == predicted), classes),
    )


def confusion_matrix(actual: Ids, predicted: Ids, classes: int) -> Ids:
    """int64 (c, c): row = the true class, column = what it was taken for."""
    cells = np.bincount(actual * classes + predicted, minlength=classes * classes)
    return cells.reshape(classes, classes)


def _tally(positions: Ids, values: Doubles, count: int) -> Doubles:
    """positions: int64 (m,), below count; values: float64 (m,) → float64 (count,), their sums."""
    return np.bincount(positions, values, count).astype(np.float64, copy=False)


def _ratio(part: Doubles, whole: Doubles) -> Doubles:
    part, whole = np.asarray(part, np.float64), np.asarray(whole, np.float64)
    quotient: Doubles = np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)
    return quotient
