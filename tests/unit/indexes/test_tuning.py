"""The choice of a kind, the effort that reaches a floor, and the truth it is held against."""

from collections.abc import Iterator

import numpy as np
import pytest

from mmsearch.errors import InputError, SpaceMismatch
from mmsearch.indexes import IndexKind, IndexOptions, build_index, rebuild_reason
from mmsearch.indexes.build import spread_sample
from mmsearch.indexes.choice import (
    EXACT_ROWS,
    MOST_CELLS,
    POINTS_PER_CELL,
    WHOLE_ROWS,
    bytes_needed,
    cell_count,
    choose,
)
from mmsearch.indexes.ground_truth import WIDTH, GroundTruth
from mmsearch.indexes.tuning import interval, tune
from mmsearch.records import Floats, Ids

DIM = 16


def unit(vectors: np.ndarray) -> Floats:
    """Rows divided by their lengths, float32 (n, dim)."""
    rows: Floats = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return rows


def clusters(count: int, seed: int = 0) -> Floats:
    """Unit vectors around 40 centres, float32 (n, DIM)."""
    centres = np.random.default_rng(9).normal(size=(40, DIM))
    generator = np.random.default_rng(seed)
    spread = 0.5 * generator.normal(size=(count, DIM))
    return unit(centres[generator.integers(40, size=count)] + spread)


class Batches:
    def __init__(self, vectors: Floats, size: int = 400) -> None:
        self.vectors, self.size = vectors, size

    def __len__(self) -> int:
        return len(self.vectors)

    def __iter__(self) -> Iterator[tuple[Floats, Ids]]:
        for start in range(0, len(self.vectors), self.size):
            part = self.vectors[start : start + self.size]
            yield part, np.arange(start, start + len(part), dtype=np.int64)


@pytest.mark.parametrize(
    ("rows", "kind", "built"),
    [
        (0, "auto", "flat"),
        (EXACT_ROWS - 1, "auto", "flat"),
        (EXACT_ROWS, "auto", "ivf-flat"),
        (WHOLE_ROWS + 1, "auto", "ivf-sq8"),
        (100, "ivf-sq8", "flat"),
        (100, "hnsw", "hnsw"),
        (10**7, "flat", "flat"),
    ],
)
def test_the_kind_follows_size_and_wish(rows: int, kind: IndexKind, built: str) -> None:
    options = IndexOptions(kind=kind, memory_bytes=2**40)
    plans = choose(rows, 256, options)
    assert plans[0].kind == built
    assert all(plan.why for plan in plans)


def test_auto_ends_with_an_exact_kind_when_the_recall_is_missed() -> None:
    plans = choose(10**6, 256, IndexOptions(memory_bytes=2**40))
    assert [plan.kind for plan in plans] == ["ivf-sq8", "ivf-flat", "flat"]


@pytest.mark.parametrize(
    ("rows", "memory", "built"),
    [
        (10**7, 4 * 2**30, "ivf-sq8"),
        (10**7, 2 * 2**30, "ivf-pq"),
        (10**5, 50 * 2**20, "ivf-sq8"),
        (10**4, 5 * 2**20, "ivf-sq8"),
    ],
)
def test_auto_stays_within_memory(rows: int, memory: int, built: str) -> None:
    plans = choose(rows, 256, IndexOptions(memory_bytes=memory))
    assert plans[0].kind == built
    assert all(bytes_needed(plan.kind, rows, 256) <= memory for plan in plans)


def test_memory_that_nothing_fits_in_is_refused_with_the_numbers() -> None:
    with pytest.raises(InputError, match=r"take at least 381\.5 MiB, memory allows 100\.0 MiB"):
        choose(10**7, 256, IndexOptions(memory_bytes=100 * 2**20))
    with pytest.raises(InputError, match=r"ivf-sq8 takes 2\.5 GiB .* allows 2\.0 GiB"):
        choose(10**7, 256, IndexOptions(kind="ivf-sq8", memory_bytes=2 * 2**30))
    with pytest.raises(InputError, match="memory must be positive, got 0 bytes"):
        IndexOptions(memory_bytes=0)


