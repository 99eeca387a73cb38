"""A second run only compares new images, and finds what a full run finds."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmsearch.dedup.cache.database import NAME, CachedArrays, CacheDatabase
from mmsearch.dedup.cache.pair_cache import Remembered, RememberedEdits, ordered_first
from mmsearch.dedup.thumbnails.edited_copies import Edited, EditedPairs
from mmsearch.dedup.thumbnails.greedy_matching import gather, gather_likeliest
from mmsearch.dedup.thumbnails.star_clusters import Stars
from mmsearch.records import Floats, Ids


def pairs(*found: tuple[int, int]) -> EditedPairs:
    count = len(found)
    rows = np.array(found, np.int64).reshape(-1, 2)
    return EditedPairs(rows, np.full(count, 0.9, np.float32), np.zeros(count, np.int64))


def cached(folder: Path) -> CachedArrays:
    return CachedArrays(CacheDatabase(folder), "pairs")


def test_what_was_found_comes_back_and_another_setting_forgets_it(tmp_path: Path) -> None:
    memory = Remembered(("a", "b", "c"), pairs((0, 2)), "edited 0.72")
    memory.save(cached(tmp_path))
    again = Remembered.load(cached(tmp_path), "edited 0.72")
    assert again.hashes == memory.hashes
    assert again.found.pairs.tolist() == [[0, 2]]
    assert Remembered.load(cached(tmp_path), "edited 0.80").hashes == ()


def test_edits_come_back_with_their_stars(tmp_path: Path) -> None:
    stars = Stars(np.array([0, 0, 2]), np.array([0, 5, 0]))
    RememberedEdits(("a", "b", "c"), Edited(pairs((0, 1)), stars), "0.72").save(cached(tmp_path))
    again = RememberedEdits.load(cached(tmp_path), "0.72")
    assert again.hashes == ("a", "b", "c")
    assert again.edited.found.pairs.tolist() == [[0, 1]]
    assert again.edited.stars.hubs.tolist() == [0, 0, 2]
    assert again.edited.stars.turns.tolist() == [0, 5, 0]
    other = RememberedEdits.load(cached(tmp_path), "0.80")
    assert other.hashes == ()
    assert len(other.edited.stars.hubs) == 0


@pytest.mark.parametrize("kept", [0, 100, 4096, 20_000])
def test_a_truncated_database_is_replaced(tmp_path: Path, kept: int) -> None:
    memory = cached(tmp_path)
    memory.save("large", numbers=np.arange(10_000))
    whole = (tmp_path / NAME).read_bytes()
    assert len(whole) > 80_000
    (tmp_path / NAME).write_bytes(whole[:kept])
    assert memory.load("large") is None
    Remembered(("a", "b"), pairs((0, 1)), "edited 0.72").save(memory)
    assert Remembered.load(memory, "edited 0.72").hashes == ("a", "b")


def test_a_file_that_is_no_database_is_replaced(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(b"something else" * 999)
    assert cached(tmp_path).load("any") is None
    cached(tmp_path).save("any", one=np.zeros(3))
    assert cached(tmp_path).load("any") is not None


def test_arrays_keep_shape_and_type_also_in_several_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mmsearch.dedup.cache.database._BLOCK_BYTES", 7)
    saved = {
        "none": np.zeros((0, 2), np.int64),
        "names": np.array([b"ab", b"c"]),
        "grid": np.arange(12, dtype=np.float32).reshape(3, 4).T,
        "flags": np.array([True, False]),
    }
    cached(tmp_path).save("first", grid=np.zeros(99), more=np.zeros(1))
    cached(tmp_path).save("second", **saved)
    found = cached(tmp_path).load("second")
    assert found is not None
    assert found.keys() == saved.keys()
    for name, array in saved.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)
    assert cached(tmp_path).load("first") is None


def test_files_of_earlier_versions_are_removed(tmp_path: Path) -> None:
    former = ["comparisons.sqlite", "pairs.npz", "pairs-12.npz", "whole.npz"]
    for name in [*former, "groups.json"]:
        (tmp_path / name).write_bytes(b"old")
    CacheDatabase(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["groups.json"]


def test_who_was_paired_with_a_picture_that_is_gone_is_compared_again() -> None:
    stars = Stars(np.array([0, 0, 2, 3, 3]), np.array([0, 5, 0, 0, 2]))
    found = Edited(pairs((0, 1), (0, 2), (3, 4)), stars)
    memory = RememberedEdits(("hub", "b", "c", "d", "e"), found, "s")
    names, kept = memory.among({"b", "c", "d", "e", "new"})
    assert names == ["d", "e"]
    assert kept.found.pairs.tolist() == [[0, 1]]
    assert kept.stars.hubs.tolist() == [0, 0]
    assert kept.stars.turns.tolist() == [0, 2]
    assert ordered_first(names, ["b", "c", "d", "e", "new"]) == ["d", "e", "b", "c", "new"]


def test_what_lay_around_a_hub_is_looked_at_again_with_it() -> None:
    stars = Stars(np.array([0, 1, 1, 3]), np.array([0, 0, 4, 0]))
    memory = RememberedEdits(
        ("gone", "hub", "around", "other"), Edited(pairs((0, 1), (1, 2)), stars), "s"
    )
    names, kept = memory.among({"hub", "around", "other"})
    assert names == ["other"]
    assert kept.stars.hubs.tolist() == [0]
    assert len(kept.found) == 0


edges = st.sets(
    st.tuples(st.integers(0, 9), st.integers(0, 9)).filter(lambda pair: pair[0] < pair[1]),
    min_size=1,
)


@given(edges, st.permutations(range(10)), st.integers(0, 2**20))
@settings(max_examples=100, deadline=None)
def test_gathering_asks_little_and_misses_no_connection(
    found: set[tuple[int, int]], order: list[int], seed: int
) -> None:
    listed = np.array(sorted(found), np.int64)
    truth = np.random.default_rng(seed).choice([0.3, 0.95], len(listed)).astype(np.float32)
    asked: list[int] = []

    def check(chosen: Ids) -> Floats:
        asked.extend(chosen.tolist())
        return truth[chosen]

    agreement, hubs = gather(listed, np.array(order), check, certain=0.9)
    assert len(asked) == len(set(asked))
    assert (agreement[asked] == truth[asked]).all()
    # The checked certain pairs connect the same rows as all certain pairs.
    every = {tuple(pair) for pair in listed[truth >= 0.9].tolist()}
    seen = {tuple(pair) for pair in listed[agreement >= 0.9].tolist()}
    assert components(every) == components(seen)
    for row, hub in enumerate(hubs.tolist()):
        assert row == hub or ((min(row, hub), max(row, hub)) in seen and hubs[hub] == hub)


@given(edges, st.permutations(range(10)), st.integers(0, 2**20))
@settings(max_examples=100, deadline=None)
def test_clusters_of_distinct_pictures_meet_a_few_times_only(
    found: set[tuple[int, int]], order: list[int], seed: int
) -> None:
    """The truth is a partition: only rows of one part are certain of each other."""
    listed = np.array(sorted(found), np.int64)
    chance = np.random.default_rng(seed)
    part = chance.integers(0, 4, 10)
    same = part[listed[:, 0]] == part[listed[:, 1]]
    truth = np.where(same, 0.95, 0.3).astype(np.float32)
    likeness = (truth + chance.uniform(0, 0.1, len(listed))).astype(np.float32)
    asked: list[int] = []

    def check(chosen: Ids) -> Floats:
        asked.extend(chosen.tolist())
        return truth[chosen]

    agreement, hubs = gather_likeliest(listed, likeness, np.array(order), check, certain=0.9)
    assert len(asked) == len(set(asked))
    assert (agreement[asked] == truth[asked]).all()
    assert components({tuple(pair) for pair in listed[same].tolist()}) == components(
        {tuple(pair) for pair in listed[agreement >= 0.9].tolist()}
    )
    seen = {tuple(pair) for pair in listed[agreement >= 0.9].tolist()}
    for row, hub in enumerate(hubs.tolist()):
        assert row == hub or ((min(row, hub), max(row, hub)) in seen and hubs[hub] == hub)


def components(found: set[tuple[int, ...]]) -> set[frozenset[int]]:
    """Connected components by brute force."""
    clusters = [{row} for row in range(10)]
    for one, two in found:
        first, second = (next(c for c in clusters if row in c) for row in (one, two))
        if first is not second:
            first |= second
            clusters.remove(second)
    assert all(not one & two for one, two in combinations(clusters, 2))
    return {frozenset(cluster) for cluster in clusters}
