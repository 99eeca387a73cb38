"""Similar pictures on a real store: against brute force, and from one run to the next."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmsearch.dedup.find import find_duplicates
from mmsearch.dedup.options import DedupOptions
from mmsearch.dedup.vectors import places_of
from mmsearch.fusion import unit
from mmsearch.generations import refresh_generation
from mmsearch.indexes import IndexOptions
from mmsearch.media import MediaBounds
from mmsearch.progress import Silent
from mmsearch.records import Floats, SpaceId
from mmsearch.store.lance import Store
from mmsearch.store.manifest import Manifest
from mmsearch.store.rows import items_schema

DIM, KINDS, EACH = 16, 12, 5
THRESHOLD = 0.9


@pytest.fixture(scope="module")
def vectors() -> Floats:
    """Five around each of a few directions, in an order of chance."""
    chance = np.random.default_rng(4)
    centres = np.repeat(chance.normal(size=(KINDS, DIM)), EACH, axis=0)
    spread = unit((centres + 0.2 * chance.normal(size=centres.shape)).astype(np.float32))
    return chance.permutation(spread)


def add(folder: Path, vectors: Floats, start: int) -> None:
    """Rows with these vectors, of uids from `start` on."""
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
        refresh_generation(store, None, IndexOptions(), Silent())


def groups(folder: Path, **chosen: Any) -> list[list[str]]:
    options = DedupOptions(tiers=("similar",), similar=THRESHOLD, **chosen)
    report = find_duplicates(folder, options, MediaBounds(), Silent())
    return sorted(sorted(item.key for item in group.items) for group in report.groups)


def pairs_of(folder: Path) -> set[tuple[str, str]]:
    with np.load(folder / "dedup" / "similar.npz") as kept:
        names = [name.decode().split()[0] for name in kept["hashes"]]
        return {(names[one], names[two]) for one, two in kept["pairs"].tolist()}


def brute_force(vectors: Floats) -> set[tuple[str, str]]:
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
    path = tmp_path / "store" / "dedup" / "similar.npz"
    before = path.stat().st_mtime_ns
    assert groups(tmp_path / "store") == known
    assert groups(tmp_path / "store", where="_uid < 0") == []
    assert path.stat().st_mtime_ns == before


def test_places_of_what_is_there_and_of_what_is_not() -> None:
    ascending = np.array([2, 5, 9])
    assert places_of(np.array([9, 1, 5, 12, 2]), ascending).tolist() == [2, -1, 1, -1, 0]
    assert places_of(np.array([3]), ascending[:0]).tolist() == [-1]
