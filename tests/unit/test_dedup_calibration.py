"""Thresholds from negatives: the share asked for lies above, never beyond the bounds."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mmsearch.dedup.calibration import threshold_at

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
