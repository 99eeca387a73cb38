"""Groups compared with a brute-force oracle; chains; keep rules; texts."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmsearch.dedup.grouping.connected_groups import DENSE, components
from mmsearch.dedup.grouping.connected_groups import group_pairs as group_arrays
from mmsearch.dedup.items import Item
from mmsearch.dedup.keep_rules import KeepRules
from mmsearch.dedup.tiers.near_texts import find_near_texts, jaccard
from mmsearch.dedup.tiers.texts import normalised
from mmsearch.errors import InputError

NEVER = float("inf")


def group_pairs(
    count: int, pairs: Sequence[tuple[int, int]], scores: Sequence[float], *, certain: float
) -> list[list[int]]:
    rows = np.array(pairs, np.int64).reshape(-1, 2)
    return group_arrays(count, rows, np.array(scores), certain=certain)


def item(key: str, **facts: object) -> Item:
    known: dict[str, object] = {
        "uid": 1, "key": key, "source": "s", "uri": f"/p/{key}", "text": "", "width": 10,
        "height": 10, "size": 1, "modified": 1, "image_hash": "h",
    }  # fmt: skip
    return Item(**{**known, **facts})  # type: ignore[arg-type]


def test_a_chain_splits_and_a_triangle_does_not() -> None:
    assert group_pairs(3, [(0, 1), (1, 2)], [0.9, 0.8], certain=NEVER) == [[0, 1]]
    assert group_pairs(3, [(0, 1), (1, 2), (0, 2)], [0.9, 0.8, 0.7], certain=NEVER) == [[0, 1, 2]]


def test_a_chain_through_a_certain_middle_is_one_group() -> None:
    assert group_pairs(3, [(0, 1), (1, 2)], [0.9, 0.8], certain=0.8) == [[0, 1, 2]]


def test_a_long_chain_of_certain_pairs_still_splits() -> None:
    chain = [(row, row + 1) for row in range(8)]
    groups = group_pairs(9, chain, [0.9] * 8, certain=0.8)
    assert max(len(group) for group in groups) <= 3


edges = st.sets(
    st.tuples(st.integers(0, 8), st.integers(0, 8)).filter(lambda pair: pair[0] < pair[1])
)


@given(edges, st.randoms(use_true_random=False))
@settings(max_examples=150, deadline=None)
def test_groups_are_dense_maximal_and_independent_of_order(
    pairs: set[tuple[int, int]], chance: object
) -> None:
    ordered = sorted(pairs)
    scores = [0.5 + (a * 31 + b * 17) % 40 / 100 for a, b in ordered]
    groups = group_pairs(9, ordered, scores, certain=NEVER)
    shuffled = list(zip(ordered, scores, strict=True))
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    again = group_pairs(9, [p for p, _ in shuffled], [s for _, s in shuffled], certain=NEVER)
    assert groups == again
    rows = [row for group in groups for row in group]
    assert len(rows) == len(set(rows))
    clusters = [*groups, *([row] for row in range(9) if row not in rows)]
    for one, other in combinations(clusters, 2):
        between = sum((min(a, b), max(a, b)) in pairs for a in one for b in other)
        assert between <= DENSE * len(one) * len(other)
    for group in groups:
        assert all(any((min(a, b), max(a, b)) in pairs for b in group if b != a) for a in group)


@given(st.lists(st.integers(1, 5), min_size=1, max_size=5))
@settings(max_examples=50, deadline=None)
def test_separate_cliques_are_the_connected_components(sizes: list[int]) -> None:
    rows, cliques = 0, []
    for size in sizes:
        cliques.append(list(range(rows, rows + size)))
        rows += size
    pairs = [pair for clique in cliques for pair in combinations(clique, 2)]
    expected = [clique for clique in cliques if len(clique) > 1]
    assert group_pairs(rows, pairs, [0.8] * len(pairs), certain=NEVER) == expected


@given(edges)
@settings(max_examples=50, deadline=None)
def test_components_are_closed_under_pairs(pairs: set[tuple[int, int]]) -> None:
    rows = np.array(sorted(pairs), np.int64).reshape(-1, 2)
    groups = components(9, rows)
    group_of = {row: number for number, group in enumerate(groups) for row in group}
    assert len(group_of) == sum(map(len, groups)) == len(np.unique(rows))
    assert all(group_of[one] == group_of[two] for one, two in pairs)
    assert groups == sorted(sorted(group) for group in groups)
    assert all(group == components(9, rows[np.isin(rows[:, 0], group)])[0] for group in groups)


def test_rules_break_each_others_ties_and_protection_comes_first() -> None:
    small, large = item("b", width=5, modified=1), item("a", modified=9)
    old, soft = item("c", modified=1), item("d", modified=1, sharpness=0.0)
    rules = KeepRules.parse("largest,oldest")
    assert [each.key for each in rules.order([small, large, old, soft])] == ["c", "d", "a", "b"]
    guarded = item("z", width=1, protected=True)
    assert rules.order([large, guarded])[0] is guarded
    assert KeepRules.parse("path:*/b").order([large, small])[0] is small
    full = item("m", metadata={"price": 3, "brand": "x"})
    assert KeepRules.parse("metadata:complete").order([large, full])[0] is full


def test_an_unknown_rule_names_those_there_are() -> None:
    with pytest.raises(InputError, match=r"no rule 'biggest'.*largest.*path:GLOB"):
        KeepRules.parse("largest,biggest")


def test_texts_are_compared_without_case_marks_and_spacing() -> None:
    assert normalised("  Crème-brûlée,\n 2×100 g! ") == normalised("crème brûlée 2×100 G")
    assert normalised("\u0065\u0301") == normalised("é")


def test_near_texts_are_found_as_by_brute_force() -> None:
    words = [f"{start}{end}" for start in ("ra", "mo", "ti", "lu") for end in ("n", "st", "k")]
    texts = [
        " ".join(words[(start * step) % 12] for start in range(1, 12)) + f" no {tail}"
        for step in range(1, 13)
        for tail in ("one", "two")
    ]
    expected = [
        (a, b, jaccard(texts[a], texts[b]))
        for a, b in combinations(range(len(texts)), 2)
        if jaccard(texts[a], texts[b]) >= 0.7
    ]
    assert len(expected) > 5
    found = find_near_texts(texts, 0.7)
    pairs = [tuple(pair) for pair in found.pairs.tolist()]
    assert [(*p, s) for p, s in zip(pairs, found.shares.tolist(), strict=True)] == expected
