"""Resampling: SciPy's intervals, medians by hand, pairs that share their draws."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import bootstrap
from sklearn.metrics import f1_score

from mmsearch.evaluation.bootstrap import (
    difference,
    estimate,
    mean_of,
    median_of,
    of_classes,
    together,
)

GENERATOR = np.random.default_rng(11)


@pytest.mark.parametrize("name", ["mean", "median"])
def test_intervals_are_those_of_scipy(name: str) -> None:
    values = GENERATOR.integers(1, 60, 101).astype(np.float64)
    statistics = together({"mean": mean_of(values), "median": median_of(values)})
    ours = estimate(statistics, len(values))[name]
    theirs = bootstrap(
        (values,),
        getattr(np, name),
        method="percentile",
        n_resamples=20_000,
        rng=np.random.default_rng(5),
    ).confidence_interval
    assert ours.value == getattr(np, name)(values)
    spread = theirs.high - theirs.low
    assert ours.low == pytest.approx(theirs.low, abs=0.1 * spread)
    assert ours.high == pytest.approx(theirs.high, abs=0.1 * spread)


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 3)), min_size=1, max_size=12))
@settings(max_examples=200, deadline=None)
def test_the_median_counts_repetitions(rows: list[tuple[int, int]]) -> None:
    values, counts = (np.array(column, dtype=np.float64) for column in zip(*rows, strict=True))
    if counts.any():
        expected = np.median(np.repeat(values, counts.astype(int)))
        assert median_of(values)(counts[None])[0] == expected


def test_class_scores_come_with_intervals_around_them() -> None:
    actual = GENERATOR.integers(0, 4, 200)
    predicted = np.where(GENERATOR.random(200) < 0.7, actual, GENERATOR.integers(0, 4, 200))
    scores = estimate(of_classes(actual, predicted, 4), 200)
    assert scores["accuracy"].value == pytest.approx(np.mean(actual == predicted))
    assert scores["macro F1"].value == pytest.approx(f1_score(actual, predicted, average="macro"))
    assert len(scores) == 7
    for score in scores.values():
        assert score.low < score.value < score.high


def test_a_model_compared_with_itself_does_not_differ() -> None:
    values = GENERATOR.random(50)
    one, other = (estimate(together({"x": mean_of(values)}), 50)["x"] for _ in range(2))
    same = difference("m", "text-to-image", "x", ours=one, base=other)
    assert (same.value, same.low, same.high, same.p_value) == (0, 0, 0, 1)


def test_pairing_sees_what_separate_intervals_hide() -> None:
    base = GENERATOR.random(200)
    better = base + 0.01 + 0.001 * GENERATOR.standard_normal(200)
    ours = estimate(together({"x": mean_of(better)}), 200)["x"]
    theirs = estimate(together({"x": mean_of(base)}), 200)["x"]
    assert ours.low < theirs.high
    found = difference("m", "text-to-image", "x", ours=ours, base=theirs)
    assert found.low > 0
    assert found.p_value < 0.01
    assert difference("m", "text-to-image", "x", ours=theirs, base=ours).high < 0


def test_many_queries_are_resampled_in_blocks_alike() -> None:
    values = GENERATOR.random(9_000)
    found = estimate(together({"x": mean_of(values)}), 9_000)["x"]
    assert len(found.draws) == 2_000
    assert found.high - found.low == pytest.approx(2 * 1.96 * values.std() / 9_000**0.5, rel=0.1)
