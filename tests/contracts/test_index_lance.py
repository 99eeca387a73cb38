"""Lance's own index against a NumPy oracle: what the protocol asks of a table that holds more."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lancedb
import numpy as np
import pyarrow as pa
import pytest

from mmsearch.errors import CorruptIndex, InputError, SpaceMismatch
from mmsearch.indexes import IdFilter, IndexOptions, read_meta
from mmsearch.indexes.files import save_meta
from mmsearch.indexes.lance_index import (
    LanceIndex,
    build_lance,
    lance_meta,
    open_lance,
    rows_of,
    vectors_schema,
)
from mmsearch.records import Floats, Ids

DIM = 24
COUNT = 3_000
COLUMN = "_image_vector"


def mixture(count: int, seed: int = 0) -> Floats:
    """Unit vectors in a cone around 40 centres, as float16 keeps them, float32 (n, DIM)."""
    centres = np.random.default_rng(42).normal(size=(40, DIM)) + 1.5
    generator = np.random.default_rng(seed)
    vectors = centres[generator.integers(40, size=count)]
    vectors = vectors + 0.5 * generator.normal(size=(count, DIM))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors.astype(np.float32)


class Batches:
    def __init__(self, vectors: Floats, ids: Ids) -> None:
        self.vectors, self.ids = vectors, ids

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Iterator[tuple[Floats, Ids]]:
        yield self.vectors, self.ids


def catalog_table(folder: Path, vectors: Floats, ids: Ids) -> Any:
    """Rows with a colour and a missing mark; each seventh has no vector."""
    nothing = np.arange(len(ids)) % 7 == 0
    flat = pa.array(vectors.astype(np.float16).reshape(-1))
    columns = {
        "_uid": pa.array(ids),
        "colour": pa.array(["red" if uid % 2 else "blue" for uid in ids]),
        "gone": pa.array(ids % 10 == 0),
        COLUMN: pa.FixedSizeListArray.from_arrays(flat, DIM, mask=pa.array(nothing)),
    }
    table = pa.table(columns)
    return lancedb.connect(str(folder)).create_table("items", table, on_bad_vectors="null")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[LanceIndex, Floats, Ids, Path]:
    """The index, the vectors that it may find with their ids, and the database's folder."""
    folder = tmp_path_factory.mktemp("lance")
    vectors = mixture(COUNT)
    ids = np.random.default_rng(7).permutation(3 * COUNT)[:COUNT].astype(np.int64)
    index = LanceIndex(catalog_table(folder, vectors, ids), COLUMN, live="gone = FALSE")
    there = (np.arange(COUNT) % 7 != 0) & (ids % 10 != 0)
    build_lance(
        index,
        Batches(vectors[there], ids[there]),
        why="requested",
        options=IndexOptions(kind="lance", recall=0.9),
        queries={"text": mixture(150, seed=5), "image": mixture(150, seed=6)},
    )
    return index, vectors[there], ids[there], folder


def nearest(vectors: Floats, ids: Ids, queries: Floats, k: int) -> Ids:
    return ids[np.argsort(-(queries @ vectors.T), axis=1, kind="stable")[:, :k]]


def overlap(found: Ids, wanted: Ids) -> float:
    hits = [np.isin(row, truth).mean() for row, truth in zip(found, wanted, strict=True)]
    return float(np.mean(hits))


def test_the_tuned_index_reaches_the_recall_and_says_so(
    built: tuple[LanceIndex, Floats, Ids, Path],
) -> None:
    index, vectors, ids, _ = built
    queries = mixture(40, seed=1)
    similarities, found = index.search(queries, 10)
    assert similarities.dtype == np.float32
    assert found.dtype == np.int64
    assert len(index) == len(ids)
    assert overlap(found, nearest(vectors, ids, queries, 10)) >= 0.9
    places = {uid: place for place, uid in enumerate(ids.tolist())}
    cosines = [
        [q @ vectors[places[uid]] for uid in row.tolist()]
        for q, row in zip(queries, found, strict=True)
    ]
    np.testing.assert_allclose(similarities, cosines, atol=2e-3)
    assert (similarities[:, :-1] >= similarities[:, 1:]).all()
    assert index.tuning is not None
    assert index.tuning.reached
    assert "cells probed" in index.reason


@pytest.mark.parametrize("share", [0.5, 0.05, 0.005, 0.0005])
def test_a_filter_returns_k_of_the_allowed(
    built: tuple[LanceIndex, Floats, Ids, Path], share: float
) -> None:
    index, vectors, ids, _ = built
    allowed = np.random.default_rng(3).choice(ids, max(1, int(share * len(ids))), replace=False)
    held = np.isin(ids, allowed)
    queries = mixture(15, seed=1)
    _, found = index.search(queries, 10, allowed=IdFilter(np.append(allowed, 10**9)))
    assert np.isin(found[found >= 0], allowed).all()
    assert ((found >= 0).sum(axis=1) == min(10, len(allowed))).all()
    assert (
        overlap(found, nearest(vectors[held], ids[held], queries, 10)) * 10 / min(10, len(allowed))
        >= 0.9
        or len(allowed) < 10
    )


