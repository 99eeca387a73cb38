"""What every index kind must do, held against a NumPy oracle, at sizes from none to 5,000."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import faiss
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmsearch.errors import CorruptIndex, InputError, SpaceMismatch
from mmsearch.indexes import (
    FaissIndex,
    IndexKind,
    IndexOptions,
    build_index,
    load_index,
    save_index,
)
from mmsearch.records import Floats, Ids

DIM = 24
KINDS: tuple[IndexKind, ...] = ("flat", "hnsw", "ivf-flat", "ivf-sq8", "ivf-pq", "binary")
EXACT: tuple[IndexKind, ...] = ("flat",)
SIZES = (0, 1, 2, 700, 5_000)


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Beside other tests, FAISS's threads would mostly wait for each other."""
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    yield
    faiss.omp_set_num_threads(before)


class Batches:
    """vectors: float32 (n, dim); ids: int64 (n,); read in batches of `size`."""

    def __init__(self, vectors: Floats, ids: Ids, size: int = 512) -> None:
        self.vectors, self.ids, self.size = vectors, ids, size

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Iterator[tuple[Floats, Ids]]:
        for start in range(0, len(self.ids), self.size):
            part = slice(start, start + self.size)
            yield self.vectors[part], self.ids[part]


def mixture(count: int, seed: int = 0) -> Floats:
    """Unit vectors in a cone around 60 centres of unlike weight and width, float32 (n, DIM)."""
    shape = np.random.default_rng(42)
    centres = shape.normal(size=(60, DIM)) + 1.5
    widths = shape.uniform(0.2, 0.9, size=60)
    weights = shape.dirichlet(np.full(60, 0.7))
    generator = np.random.default_rng(seed)
    chosen = generator.choice(60, size=count, p=weights)
    vectors = centres[chosen] + widths[chosen, None] * generator.normal(size=(count, DIM))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors.astype(np.float32)


def ids_for(count: int) -> Ids:
    """Distinct ids with gaps, in no order, int64 (n,)."""
    return np.random.default_rng(7).permutation(3 * count)[:count].astype(np.int64)


def oracle(vectors: Floats, ids: Ids, queries: Floats, k: int) -> tuple[Floats, Ids]:
    """All similarities, sorted by similarity, then by id, padded: (q, k) each."""
    similarities = np.full((len(queries), max(k, len(ids))), -np.inf, np.float32)
    similarities[:, : len(ids)] = queries @ vectors.T
    every = np.full(similarities.shape, -1, np.int64)
    every[:, : len(ids)] = ids
    order = np.lexsort((every, -similarities), axis=1)[:, :k]
    return np.take_along_axis(similarities, order, 1), np.take_along_axis(every, order, 1)


def built(kind: IndexKind, count: int, *, size: int = 512) -> tuple[FaissIndex, Floats, Ids]:
    vectors, ids = mixture(count), ids_for(count)
    index = build_index(Batches(vectors, ids, size), dim=DIM, options=IndexOptions(kind=kind))
    return index, vectors, ids


@cache
def shared(kind: IndexKind, count: int) -> tuple[FaissIndex, Floats, Ids]:
    """Like `built`, once for all the tests that only read."""
    return built(kind, count)


def overlap(found: Ids, wanted: Ids) -> float:
    """Share of the wanted ids that were found, 1 where none is wanted. Both int64 (q, k)."""
    if not (wanted >= 0).any():
        return 1.0
    hits = [np.isin(row, truth[truth >= 0]).sum() for row, truth in zip(found, wanted, strict=True)]
    return float(np.sum(hits) / (wanted >= 0).sum())


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


def tolerance(kind: str) -> float:
    """By how much a reported similarity may differ from the cosine."""
    return {"ivf-sq8": 2e-2, "ivf-pq": 1e-3, "binary": 1e-3}.get(kind, 1e-6)


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
    _, found = index.search(queries, 10, allowed=np.concatenate([allowed, absent]))
    assert np.isin(found[found >= 0], allowed).all()
    assert ((found >= 0).sum(axis=1) == min(10, len(allowed))).all()
    assert overlap(found, wanted) >= (1 if kind in EXACT else 0.93)


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
def test_nothing_allowed_finds_nothing(kind: IndexKind) -> None:
    index, _, ids = shared(kind, 700)
    for allowed in (np.empty(0, np.int64), np.array([3 * len(ids) + 1])):
        _, found = index.search(mixture(2, seed=1), 3, allowed=allowed)
        assert (found == -1).all()


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
    _, found = index.search(queries, len(ids), allowed=ids)
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
        found = index.search(vectors[5:6], 10, allowed=allowed)[1][0]
        expected = np.sort(allowed[np.isin(allowed, ids[100:400])])[:10]
        np.testing.assert_array_equal(found, expected)


def spoiled(value: float) -> Floats:
    vectors = mixture(3)
    vectors[1] = value
    return vectors


