"""Rows looked up by id: the same answer by either way, whatever the ids look like."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmsearch.indexes.ids import REMOVED, IdTable, ascending
from mmsearch.records import Ids


@settings(max_examples=200, deadline=None)
@given(
    held=st.lists(st.integers(0, 400), unique=True, max_size=120),
    wanted=st.lists(st.integers(0, 900), max_size=120),
    scale=st.sampled_from([1, 10**12]),
    in_order=st.booleans(),
    struck=st.integers(0, 10),
)
def test_rows_are_those_that_hold_the_ids(
    held: list[int], wanted: list[int], scale: int, in_order: bool, struck: int
) -> None:
    ids = np.array(sorted(held) if in_order else held, np.int64) * scale
    ids[:struck] = REMOVED
    table = IdTable(ids)
    rows = table.rows_of(np.array(wanted, np.int64) * scale)
    expected = sorted({one * scale for one in wanted} & set(ids.tolist()))
    assert ids[rows].tolist() == expected
    assert len(table) == (ids >= 0).sum()


@pytest.mark.parametrize("count", [3, 90_000])
def test_few_and_many_ids_are_found_alike(count: int) -> None:
    ids = np.arange(100_000, dtype=np.int64) * 3
    wanted = np.arange(count, dtype=np.int64) * 2
    rows = IdTable(ids).rows_of(wanted)
    np.testing.assert_array_equal(ids[rows], np.intersect1d(ids, wanted))


@pytest.mark.parametrize(
    ("ids", "expected"), [([], True), ([4], True), ([1, 2], True), ([1, 1], False), ([2, 1], False)]
)
def test_ascending_means_each_larger_than_the_last(ids: list[int], expected: bool) -> None:
    array: Ids = np.array(ids, np.int64)
    assert ascending(array) is expected
