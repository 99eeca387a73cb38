"""Weighted fusion: every score from what means nothing, 0, to the best of its list, 1."""

import pytest

from mmsearch.engine.merging import Candidate, weighted_fusion
from mmsearch.records import Matched


def candidate(uid: int, similarity: float, matched: Matched, score: float) -> Candidate:
    return Candidate(uid, similarity, matched, score, item=uid, row=uid)


def test_each_score_is_calibrated_and_their_mean_orders() -> None:
    nearest = [candidate(1, 0.30, "image", 0.30), candidate(2, 0.25, "image", 0.25)]
    keyword_hits = [candidate(3, 0.18, "keyword", 8.0), candidate(2, 0.25, "keyword", 4.0)]
    lead = {1: 0.10, 2: 0.05, 3: -0.02}
    merged = weighted_fusion(nearest, keyword_hits, lead, keyword_share=0.4)
    expected = {1: 0.6, 2: 0.6 * 0.5 + 0.4 * 0.5, 3: 0.4}
    assert {found.uid: found.score for found in merged} == pytest.approx(expected)
    assert [found.uid for found in merged] == [1, 2, 3]
    assert [found.matched for found in merged] == ["image", "image", "keyword"]
    assert [found.similarity for found in merged] == [0.30, 0.25, 0.18]


def test_a_list_without_anything_above_the_typical_leaves_it_to_the_other() -> None:
    nearest = [candidate(1, 0.1, "image", 0.1), candidate(2, 0.1, "image", 0.1)]
    merged = weighted_fusion(nearest, [], {1: -0.1, 2: -0.1}, keyword_share=0.5)
    assert [(found.uid, found.score) for found in merged] == [(1, 0.0), (2, 0.0)]
