"""What no kind of index lets in: vectors that are not unit, ids that name nothing or two things."""

import numpy as np
import pytest

from mmsearch.errors import InputError, SpaceMismatch
from mmsearch.indexes import IdFilter, IndexKind, build_index
from mmsearch.records import Floats, Ids
from tests.support.index_kinds import DIM, KINDS, Batches, ids_for, mixture, shared


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
        (np.array([8, 9, 8], np.int64) + 10**6, "1000008 occurs twice"),
        (np.array([1, 2, 3], np.int32), "int32"),
        (np.array([1.0, 2.0, 3.0]), "float64"),
        (np.array([[1, 2, 3]], np.int64), r"\(1, 3\)"),
        (np.array([1, 2], np.int64), "got 3 vectors and 2 ids"),
        (np.append(ids_for(700)[5:6], [10**6, 10**6 + 1]), "is already in the index"),
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_bad_ids_are_turned_away(kind: IndexKind, ids: Ids, says: str) -> None:
    index, _, _ = shared(kind, 700)
    with pytest.raises(InputError, match=says):
        index.add(mixture(3, seed=2), ids)
    assert len(index) == 700


@pytest.mark.parametrize(
    ("ids", "says"),
    [
        (np.array([3, -4], np.int64), "allowed ids must not be negative, got -4"),
        (np.array([1, 2], np.int32), "allowed ids must be int64.*int32"),
        (np.array([[1, 2]], np.int64), r"allowed ids must be int64.*\(1, 2\)"),
    ],
)
def test_bad_ids_make_no_filter(ids: Ids, says: str) -> None:
    with pytest.raises(InputError, match=says):
        IdFilter(ids)


def test_a_filter_knows_each_id_once_in_ascending_order() -> None:
    np.testing.assert_array_equal(IdFilter(np.array([7, 3, 7, 0])).ids, [0, 3, 7])


def test_a_k_below_one_is_turned_away() -> None:
    index, vectors, _ = shared("flat", 2)
    with pytest.raises(InputError, match="at least 1, got 0"):
        index.search(vectors, 0)


def test_duplicate_ids_and_wrong_counts_fail_the_build() -> None:
    vectors = mixture(1_000)
    ids = np.arange(1_000, dtype=np.int64)
    ids[900] = 3
    with pytest.raises(InputError, match="id 3 occurs twice"):
        build_index(Batches(vectors, ids), dim=DIM)

    class Miscounted(Batches):
        def __len__(self) -> int:
            return 1_001

    with pytest.raises(InputError, match="announced 1,001 vectors and held 1,000"):
        build_index(Miscounted(vectors, np.arange(1_000)), dim=DIM)
