"""Items found by their best parts: against every row compared, and with parts that crowd."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmsearch.indexes.flat import FlatIndex, new_flat
from mmsearch.indexes.part_items import PartItems, rank_items, search_items
from mmsearch.records import Floats, Ids

DIM = 8


def unit_rows(count: int, seed: int) -> Floats:
    rows = np.random.default_rng(seed).normal(size=(count, DIM))
    unit: Floats = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return unit


def catalog(part_counts: list[int]) -> tuple[Ids, PartItems]:
    """Uids of rows and their items: an item of 0 parts is a row itself, after the others' parts."""
    items = np.repeat(np.arange(len(part_counts)), part_counts)
    parts = np.arange(len(items), dtype=np.int64) + 1_000
    single = np.flatnonzero(np.array(part_counts) == 0)
    return np.concatenate([parts, single]), PartItems(parts, items)


def index_of(vectors: Floats, ids: Ids) -> FlatIndex:
    index = FlatIndex(new_flat(DIM))
    index.add(vectors, ids)
    return index


@settings(deadline=None)
@given(
    part_counts=st.lists(st.integers(0, 12), min_size=1, max_size=40),
    k=st.integers(1, 30),
    seed=st.integers(0, 1_000),
)
def test_items_are_those_of_a_full_comparison(part_counts: list[int], k: int, seed: int) -> None:
    rows, parts = catalog(part_counts)
    vectors, queries = unit_rows(len(rows), seed), unit_rows(3, seed + 1)
    index = index_of(vectors, rows)
    found = search_items(index.search, queries, k, parts)
    items = parts.items_of(rows)
    for query, ranking in zip(queries, found, strict=True):
        similarities = vectors @ query
        best = {item: similarities[items == item].max() for item in set(items.tolist())}
        expected = sorted(best, key=lambda item: -best[item])[:k]
        assert ranking.items.tolist() == expected
        assert ranking.similarities == pytest.approx([best[item] for item in expected], abs=1e-6)
        own = similarities[[rows.tolist().index(row) for row in ranking.rows]]
        assert own == pytest.approx(ranking.similarities, abs=1e-6)


def test_an_item_whose_many_parts_are_all_best_does_not_crowd_out_others() -> None:
    rows, parts = catalog([3_000, *[1] * 20])
    vectors = unit_rows(len(rows), seed=1)
    query = unit_rows(1, seed=2)
    vectors[:3_000] = query + 0.01 * vectors[:3_000]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    widths = []

    def search(queries: Floats, width: int) -> tuple[Floats, Ids]:
        widths.append(width)
        return index.search(queries, width)

    index = index_of(vectors, rows)
    (ranking,) = search_items(search, query, 10, parts)
    assert len(set(ranking.items.tolist())) == 10
    assert ranking.items[0] == 0
    assert max(widths) <= 4 * len(rows)


def test_parts_are_mapped_to_items_and_back() -> None:
    parts = PartItems(np.array([4, 6, 7, 9]), np.array([3, 8, 3, 8]))
    assert parts.items_of(np.array([[9, 4], [5, -1]])).tolist() == [[8, 3], [5, -1]]
    assert parts.parts_of(np.array([3])).tolist() == [4, 7]
    assert parts.parts_of(np.array([8, 2, 3])).tolist() == [4, 6, 7, 9]
    assert parts.rows_of(np.array([2, 3])).tolist() == [2, 4, 7]
    assert parts.distinct_items.tolist() == [3, 8]


def test_equal_similarities_come_by_smaller_item() -> None:
    parts = PartItems(np.array([1, 2, 3]), np.array([9, 8, 9]))
    ranking = rank_items(np.full(4, 0.5, np.float32), np.array([3, 2, 1, 4]), 3, parts)
    assert ranking.items.tolist() == [4, 8, 9]
    assert ranking.rows.tolist() == [4, 2, 1]
