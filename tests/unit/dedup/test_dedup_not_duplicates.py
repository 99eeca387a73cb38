"""Pairs marked as not duplicates: matched after moves and edits, never grouped indirectly."""

import threading
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmsearch.dedup.not_duplicates import (
    MarkedItem,
    NotDuplicates,
    forget_pair,
    forget_set,
    read_remembered,
    remember,
)
from mmsearch.errors import CorruptIndex
from mmsearch.store.user_state import FILE_NAME, changing_section, read_section


def marked(*names: str) -> list[MarkedItem]:
    """Items from 'key:content', or one name for both."""
    return [MarkedItem(name.split(":")[0], name.split(":")[-1]) for name in names]


def ruled_out(
    folder: Path, items: Sequence[MarkedItem], present: Sequence[str] = ()
) -> set[tuple[str, str]]:
    keys = present or [item.key for item in items]
    pairs = NotDuplicates.among(items, read_remembered(folder), keys)
    return {
        (items[a].key, items[b].key)
        for a, b in combinations(range(len(items)), 2)
        if pairs.rules_out(a, b)
    }


def test_a_set_rules_out_each_of_its_pairs_until_it_is_taken_back(tmp_path: Path) -> None:
    name = remember(tmp_path, marked("a", "b", "c")).name
    items = marked("a", "b", "c", "d")
    assert ruled_out(tmp_path, items) == {("a", "b"), ("a", "c"), ("b", "c")}
    assert forget_set(tmp_path, name) == 1
    assert ruled_out(tmp_path, items) == set()
    assert forget_set(tmp_path, name) == 0


def test_one_pair_of_a_set_is_taken_back_and_the_others_stay(tmp_path: Path) -> None:
    remember(tmp_path, marked("a", "b", "c"), name="0123456789")
    a, b, _ = items = marked("a", "b", "c")
    assert forget_pair(tmp_path, a, b) == 1
    assert ruled_out(tmp_path, items) == {("a", "c"), ("b", "c")}
    assert forget_pair(tmp_path, a, b) == 0


def test_items_are_known_again_after_a_move_and_after_an_edit(tmp_path: Path) -> None:
    remember(tmp_path, marked("a:1", "b:2"))
    assert ruled_out(tmp_path, marked("moved:1", "b:2")) == {("moved", "b")}
    assert ruled_out(tmp_path, marked("a:1", "b:edited")) == {("a", "b")}
    # A byte-for-byte copy of one is not a duplicate of the other either.
    assert ruled_out(tmp_path, marked("a:1", "x:1", "b:2")) == {("a", "b"), ("x", "b")}
    # Overwritten with the other's bytes, it is a copy of that one.
    assert ruled_out(tmp_path, marked("a:2", "b:2")) == set()


def test_copies_of_one_content_are_told_apart_by_their_keys(tmp_path: Path) -> None:
    remember(tmp_path, marked("a:1", "b:1"))
    assert ruled_out(tmp_path, marked("a:1", "b:1", "new:1")) == {("a", "b")}
    assert ruled_out(tmp_path, marked("a:1", "moved:1")) == {("a", "moved")}
    # The key still exists outside of this run's items.
    assert ruled_out(tmp_path, marked("a:1", "new:1"), ["a", "b", "new"]) == set()


def split(
    ignored: Sequence[tuple[int, ...]], groups: list[list[int]], folder: Path
) -> tuple[NotDuplicates, list[list[int]]]:
    items = marked(*(f"{number}" for group in groups for number in group))
    for each in ignored:
        remember(folder, [items[place] for place in each])
    pairs = np.array([pair for group in groups for pair in combinations(group, 2)], np.int64)
    chosen = NotDuplicates.among(items, read_remembered(folder), [item.key for item in items])
    allowed = chosen.allowed(pairs)
    return chosen, chosen.split(groups, pairs[allowed], -pairs[allowed].sum(axis=1) / 100)


def test_a_third_item_joins_only_one_of_an_ignored_pair(tmp_path: Path) -> None:
    _, groups = split([(0, 2)], [[0, 1, 2], [3, 4]], tmp_path)
    # The pair of 0 and 1 is the stronger one.
    assert groups == [[0, 1], [3, 4]]


@given(st.sets(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=8))
@settings(max_examples=40, deadline=None)
def test_no_group_holds_a_pair_that_is_ruled_out(
    tmp_path_factory: pytest.TempPathFactory, ignored: set[tuple[int, int]]
) -> None:
    chosen = sorted({(min(pair), max(pair)) for pair in ignored if pair[0] != pair[1]})
    pairs, groups = split(chosen, [[0, 1, 2, 3, 4, 5, 6]], tmp_path_factory.mktemp("store"))
    places = [place for group in groups for place in group]
    assert len(places) == len(set(places))
    assert all(len(group) > 1 for group in groups)
    for group in groups:
        assert not any(pairs.rules_out(a, b) for a, b in combinations(group, 2))
    if not chosen:
        assert groups == [[0, 1, 2, 3, 4, 5, 6]]


def test_user_state_keeps_what_it_does_not_know_and_names_a_damaged_file(tmp_path: Path) -> None:
    with changing_section(tmp_path, "searches") as searches:
        searches.append({"name": "red"})
    remember(tmp_path, marked("a", "b"))
    assert read_section(tmp_path, "searches") == [{"name": "red"}]
    assert len(read_remembered(tmp_path)) == 1
    (tmp_path / FILE_NAME).write_text('{"format": 2}')
    with pytest.raises(CorruptIndex, match="has format 2"):
        read_remembered(tmp_path)
    (tmp_path / FILE_NAME).write_text("{")
    with pytest.raises(CorruptIndex, match="is damaged"):
        remember(tmp_path, marked("a", "c"))


def test_what_is_said_at_the_same_time_is_all_remembered(tmp_path: Path) -> None:
    threads = [
        threading.Thread(target=remember, args=(tmp_path, marked(f"{n}", f"{n + 100}")))
        for n in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(read_remembered(tmp_path)) == 12
