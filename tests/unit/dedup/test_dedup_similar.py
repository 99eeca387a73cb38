"""Similar images of a real store: compared with brute force, and over several runs."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mmsearch.dedup.cache.database import CachedArrays, CacheDatabase
from mmsearch.dedup.cache.pair_cache import Remembered
from mmsearch.dedup.find import find_duplicates
from mmsearch.dedup.options import DedupOptions
from mmsearch.dedup.thumbnails.edited_copies import EditedPairs
from mmsearch.dedup.tiers.similar_images import SimilarTo, find_similar
from mmsearch.fusion import unit
from mmsearch.generations import refresh_generation
from mmsearch.indexes import IndexOptions
from mmsearch.media import MediaBounds
from mmsearch.progress import NullProgress
from mmsearch.records import Floats, SpaceId
from mmsearch.store import Store
from mmsearch.store.manifest import Manifest
from mmsearch.store.rows import items_schema

DIM, KINDS, EACH = 16, 12, 5
ROWS = 100
NAMES = [f"row {number}" for number in range(ROWS)]
THRESHOLD = 0.9


@pytest.fixture(scope="module")
def vectors() -> Floats:
    """Five vectors around each of a few directions, in random order."""
    chance = np.random.default_rng(4)
    centres = np.repeat(chance.normal(size=(KINDS, DIM)), EACH, axis=0)
    spread = unit((centres + 0.2 * chance.normal(size=centres.shape)).astype(np.float32))
    return chance.permutation(spread)


def add(folder: Path, vectors: Floats, start: int) -> None:
    """Adds rows with these vectors, with uids from `start` on."""
    if start == 0:
        Store.create(folder, Manifest("none", SpaceId("none", "0" * 8, DIM, "0" * 8)))
    store = Store.open(folder)
    blank: dict[str, Any] = dict.fromkeys(items_schema(DIM).names)
    facts = {"source": "s", "_indexed": datetime.now(UTC), "metadata": {}}
    rows = [
        blank | facts | {"_uid": uid, "key": f"s/{uid:03d}", "_image_vector": vector}
        for uid, vector in enumerate(vectors, start)
    ]
    with store.writing():
        store.write_rows(rows)
        refresh_generation(store, None, IndexOptions(), NullProgress())


def groups(folder: Path, **chosen: Any) -> list[list[str]]:
    options = DedupOptions(tiers=("similar",), similar=THRESHOLD, **chosen)
    report = find_duplicates(folder, options, MediaBounds(), NullProgress())
    return sorted(sorted(item.key for item in group.items) for group in report.groups)


def pairs_of(folder: Path) -> set[tuple[str, ...]]:
    space = Store.open(folder).manifest.space.weights_hash
    memory = CachedArrays(CacheDatabase(folder / "dedup"), "similar")
    kept = Remembered.load(memory, f"near {THRESHOLD:.4f} {space}")
    names = [name.split()[0] for name in kept.hashes]
    # Listed for both images if each is among the other's nearest.
    pairs = np.sort(kept.found.pairs, axis=1).tolist()
    return {tuple(sorted((names[one], names[two]), key=int)) for one, two in pairs}


def brute_force(vectors: Floats) -> set[tuple[str, ...]]:
    near = np.triu(vectors @ vectors.T >= THRESHOLD, k=1)
    return {(str(one), str(two)) for one, two in np.argwhere(near).tolist()}


def test_pairs_are_those_of_brute_force_also_where_rows_came_later(
    vectors: Floats, tmp_path: Path
) -> None:
    for name, first in (("whole", len(vectors)), ("parts", 50)):
        add(tmp_path / name, vectors[:first], 0)
        groups(tmp_path / name)
    # As stored: in half precision.
    stored = vectors.astype(np.float16).astype(np.float32)
    assert pairs_of(tmp_path / "parts") == brute_force(stored[:50])
    add(tmp_path / "parts", vectors[50:], 50)
    assert groups(tmp_path / "parts") == groups(tmp_path / "whole")
    assert pairs_of(tmp_path / "parts") == pairs_of(tmp_path / "whole") == brute_force(stored)
    assert len(brute_force(stored)) > 40


def test_what_is_known_is_not_asked_for_again(vectors: Floats, tmp_path: Path) -> None:
    add(tmp_path / "store", vectors, 0)
    known = groups(tmp_path / "store")
    path = tmp_path / "store" / "dedup" / "cache.sqlite"
    before = path.stat().st_mtime_ns
    assert groups(tmp_path / "store") == known
    assert groups(tmp_path / "store", where="width < 0") == []
    assert path.stat().st_mtime_ns == before


@st.composite
def histories(draw: st.DrawFn) -> list[set[int]]:
    """The rows that exist in each run, of a hundred."""
    rows = st.integers(0, ROWS - 1)
    runs = [draw(st.sets(rows, min_size=20))]
    for _ in range(draw(st.integers(1, 4))):
        runs.append(runs[-1] ^ draw(st.sets(rows, max_size=15)))
    return runs


@given(histories(), st.integers(0, 2**20), st.sampled_from([0.3, 0.05]))
@settings(max_examples=60, deadline=None)
def test_runs_that_remember_find_what_fresh_runs_find(
    runs: list[set[int]], seed: int, spread: float
) -> None:
    """Includes clusters of many more rows than a list holds, with rows added and removed."""
    chance = np.random.default_rng(seed)
    centres = chance.normal(size=(4, 8))[np.arange(ROWS) % 4]
    vectors = unit((centres + spread * chance.normal(size=centres.shape)).astype(np.float32))
    cosines = vectors @ vectors.T
    asked_for: list[int] = []
    remembered = Remembered((), EditedPairs.joined([]), "test")
    for run in runs:
        compared = np.isin(np.arange(ROWS), sorted(run))

        def ask(
            asked: NDArray[np.bool_], k: int, compared: NDArray[np.bool_] = compared
        ) -> tuple[SimilarTo, NDArray[np.bool_]]:
            asked_for.append(int(asked.sum()))
            return nearest_of(cosines, asked, compared, k)

        found, remembered = find_similar(NAMES, compared, ask, remembered)
        nothing = Remembered((), EditedPairs.joined([]), "test")
        fresh, _ = find_similar(NAMES, compared, ask, nothing)
        assert found.edges.tolist() == fresh.edges.tolist()
        assert found.cosines.tolist() == fresh.cosines.tolist()
        pairs = found.pairs()
        assert (pairs.pairs[:, 0] < pairs.pairs[:, 1]).all()
        assert len({*map(tuple, pairs.pairs.tolist())}) == len(pairs)
    asked_for.clear()
    assert find_similar(NAMES, compared, ask, remembered)[1] is remembered
    assert not asked_for


def nearest_of(
    cosines: Floats, asked: NDArray[np.bool_], compared: NDArray[np.bool_], k: int
) -> tuple[SimilarTo, NDArray[np.bool_]]:
    """Neighbours by brute force, the query itself among the k, as from an index."""
    more, parts = np.zeros_like(asked), []
    for row in np.flatnonzero(asked).tolist():
        order = np.argsort(-np.where(compared, cosines[row], -2), kind="stable")[:k]
        near = order[(cosines[row, order] >= THRESHOLD) & compared[order]]
        more[row] = len(near) == k
        near = near[near != row]
        edges = np.stack([np.full(len(near), row), near], axis=1)
        parts.append(SimilarTo(edges, cosines[row, near]))
    return SimilarTo.joined(parts), more
