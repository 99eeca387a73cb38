"""Shared array operations, against NumPy and SciPy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components as by_scipy

from mmsearch.arrays import blocks, connected_components, unit


def test_rows_get_length_one_and_zeros_stay() -> None:
    rows = unit(np.array([[3, 4], [0, 0], [0, -2]], dtype=np.float32))
    expected = np.array([[0.6, 0.8], [0, 0], [0, -1]], dtype=np.float32)
    np.testing.assert_allclose(rows, expected, atol=1e-7)
    assert rows.dtype == np.float32


@pytest.mark.parametrize(("count", "size"), [(0, 3), (1, 3), (6, 3), (7, 3)])
def test_blocks_cover_every_position_once(count: int, size: int) -> None:
    found = [list(range(count))[block] for block in blocks(count, size)]
    assert [place for block in found for place in block] == list(range(count))
    assert all(1 <= len(block) <= size for block in found)


@given(st.lists(st.tuples(st.integers(0, 19), st.integers(0, 19)), max_size=25))
def test_components_are_those_that_scipy_finds(edges: list[tuple[int, int]]) -> None:
    labels = connected_components(20, edges)
    ends = np.array(edges, dtype=np.int64).reshape(-1, 2).T
    _, expected = by_scipy(coo_array((np.ones(len(edges)), (ends[0], ends[1])), shape=(20, 20)))
    assert len(set(zip(labels.tolist(), expected.tolist(), strict=True))) == len(set(expected))
    assert len(set(labels.tolist())) == len(set(expected))
    assert list(dict.fromkeys(labels.tolist())) == list(range(len(set(expected))))
