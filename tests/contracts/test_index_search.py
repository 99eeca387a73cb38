"""What every kind of index finds, against a NumPy oracle, at sizes from none to 5,000."""

import faiss
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmsearch.indexes import IdFilter, IndexKind, IndexOptions, build_index
from tests.support.index_kinds import (
    DIM,
    EXACT,
    KINDS,
    Batches,
    built,
    ids_for,
    mixture,
    oracle,
    overlap,
    shared,
    tolerance,
)

SIZES = (0, 1, 2, 700, 5_000)


@pytest.mark.parametrize("count", SIZES)
@pytest.mark.parametrize("kind", KINDS)
def test_answers_are_complete_ordered_and_near_the_oracle(kind: IndexKind, count: int) -> None:
    index, vectors, ids = shared(kind, count)
    queries = mixture(40, seed=1)
    similarities, found = index.search(queries, 10)
    _, wanted = oracle(vectors, ids, queries, 10)
    assert similarities.dtype == np.float32
    assert found.dtype == np.int64
    assert similarities.shape == found.shape == (40, 10)
    assert len(index) == count
    assert ((found >= 0).sum(axis=1) == min(10, count)).all()
    assert (similarities[:, :-1] >= similarities[:, 1:]).all()
    assert np.isneginf(similarities[found < 0]).all()
    assert overlap(found, wanted) >= (1 if index.kind in EXACT else 0.93)
    cosines = {int(one): queries @ vector for one, vector in zip(ids, vectors, strict=True)}
    for row, (scores, names) in enumerate(zip(similarities, found, strict=True)):
        expected = [cosines[int(name)][row] for name in names if name >= 0]
        np.testing.assert_allclose(scores[names >= 0], expected, atol=tolerance(index.kind))


@pytest.mark.parametrize("count", [0, 2, 700])
@pytest.mark.parametrize("kind", KINDS)
def test_more_asked_for_than_held_comes_back_padded(kind: IndexKind, count: int) -> None:
    index, _, ids = shared(kind, count)
    similarities, found = index.search(mixture(3, seed=1), count + 5)
    assert (np.sort(found[:, :count], axis=1) == np.sort(ids)).all()
    assert (found[:, count:] == -1).all()
    assert np.isneginf(similarities[:, count:]).all()
    assert not np.isnan(similarities).any()


@pytest.mark.parametrize("kind", KINDS)
def test_no_query_gets_no_answer(kind: IndexKind) -> None:
    index, _, _ = shared(kind, 700)
    similarities, found = index.search(np.empty((0, DIM), np.float32), 4)
    assert similarities.shape == found.shape == (0, 4)


@pytest.mark.parametrize("share", [0.5, 0.05, 0.005, 0.0005])
@pytest.mark.parametrize("kind", KINDS)
def test_a_filter_returns_k_of_the_allowed(kind: IndexKind, share: float) -> None:
    index, vectors, ids = shared(kind, 5_000)
    allowed = np.random.default_rng(3).choice(ids, int(share * len(ids)), replace=False)
    held = np.isin(ids, allowed)
    queries = mixture(40, seed=1)
    _, wanted = oracle(vectors[held], ids[held], queries, 10)
    # Ids that the index does not hold may be allowed too.
    absent = np.arange(50, dtype=np.int64) + 3 * len(ids)
    _, found = index.search(queries, 10, allowed=IdFilter(np.concatenate([allowed, absent])))
    assert np.isin(found[found >= 0], allowed).all()
    assert ((found >= 0).sum(axis=1) == min(10, len(allowed))).all()
    assert overlap(found, wanted) >= (1 if kind in EXACT else 0.93)


