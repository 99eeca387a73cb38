"""Adding to and removing from every kind of index: no ghosts, no trace, no matter in what order."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmsearch.indexes import FaissIndex, IdFilter, IndexKind, IndexOptions, build_index
from mmsearch.records import Floats, Ids
from tests.support.index_kinds import (
    DIM,
    EXACT,
    KINDS,
    Batches,
    built,
    ids_for,
    look_everywhere,
    mixture,
    oracle,
    overlap,
    tolerance,
)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_removed_never_returns(kind: IndexKind) -> None:
    index, vectors, ids = built(kind, 2_000)
    gone, kept = ids[:1200], ids[1200:]
    assert index.remove(np.concatenate([gone, np.array([10**12])])) == len(gone)
    assert len(index) == len(kept)
    assert index.remove(gone) == 0
    queries = mixture(40, seed=1)
    _, found = index.search(queries, 10)
    _, wanted = oracle(vectors[1200:], kept, queries, 10)
    assert (found >= 0).all()
    assert not np.isin(found, gone).any()
    assert overlap(found, wanted) >= (1 if kind in EXACT else 0.93)
    _, found = index.search(queries, len(ids), allowed=IdFilter(ids))
    assert set(found[0].tolist()) == {*kept.tolist(), -1}


@pytest.mark.parametrize("kind", KINDS)
def test_everything_can_be_removed_and_come_back(kind: IndexKind) -> None:
    index, vectors, ids = built(kind, 700)
    assert index.remove(ids) == 700
    assert len(index) == 0
    assert (index.search(vectors[:3], 5)[1] == -1).all()
    index.add(vectors, ids)
    assert len(index) == 700
    assert (index.search(vectors[:50], 1)[1][:, 0] == ids[:50]).mean() > 0.95


@pytest.fixture(scope="module")
def indexed() -> dict[IndexKind, tuple[FaissIndex, Floats, Ids]]:
    return {kind: built(kind, 1_500) for kind in KINDS}


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), count=st.integers(1, 60))
@pytest.mark.parametrize("kind", KINDS)
def test_adding_then_removing_changes_no_answer(
    kind: IndexKind,
    indexed: dict[IndexKind, tuple[FaissIndex, Floats, Ids]],
    seed: int,
    count: int,
) -> None:
    index, _, ids = indexed[kind]
    look_everywhere(index)
    queries = mixture(8, seed=seed + 1)
    before = index.search(queries, 10)
    new = np.arange(count, dtype=np.int64) + 10 * len(ids)
    index.add(mixture(count, seed=seed), new)
    assert len(index) == len(ids) + count
    assert index.remove(new) == count
    after = index.search(queries, 10)
    np.testing.assert_array_equal(after[1], before[1])
    np.testing.assert_allclose(after[0], before[0], atol=1e-6)


@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 10**6), size=st.sampled_from([64, 333, 700]))
@pytest.mark.parametrize("kind", KINDS)
def test_the_order_and_batches_of_insertion_change_no_score(
    kind: IndexKind, seed: int, size: int
) -> None:
    index, vectors, ids = built(kind, 700)
    order = np.random.default_rng(seed).permutation(700)
    other = build_index(
        Batches(vectors[order], ids[order], size), dim=DIM, options=IndexOptions(kind=kind)
    )
    for one in (index, other):
        look_everywhere(one)
    queries = mixture(20, seed=1)
    # Quantised scores depend on the training sample; those of whole vectors on nothing.
    np.testing.assert_allclose(
        other.search(queries, 10)[0], index.search(queries, 10)[0], atol=tolerance(kind)
    )


def test_the_order_of_insertion_changes_no_answer_of_an_exact_index() -> None:
    vectors, ids = mixture(700), ids_for(700)
    vectors[50:90] = vectors[3]
    answers = []
    for order in (np.arange(700), np.argsort(ids), np.random.default_rng(1).permutation(700)):
        index = build_index(Batches(vectors[order], ids[order], 97), dim=DIM)
        answers.append(index.search(vectors[:60], 20))
    for similarities, found in answers[1:]:
        np.testing.assert_array_equal(found, answers[0][1])
        np.testing.assert_array_equal(similarities, answers[0][0])