@pytest.mark.parametrize("rows", [0, 1, 38, 39, 624, 5_000, 10**5, 10**6, 10**7, 10**9])
def test_cells_never_outnumber_their_training_points(rows: int) -> None:
    cells = cell_count(rows)
    assert 1 <= cells <= MOST_CELLS
    assert cells == 1 or cells * POINTS_PER_CELL <= rows


def test_options_say_what_is_wrong_with_them() -> None:
    with pytest.raises(InputError, match="unknown index kind 'tree'; use one of auto, flat"):
        IndexOptions(kind="tree")  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"between 0 and 1, got 1\.5"):
        IndexOptions(recall=1.5)


def test_a_sample_is_spread_over_all_batches() -> None:
    vectors = clusters(4_000)
    sample = spread_sample(Batches(vectors), 400, DIM, seed=0)
    rows = [int(np.flatnonzero((vectors == row).all(axis=1))[0]) for row in sample]
    assert len(set(rows)) == 400
    by_batch = np.bincount(np.array(rows) // 400, minlength=10)
    assert by_batch.min() >= 20
    assert len(spread_sample(Batches(vectors), 9_999, DIM, seed=0)) == 4_000


def test_the_truth_is_what_a_full_scan_finds_and_leaves_the_query_itself_out() -> None:
    vectors = clusters(1_000)
    truth = GroundTruth({"text": clusters(20, seed=5), "row": vectors[:30]})
    for part, ids in Batches(vectors, 77):
        truth.update(part, ids)
    exact = np.argsort(-(truth.queries @ vectors.T), axis=1, kind="stable")[:, :11]
    assert truth.groups == {"text": slice(0, 20), "row": slice(20, 50)}
    np.testing.assert_array_equal(truth.recalls(exact, 10), 1.0)
    # Its own row is no merit: a search that finds nothing else scores nothing.
    lazy = np.full((50, 11), -1)
    lazy[20:, 0] = np.arange(30)
    np.testing.assert_array_equal(truth.recalls(lazy, 10), 0.0)
    half = np.where(np.arange(11) % 2 == 0, exact, -1)
    assert 0.4 <= truth.recalls(half, 10).mean() <= 0.6


def test_another_copy_of_the_same_picture_counts_as_found() -> None:
    vectors = clusters(500)
    vectors[100:140] = vectors[0]
    query = unit(vectors[:1] + 0.2 * vectors[1:2])
    truth = GroundTruth({"row": query})
    truth.update(vectors, np.arange(500, dtype=np.int64))
    later = np.arange(125, 136)[None, :]
    assert truth.recalls(later, 10)[0] == 1.0
    assert WIDTH > 41


def test_a_placeholder_on_every_other_item_does_not_drive_auto_to_a_full_scan() -> None:
    vectors = clusters(3_000)
    vectors[::2] = vectors[0]
    queries = np.concatenate([clusters(300, seed=5), np.repeat(vectors[:1], 200, axis=0)])
    truth = GroundTruth({"image": queries})
    truth.update(vectors, np.arange(3_000, dtype=np.int64))
    assert truth.judged(10)[300:].sum() == 0
    assert truth.judged(10)[:300].mean() > 0.8
    index = build_index(
        Batches(vectors),
        dim=DIM,
        options=IndexOptions(kind="ivf-flat"),
        queries={"image": queries, "placeholder": queries[300:]},
    )
    assert index.tuning is not None
    assert index.tuning.reached
    assert index.tuning.queries == {"image": truth.judged(10).sum()}


def test_a_catalog_of_one_picture_only_is_built_without_a_recall_to_tell() -> None:
    vectors = np.repeat(clusters(1), 900, axis=0)
    index = build_index(Batches(vectors), dim=DIM, options=IndexOptions(kind="ivf-sq8"))
    assert index.tuning is not None
    assert (index.tuning.reached, index.tuning.queries) == (True, {})
    assert "no query had distinct neighbours" in index.reason
    assert (index.search(vectors[:1], 5)[1] == np.arange(5)).all()


def test_few_rows_are_all_there_is_to_find() -> None:
    truth = GroundTruth({"row": clusters(5)})
    truth.update(clusters(5), np.arange(5, dtype=np.int64))
    everything = np.argsort(-(truth.queries @ truth.queries.T), axis=1)
    np.testing.assert_array_equal(truth.recalls(everything, 10), 1.0)
    alone = GroundTruth({"row": clusters(1)})
    alone.update(clusters(1), np.array([7]))
    np.testing.assert_array_equal(alone.recalls(np.array([[7]]), 10), 1.0)


def test_the_effort_is_the_least_whose_every_group_is_safely_at_the_floor() -> None:
    vectors = clusters(2_000)
    truth = GroundTruth({"text": clusters(300, seed=5), "image": clusters(300, seed=6)})
    truth.update(vectors, np.arange(2_000, dtype=np.int64))
    exact = np.argsort(-(truth.queries @ vectors.T), axis=1)[:, :11]

    asked = {query.tobytes(): place for place, query in enumerate(truth.queries)}
    measured: dict[int, int] = {}

    def search(queries: Floats, effort: int) -> Ids:
        """Text queries find `effort` of 10, image queries all."""
        places = np.array([asked[query.tobytes()] for query in queries])
        measured[effort] = max(measured.get(effort, 0), len(queries))
        return np.where((np.arange(11) < effort) | (places[:, None] >= 300), exact[places], -1)

    tuning = tune(search, list(range(1, 11)), truth, floor=0.85)
    assert tuning.effort == 9
    assert tuning.reached
    assert tuning.queries == {"text": 300, "image": 300}
    assert [point.effort for point in tuning.curve] == list(range(1, 11))
    # What falls short by far, or lies past the floor, is measured by a quarter of the queries.
    assert measured == {**dict.fromkeys(range(1, 9), 150), 9: 600, 10: 150}
    chosen = tuning.curve[8]
    assert chosen.recall == {"text": pytest.approx(0.9), "image": 1.0}
    assert 0.85 <= chosen.lowest["text"] < 0.9
    missed = tune(search, [1, 2, 3], truth, floor=0.85)
    assert (missed.effort, missed.reached) == (3, False)


def test_a_group_of_few_queries_is_asked_whole_at_every_effort() -> None:
    vectors = clusters(1_000)
    truth = GroundTruth({"text": clusters(300, seed=5), "image": clusters(70, seed=6)})
    truth.update(vectors, np.arange(1_000, dtype=np.int64))
    exact = np.argsort(-(truth.queries @ vectors.T), axis=1)[:, :11]
    asked: set[int] = set()

    def search(queries: Floats, effort: int) -> Ids:
        asked.add(len(queries))
        return np.where(np.arange(11) < 2 * effort, exact[: len(queries)], -1)

    tuning = tune(search, [1, 3, 6, 7], truth, floor=0.9)
    assert asked == {370}
    assert all(set(point.recall) == {"text", "image"} for point in tuning.curve)


def test_the_lower_bound_covers_the_true_mean_as_often_as_it_says() -> None:
    generator = np.random.default_rng(0)
    trials = generator.binomial(10, 0.95, size=(2_000, 200)) / 10
    bounds = np.array([interval(trial)[0] for trial in trials])
    assert (bounds <= 0.95).mean() >= 0.97
    assert bounds.mean() >= 0.93
    assert interval(np.ones(20))[0] < 0.95 < interval(np.ones(500))[0]


@pytest.mark.parametrize(("floor", "effort"), [(0.95, 6), (0.9999, 9)])
def test_where_the_floor_is_out_of_reach_no_effort_is_wasted(floor: float, effort: int) -> None:
    """From 6 on all is found but a thousandth of the text queries' and a tenth of the images'."""
    vectors = clusters(2_000)
    truth = GroundTruth({"text": clusters(100, seed=5), "image": clusters(100, seed=6)})
    truth.update(vectors, np.arange(2_000, dtype=np.int64))
    exact = np.argsort(-(truth.queries @ vectors.T), axis=1)[:, :11]
    asked = {query.tobytes(): place for place, query in enumerate(truth.queries)}

    def search(queries: Floats, effort: int) -> Ids:
        places = np.array([asked[query.tobytes()] for query in queries])
        found: Ids = exact[places].copy()
        found[:, effort + 4 :] = -1
        found[places >= 100, 9:] = -1
        # One of the text queries misses one of ten, until effort 9.
        found[(places == 4) & (effort < 9), 9:] = -1
        return found

    tuning = tune(search, list(range(1, 13)), truth, floor=floor)
    assert not tuning.reached
    assert tuning.effort == effort
    chosen = next(point for point in tuning.curve if point.effort == effort)
    assert chosen.recall["image"] == pytest.approx(0.9, abs=0.001)


@pytest.mark.parametrize("kind", ["hnsw", "ivf-flat", "ivf-sq8", "ivf-pq", "binary"])
def test_a_built_index_reaches_the_recall_on_unseen_queries(kind: IndexKind) -> None:
    vectors = clusters(6_000)
    queries = {"text": clusters(300, seed=5), "image": clusters(300, seed=6)}
    index = build_index(
        Batches(vectors), dim=DIM, options=IndexOptions(kind=kind, recall=0.9), queries=queries
    )
    assert index.tuning is not None
    assert index.tuning.reached
    assert index.effort == index.tuning.effort
    assert "text queries" in index.reason
    unseen = clusters(300, seed=7)
    truth = np.argsort(-(unseen @ vectors.T), axis=1)[:, :10]
    found = index.search(unseen, 10)[1]
    hits = [np.isin(row, wanted).mean() for row, wanted in zip(found, truth, strict=True)]
    assert np.mean(hits) >= 0.9


def test_an_index_says_when_the_recall_could_not_be_confirmed() -> None:
    options = IndexOptions(kind="ivf-sq8", recall=0.9999)
    index = build_index(Batches(clusters(3_000)), dim=DIM, options=options)
    assert index.tuning is not None
    assert not index.tuning.reached
    assert "requested 0.9999 could not be confirmed" in index.reason


def test_tuning_queries_are_checked_at_the_door() -> None:
    batches = Batches(clusters(100))
    with pytest.raises(SpaceMismatch, match="'text' has 8"):
        build_index(batches, dim=DIM, queries={"text": unit(np.ones((3, 8)))})
    with pytest.raises(InputError, match="length 0"):
        build_index(batches, dim=DIM, queries={"text": np.zeros((3, DIM), np.float32)})
    empty = {"text": np.empty((0, DIM), np.float32)}
    index = build_index(batches, dim=DIM, queries=empty, options=IndexOptions(kind="hnsw"))
    assert index.tuning is not None
    assert set(index.tuning.queries) == {"row"}


def test_an_index_is_built_anew_once_a_fifth_has_changed() -> None:
    vectors = clusters(1_000)
    options = IndexOptions(kind="ivf-flat")
    index = build_index(Batches(vectors), dim=DIM, options=options)
    assert (index.built, index.changes) == (1_000, 0)
    index.add(clusters(120, seed=4), np.arange(1_000, 1_120))
    assert index.remove(np.arange(80)) == 80
    assert rebuild_reason(index, options) == ""
    index.remove(np.array([80]))
    assert rebuild_reason(index, options) == "201 changes since it was built over 1,000 rows"


def test_an_index_is_built_anew_once_another_kind_suits_it() -> None:
    index = build_index(Batches(clusters(1_000)), dim=DIM)
    assert rebuild_reason(index, IndexOptions()) == ""
    index.add(clusters(EXACT_ROWS, seed=3), np.arange(1_000, 1_000 + EXACT_ROWS))
    assert rebuild_reason(index, IndexOptions(memory_bytes=2**40)) == (
        "ivf-flat suits 21,000 rows better than flat"
    )
    assert rebuild_reason(index, IndexOptions(kind="flat")) == ""
    assert rebuild_reason(index, IndexOptions(kind="hnsw")) == (
        "hnsw suits 21,000 rows better than flat"
    )
    index.built = 21_000
    assert rebuild_reason(index, IndexOptions(memory_bytes=2**40)) == ""