@pytest.mark.parametrize("share", [0.5, 0.005])
@pytest.mark.parametrize("kind", KINDS)
def test_a_filter_used_again_sees_what_changed_since(kind: IndexKind, share: float) -> None:
    index, _, ids = built(kind, 2_000)
    allowed = IdFilter(np.append(ids[: int(share * len(ids))], [10**6]))
    queries = mixture(5, seed=1)
    before = index.search(queries, 3, allowed=allowed)[1]
    index.remove(before[:, 0])
    index.add(queries[:1], np.array([10**6]))
    found = index.search(queries, 3, allowed=allowed)[1]
    assert not np.isin(found, before[:, 0]).any()
    assert found[0, 0] == 10**6
    np.testing.assert_array_equal(found, index.search(queries, 3, allowed=IdFilter(allowed.ids))[1])


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_allowed_finds_nothing(kind: IndexKind) -> None:
    index, _, ids = shared(kind, 700)
    for allowed in (np.empty(0, np.int64), np.array([3 * len(ids) + 1])):
        _, found = index.search(mixture(2, seed=1), 3, allowed=IdFilter(allowed))
        assert (found == -1).all()


@pytest.mark.parametrize("k", [1, 3, 30, 100, 400])
@pytest.mark.parametrize("kind", KINDS)
def test_recall_holds_for_fewer_and_more_hits_than_it_was_tuned_for(
    kind: IndexKind, k: int
) -> None:
    index, vectors, ids = shared(kind, 5_000)
    queries = mixture(40, seed=1)
    _, wanted = oracle(vectors, ids, queries, k)
    # Codes of 8 bits cannot always tell the first from the second, nor float32 the last from the
    # next: one pair here differs by less than 1e-8.
    assert overlap(index.search(queries, k)[1], wanted) >= (0.99 if kind in EXACT else 0.9)


@pytest.mark.parametrize("kind", KINDS)
def test_copies_come_in_ascending_order_of_id(kind: IndexKind) -> None:
    vectors, ids = mixture(900), ids_for(900)
    vectors[100:130] = vectors[5]
    index = build_index(Batches(vectors, ids), dim=DIM, options=IndexOptions(kind=kind))
    copies = np.sort(np.append(ids[100:130], ids[5]))
    similarities, found = index.search(vectors[5:6], 31)
    np.testing.assert_array_equal(found[0], copies)
    assert (similarities[0] == similarities[0, 0]).all()
    if kind in EXACT:
        for queries in (1, 64):
            found = index.search(np.repeat(vectors[5:6], queries, axis=0), 10)[1]
            assert (found == copies[:10]).all()


def test_copies_beyond_k_are_cut_at_the_smallest_ids_when_only_some_are_allowed() -> None:
    vectors, ids = mixture(900), ids_for(900)
    vectors[100:400] = vectors[5]
    index = build_index(Batches(vectors, ids), dim=DIM, options=IndexOptions(kind="flat"))
    for allowed in (ids[100:150], ids[50:600]):
        found = index.search(vectors[5:6], 10, allowed=IdFilter(allowed))[1][0]
        expected = np.sort(allowed[np.isin(allowed, ids[100:400])])[:10]
        np.testing.assert_array_equal(found, expected)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), size=st.integers(1, 70))
@pytest.mark.parametrize("kind", KINDS)
def test_the_size_of_query_batches_changes_nothing(kind: IndexKind, seed: int, size: int) -> None:
    index, _, _ = shared(kind, 1_500)
    queries = mixture(70, seed=seed)
    whole = index.search(queries, 10)
    parts = [index.search(queries[start : start + size], 10) for start in range(0, 70, size)]
    np.testing.assert_array_equal(np.concatenate([part[1] for part in parts]), whole[1])
    np.testing.assert_allclose(np.concatenate([part[0] for part in parts]), whole[0], atol=1e-6)


def test_searching_leaves_the_thread_setting_as_it_was() -> None:
    index, vectors, _ = shared("flat", 700)
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(3)
    try:
        for queries in (1, 2, 100):
            index.search(vectors[:queries], 3)
            assert faiss.omp_get_max_threads() == 3
    finally:
        faiss.omp_set_num_threads(before)
