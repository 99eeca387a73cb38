"""Every measure against its definition written out, on rankings with ties, grades and many answers;
classification also against scikit-learn."""

import math
import statistics
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix as sklearn_confusion
from sklearn.metrics import ndcg_score, precision_recall_fscore_support

from mmsearch.errors import InputError
from mmsearch.evaluation.metrics import (
    Judgements,
    class_counts,
    confusion_matrix,
    join_rankings,
    rank_answers,
)
from mmsearch.records import Floats

Grades = list[list[int]]


@st.composite
def cases(draw: st.DrawFn) -> tuple[Floats, Grades]:
    """Similarities of few distinct values, so that most tie, and grades 0 to 3, one above 0."""
    queries = draw(st.integers(1, 5))
    candidates = draw(st.integers(1, 12))
    row = st.lists(st.integers(-2, 2), min_size=candidates, max_size=candidates)
    graded = st.lists(st.integers(0, 3), min_size=candidates, max_size=candidates).filter(any)
    similarities = np.array([draw(row) for _ in range(queries)], dtype=np.float32)
    return similarities, [draw(graded) for _ in range(queries)]


def judged(grades: Grades) -> Judgements:
    query, candidate = np.nonzero(np.array(grades))
    return Judgements(query, candidate, np.array(grades)[query, candidate] * 1.0, len(grades))


def worst_order(similarities: Sequence[float], grades: Sequence[int]) -> list[int]:
    """The grades best similarity first; of equal ones the lowest grade first."""
    pairs = zip(similarities, grades, strict=True)
    return [grade for _, grade in sorted(pairs, key=lambda pair: (-pair[0], pair[1]))]


def naive_first(order: list[int]) -> int:
    return next(rank for rank, grade in enumerate(order, 1) if grade)


def naive_average_precision(order: list[int]) -> float:
    ranks = [rank for rank, grade in enumerate(order, 1) if grade]
    return statistics.fmean(found / rank for found, rank in enumerate(ranks, 1))


def naive_ndcg(order: list[int], k: int) -> float:
    def gain(grades: list[int]) -> float:
        return sum(grade / math.log2(rank + 1) for rank, grade in enumerate(grades[:k], 1))

    return gain(order) / gain(sorted(order, reverse=True))


def naive_coverage(order: list[int], k: int) -> float:
    right = sum(grade > 0 for grade in order)
    return sum(grade > 0 for grade in order[:k]) / min(k, right)


@given(cases())
@settings(max_examples=300, deadline=None)
def test_retrieval_is_as_its_definitions_say(case: tuple[Floats, Grades]) -> None:
    similarities, grades = case
    ranking = rank_answers(similarities, judged(grades))
    orders = [worst_order(row.tolist(), given) for row, given in zip(*case, strict=True)]
    firsts = [naive_first(order) for order in orders]
    assert ranking.first_ranks().tolist() == firsts
    assert ranking.reciprocal_ranks() == pytest.approx([1 / first for first in firsts])
    assert ranking.average_precisions() == pytest.approx(
        [naive_average_precision(order) for order in orders]
    )
    for k in (1, 5, 10):
        assert ranking.recall_at(k).tolist() == [float(any(order[:k])) for order in orders]
        assert ranking.coverage_at(k) == pytest.approx([naive_coverage(o, k) for o in orders])
        assert ranking.ndcg_at(k) == pytest.approx([naive_ndcg(order, k) for order in orders])


@given(cases(), st.integers(1, 5))
@settings(max_examples=100, deadline=None)
def test_blocks_of_queries_make_the_same_ranking(case: tuple[Floats, Grades], size: int) -> None:
    similarities, grades = case
    whole, judgements = rank_answers(similarities, judged(grades)), judged(grades)
    starts = range(0, len(grades), size)
    parts = [
        rank_answers(similarities[i : i + size], judgements.part(i, min(i + size, len(grades))))
        for i in starts
    ]
    joined = join_rankings(parts)
    assert joined.count == whole.count
    for name in ("query", "rank", "grade"):
        assert getattr(joined, name).tolist() == getattr(whole, name).tolist()


def test_ndcg_is_scikit_learns_where_nothing_ties() -> None:
    generator = np.random.default_rng(3)
    similarities = generator.permuted(np.tile(np.arange(40), (25, 1)), axis=1).astype(np.float32)
    grades = generator.integers(0, 4, (25, 40))
    ours = rank_answers(similarities, judged(grades.tolist())).ndcg_at(10).mean()
    assert ours == pytest.approx(ndcg_score(grades, similarities, k=10))


def test_a_constant_encoder_gets_the_worst_ranks() -> None:
    ranking = rank_answers(np.ones((1, 5), np.float32), judged([[0, 1, 0, 2, 0]]))
    assert ranking.rank.tolist() == [4, 5]
    assert ranking.grade.tolist() == [1.0, 2.0]


def test_candidates_taken_out_are_behind_all_others() -> None:
    similarities = np.array([[-np.inf, 0.5, 0.4]], dtype=np.float32)
    assert rank_answers(similarities, judged([[0, 0, 1]])).first_ranks().tolist() == [2]


def test_nan_is_refused() -> None:
    with pytest.raises(InputError, match="NaN"):
        rank_answers(np.array([[np.nan]], dtype=np.float32), judged([[1]]))


@pytest.mark.parametrize(
    ("query", "grade", "count", "says"),
    [
        ([0, 1], [1, 0], 2, "above 0"),
        ([0, 1], [1, math.nan], 2, "above 0"),
        ([1, 0], [1, 1], 2, "sorted"),
        ([0, 0], [1, 1], 2, "at least one"),
        ([0, 2], [1, 1], 2, "at least one"),
        ([0], [1, 1], 1, "equally many"),
    ],
)
def test_judgements_that_cannot_be_are_refused(
    query: list[int], grade: list[float], count: int, says: str
) -> None:
    with pytest.raises(InputError, match=says):
        Judgements(np.array(query), np.array([0, 1]), np.array(grade, dtype=float), count)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=30))
@settings(max_examples=100, deadline=None)
def test_classification_is_scikit_learns(pairs: list[tuple[int, int]]) -> None:
    actual, predicted = (np.array(column) for column in zip(*pairs, strict=True))
    counts = class_counts(actual, predicted, 5)
    scores = (counts.precision(), counts.recall(), counts.f1())
    for average, ours in (("macro", counts.macro), ("weighted", counts.weighted)):
        theirs = precision_recall_fscore_support(
            actual, predicted, average=average, zero_division=0
        )
        assert [float(ours(score)) for score in scores] == pytest.approx(theirs[:3])
    assert float(counts.accuracy()) == pytest.approx(np.mean(actual == predicted))
    confusion = confusion_matrix(actual, predicted, 5)
    assert confusion.tolist() == sklearn_confusion(actual, predicted, labels=range(5)).tolist()


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 3)), min_size=1))
@settings(max_examples=50, deadline=None)
def test_weights_are_repetitions(rows: list[tuple[int, int, int]]) -> None:
    actual, predicted, weights = (np.array(column) for column in zip(*rows, strict=True))
    counts = class_counts(actual, predicted, 4, weights.astype(np.float64))
    repeated = class_counts(np.repeat(actual, weights), np.repeat(predicted, weights), 4)
    for name in ("actual", "predicted", "correct"):
        assert getattr(counts, name).tolist() == getattr(repeated, name).tolist()