@pytest.mark.parametrize(
    ("vectors", "error", "says"),
    [
        (spoiled(np.nan), InputError, "length nan"),
        (spoiled(np.inf), InputError, "length inf"),
        (spoiled(0), InputError, "length 0"),
        (2 * mixture(3), InputError, "length 2"),
        (mixture(3).astype(np.float64), InputError, "float64"),
        (mixture(3)[0], InputError, r"\(24,\)"),
        (mixture(3)[:, :8] * 3, SpaceMismatch, "24-dim vectors.* has 8"),
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_bad_vectors_are_turned_away(
    kind: IndexKind, vectors: Floats, error: type[Exception], says: str
) -> None:
    index, _, _ = shared(kind, 700)
    new = np.arange(3, dtype=np.int64) + 10**6
    with pytest.raises(error, match=says):
        index.add(vectors, new)
    with pytest.raises(error, match=says):
        index.search(vectors, 3)
    assert len(index) == 700


@pytest.mark.parametrize(
    ("ids", "says"),
    [
        (np.array([1, -4, 2], np.int64), "negative, got -4"),
        (np.array([8, 9, 8], np.int64) + 10**6, "1000008 comes twice"),
        (np.array([1, 2, 3], np.int32), "int32"),
        (np.array([1.0, 2.0, 3.0]), "float64"),
        (np.array([[1, 2, 3]], np.int64), r"\(1, 3\)"),
        (np.array([1, 2], np.int64), "3 vectors came with 2 ids"),
        (np.append(ids_for(700)[5:6], [10**6, 10**6 + 1]), "is in the index already"),
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_bad_ids_are_turned_away(kind: IndexKind, ids: Ids, says: str) -> None:
    index, _, _ = shared(kind, 700)
    with pytest.raises(InputError, match=says):
        index.add(mixture(3, seed=2), ids)
    assert len(index) == 700


def test_a_k_below_one_is_turned_away() -> None:
    index, vectors, _ = shared("flat", 2)
    with pytest.raises(InputError, match="at least 1, got 0"):
        index.search(vectors, 0)


def test_duplicate_ids_and_wrong_counts_fail_the_build() -> None:
    vectors = mixture(1_000)
    ids = np.arange(1_000, dtype=np.int64)
    ids[900] = 3
    with pytest.raises(InputError, match="id 3 comes twice"):
        build_index(Batches(vectors, ids), dim=DIM)

    class Miscounted(Batches):
        def __len__(self) -> int:
            return 1_001

    with pytest.raises(InputError, match="promised 1,001 vectors and gave 1,000"):
        build_index(Miscounted(vectors, np.arange(1_000)), dim=DIM)


@pytest.mark.parametrize("mmap", [True, False])
@pytest.mark.parametrize("count", [0, 1, 2_000])
@pytest.mark.parametrize("kind", KINDS)
def test_saving_and_loading_change_nothing(
    kind: IndexKind, count: int, mmap: bool, tmp_path: Path
) -> None:
    index, vectors, ids = built(kind, count)
    index.remove(ids[: count // 10])
    queries = mixture(30, seed=1)
    expected = index.search(queries, 12)
    save_index(index, tmp_path / "one")
    loaded = load_index(tmp_path / "one", mmap=mmap)
    assert (loaded.kind, loaded.dim, len(loaded)) == (index.kind, DIM, len(index))
    assert (loaded.effort, loaded.reason, loaded.tuning) == (
        index.effort,
        index.reason,
        index.tuning,
    )
    for got, wanted in zip(loaded.search(queries, 12), expected, strict=True):
        np.testing.assert_array_equal(got, wanted)
    # A mapped index can be changed as well, and saved beside the file that it was mapped from.
    loaded.add(vectors[: count // 10], ids[: count // 10])
    assert loaded.remove(ids[-1:]) == min(1, count)
    save_index(loaded, tmp_path / "two")
    again = load_index(tmp_path / "two")
    assert len(again) == max(0, count - 1)
    assert (again.built, again.changes) == (count, 2 * (count // 10) + min(1, count))
    np.testing.assert_array_equal(load_index(tmp_path / "one").search(queries, 12)[1], expected[1])


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_file_is_refused_and_says_what_to_do(kind: IndexKind, tmp_path: Path) -> None:
    index, _, _ = shared(kind, 700)
    save_index(index, tmp_path / "index")
    path = tmp_path / "index" / "index.faiss"
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 4
    for damaged in (whole[:-1], whole[: len(whole) // 2], b"", bytes(flipped), whole + b"x"):
        path.write_bytes(damaged)
        with pytest.raises(CorruptIndex, match="run 'mmsearch index' to rebuild"):
            load_index(tmp_path / "index")
    path.unlink()
    with pytest.raises(CorruptIndex, match="rebuild"):
        load_index(tmp_path / "index")


@pytest.fixture(scope="module")
def indexed() -> dict[IndexKind, tuple[FaissIndex, Floats, Ids]]:
    return {kind: built(kind, 1_500) for kind in KINDS}


def look_everywhere(index: FaissIndex) -> None:
    """Leaves nothing to the luck of training."""
    index.effort = max(index.efforts, default=0)
    if index.refinements:
        index.refinement = max(index.refinements)


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


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), size=st.integers(1, 70))
@pytest.mark.parametrize("kind", KINDS)
def test_the_size_of_query_batches_changes_nothing(
    kind: IndexKind,
    indexed: dict[IndexKind, tuple[FaissIndex, Floats, Ids]],
    seed: int,
    size: int,
) -> None:
    index, _, _ = indexed[kind]
    queries = mixture(70, seed=seed)
    whole = index.search(queries, 10)
    parts = [index.search(queries[start : start + size], 10) for start in range(0, 70, size)]
    np.testing.assert_array_equal(np.concatenate([part[1] for part in parts]), whole[1])
    np.testing.assert_allclose(np.concatenate([part[0] for part in parts]), whole[0], atol=1e-6)


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


def test_searching_leaves_the_thread_setting_as_it_was() -> None:
    index, vectors, _ = shared("flat", 700)
    before = faiss.omp_get_max_threads()
    for queries in (1, 2, 100):
        index.search(vectors[:queries], 3)
        assert faiss.omp_get_max_threads() == before