def test_sql_filters_inside_the_search(built: tuple[LanceIndex, Floats, Ids, Path]) -> None:
    index, vectors, ids, _ = built
    queries = mixture(15, seed=1)
    _, found = index.search(queries, 10, where="colour = 'red'")
    assert (found % 2 == 1).all()
    red = ids % 2 == 1
    assert overlap(found, nearest(vectors[red], ids[red], queries, 10)) >= 0.9
    _, none = index.search(queries, 3, where="colour = 'green'")
    assert (none == -1).all()
    _, both = index.search(queries, 3, where="colour = 'red'", allowed=IdFilter(ids[:100]))
    assert np.isin(both, ids[:100][red[:100]]).all()


def test_more_asked_for_than_held_comes_back_padded(
    built: tuple[LanceIndex, Floats, Ids, Path],
) -> None:
    index, _, ids, _ = built
    similarities, found = index.search(mixture(2, seed=1), len(ids) + 5)
    assert (np.sort(found[:, : len(ids)], axis=1) == np.sort(ids)).all()
    assert (found[:, len(ids) :] == -1).all()
    assert np.isneginf(similarities[:, len(ids) :]).all()
    assert index.search(np.empty((0, DIM), np.float32), 4)[1].shape == (0, 4)


def test_bad_queries_are_turned_away(built: tuple[LanceIndex, Floats, Ids, Path]) -> None:
    index = built[0]
    with pytest.raises(SpaceMismatch, match=r"24-dim vectors.* has 8"):
        index.search(mixture(2)[:, :8] * 3, 3)
    with pytest.raises(InputError, match="length 2"):
        index.search(2 * mixture(2), 3)
    with pytest.raises(InputError, match="at least 1"):
        index.search(mixture(2), 0)


def test_what_was_saved_opens_again_and_answers_alike(
    built: tuple[LanceIndex, Floats, Ids, Path], tmp_path: Path
) -> None:
    index, _, _, folder = built
    save_meta(lance_meta(index, "items"), tmp_path / "000001")
    meta = read_meta(tmp_path / "000001")
    again = open_lance(folder, meta, live="gone = FALSE")
    queries = mixture(5, seed=1)
    for got, wanted in zip(again.search(queries, 12), index.search(queries, 12), strict=True):
        np.testing.assert_array_equal(got, wanted)
    assert (again.effort, again.refinement, again.tuning) == (
        index.effort,
        index.refinement,
        index.tuning,
    )
    with pytest.raises(CorruptIndex, match="rebuild=True"):
        open_lance(tmp_path / "elsewhere", meta)
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    lancedb.connect(str(copy)).open_table("items").drop_index(index.name)
    lost = lancedb.connect(str(copy)).open_table("items").version
    with pytest.raises(CorruptIndex, match="has no index"):
        open_lance(copy, _at(meta, lost))


def _at(meta: Any, version: int) -> Any:
    from dataclasses import replace

    return replace(meta, extra={**meta.extra, "version": version})


def test_rows_come_and_go_without_ghosts(tmp_path: Path) -> None:
    vectors, ids = mixture(900), np.arange(900, dtype=np.int64)
    schema = vectors_schema(DIM, "vector")
    table = lancedb.connect(str(tmp_path)).create_table("own", rows_of(vectors, ids, schema))
    index = LanceIndex(table, "vector")
    build_lance(
        index,
        Batches(vectors, ids),
        why="requested",
        options=IndexOptions(kind="lance", recall=0.9),
        queries={"row": vectors[:100]},
    )
    new = mixture(40, seed=9)
    index.add(new, np.arange(40, dtype=np.int64) + 5_000)
    assert (index.search(new, 1)[1][:, 0] == np.arange(40) + 5_000).all()
    with pytest.raises(InputError, match="is already in the index"):
        index.add(new[:1], np.array([5_000]))
    index.optimize()
    stats = table.index_stats(index.name)
    assert stats is not None
    assert stats.num_unindexed_rows == 0
    assert (index.search(new, 1)[1][:, 0] == np.arange(40) + 5_000).all()
    assert index.remove(np.append(np.arange(40) + 5_000, 10**6)) == 40
    assert index.remove(np.arange(40) + 5_000) == 0
    assert len(index) == 900
    assert (index.search(new, 900)[1] < 900).all()
