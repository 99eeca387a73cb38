"""The estimated precision holds on synthetic measures for any share of swapped texts."""

import numpy as np
import pytest
from numpy.typing import NDArray

from mmsearch.dedup.findings.exchange_odds import exchange_odds
from mmsearch.records import Floats


def drawn(
    share: float, apart: float, *, count: int = 3_000
) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Three heavy-tailed measures of right texts, and of swapped ones, `apart` higher."""
    chance = np.random.default_rng(int(share * 1_000))
    wrong = chance.random(count) < share
    right = chance.standard_t(4, size=(count, 3))
    exchanged = chance.normal(apart, 1.0, size=(count, 3))
    catalogued = np.where(wrong[:, None], chance.normal(apart, 1.0, size=(count, 3)), right)
    return catalogued.astype(np.float32), exchanged.astype(np.float32), wrong


@pytest.mark.parametrize("share", [0.02, 0.05, 0.2])
def test_what_is_reported_is_right(share: float) -> None:
    features, exchanged, wrong = drawn(share, 4.0)
    odds = exchange_odds(features, exchanged)
    reported = np.argsort(-odds.scores)[: odds.reported]
    assert wrong[reported].mean() >= 0.85
    assert wrong[reported].sum() >= 0.5 * wrong.sum()
    assert odds.wrong_share == pytest.approx(share, rel=0.35)


@pytest.mark.parametrize("apart", [0.3, 1.0, 4.0])
def test_nothing_is_reported_where_nothing_is_exchanged(apart: float) -> None:
    features, exchanged, _ = drawn(0.0, apart)
    assert exchange_odds(features, exchanged).reported <= 2


def test_texts_that_look_exchanged_as_a_whole_are_not_reported() -> None:
    _, exchanged, _ = drawn(0.0, 4.0)
    assert exchange_odds(exchanged[:1_500], exchanged[1_500:]).reported == 0
