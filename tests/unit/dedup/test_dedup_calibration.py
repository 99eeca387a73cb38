"""Thresholds from negatives: the requested false positive rate, within bounds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmsearch.dedup.calibration import rate_at_most, threshold_at

scores = st.lists(st.floats(0, 1, width=32), min_size=1, max_size=400)


@given(scores, st.sampled_from([0.001, 0.01, 0.1]))
def test_no_more_than_the_share_asked_for_reaches_the_threshold(
    negatives: list[float], fpr: float
) -> None:
    values = np.array(negatives, np.float32)
    threshold = threshold_at(fpr, values, 0.0, 1.1)
    assert (values >= threshold).sum() <= fpr * len(values)


def test_a_threshold_stays_within_its_bounds() -> None:
    high, low = (np.full(50, value, np.float32) for value in (0.99, 0.1))
    assert threshold_at(0.001, high, 0.6, 0.85) == 0.85
    assert threshold_at(0.001, low, 0.6, 0.85) == 0.6
    assert threshold_at(0.001, np.zeros(0, np.float32), 0.6, 0.85) == 0.85


def test_few_pairs_vouch_for_no_small_rate() -> None:
    """Exact Poisson limits at 95%, from tables: 3.00 for none, 4.74 for one, 7.75 for three."""
    assert rate_at_most(0, 300) == pytest.approx(2.9957 / 300, rel=1e-3)
    assert rate_at_most(0, 3_000) <= 0.001
    assert rate_at_most(1, 1_000) == pytest.approx(4.7439 / 1_000, rel=1e-3)
    assert rate_at_most(3, 3_000) == pytest.approx(7.7537 / 3_000, rel=1e-3)
    assert rate_at_most(0, 0) == rate_at_most(0, 2) == 1.0


@given(st.integers(0, 400))
def test_the_limit_lies_above_what_was_seen_and_grows_with_it(above: int) -> None:
    assert above / 1_000 < rate_at_most(above, 1_000) < rate_at_most(above + 1, 1_000)
