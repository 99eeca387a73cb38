"""Targets that Lance's own index searches, built, brought up to date, read while behind, left."""

from pathlib import Path

import numpy as np
import pytest

from mmsearch.arrays import unit
from mmsearch.engine.nearest import Nearest
from mmsearch.errors import CorruptIndex
from mmsearch.generations import GenerationInfo, live_generation, refresh_generation
from mmsearch.indexes import IndexOptions
from mmsearch.progress import NullProgress
from mmsearch.records import Floats, SpaceId, Target
from mmsearch.store import Store
from mmsearch.store.manifest import Manifest
from mmsearch.store.rows import items_schema

DIM = 16
LANCE = IndexOptions(kind="lance", recall=0.8)
TARGETS: tuple[Target, ...] = ("image", "text", "product")


def write(store: Store, start: int, count: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    images, texts = (unit(generator.normal(size=(count, DIM)).astype(np.float32)) for _ in "it")
    rows = []
    for position in range(count):
        row = dict.fromkeys(items_schema(DIM).names)
        number = start + position
        row |= {"key": f"a/{number}", "source": "a", "uri": f"a/{number}"}
        row |= {"metadata": {"price": number}}
        row |= {"_image_vector": images[position], "_text_vector": texts[position]}
        rows.append(row)
    store.write_rows(rows)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, GenerationInfo]:
    space = SpaceId("tiny", "a", DIM, "b")
    store = Store.create(tmp_path_factory.mktemp("lance") / "store", Manifest("tiny", space))
    write(store, 0, 700, seed=1)
    return store, refresh_generation(store, None, LANCE, NullProgress())


def query_like(store: Store, uid: int) -> Floats:
    row = store.rows([uid], ["_image_vector"]).column(0)[0].as_py()
    return unit(np.asarray([row], dtype=np.float32))


def nearest(store: Store, target: Target, query: Floats, where: str | None = None) -> list[int]:
    """Uids of the ten nearest, by a reader that opens the store as it is."""
    reader = Store.open(store.folder)
    asked = Nearest(reader, live_generation(store.folder))
    allowed = None if where is None else reader.uids(where)
    return [int(uid) for uid in asked.search(query, target, 10, allowed=allowed, where=where)[0][1]]


def test_a_catalog_is_indexed_searched_filtered_changed_and_left(
    made: tuple[Store, GenerationInfo],
) -> None:
    store, first = made
    generation = live_generation(store.folder)
    assert generation is not None
    assert {meta.kind for meta in generation.metas().values()} == {"lance"}
    generation.verify()
    for target in TARGETS:
        fused = first.fusion.centre(query_like(store, 5), "image")
        query = fused if target == "product" else query_like(store, 5)
        hits = nearest(store, target, query)
        assert len(hits) == 10
        assert 5 in hits or target == "text"
        cheap = nearest(store, target, query, "price < 4")
        assert sorted(cheap) == [0, 1, 2, 3]

    # A reader sees rows that came, and none that left, before the index knows of either.
    leaving = query_like(store, 5)
    write(store, 700, 15, seed=9)
    store.write_rows([], drops=[5])
    newest = int(store.uids().max())
    for target in TARGETS:
        query = query_like(store, newest)
        if target == "product":
            query = first.fusion.centre(query, "image")
        assert newest in nearest(store, target, query) or target == "text"
        assert 5 not in nearest(store, target, leaving)

    second = refresh_generation(store, first, LANCE, NullProgress())
    assert second.counts == {"image": 714, "text": 714, "product": 714}
    after = live_generation(store.folder)
    assert after is not None
    metas = after.metas()
    assert {metas[target].changes for target in TARGETS} == {16}
    assert metas["image"].tuning == generation.metas()["image"].tuning
    assert 5 not in nearest(store, "product", query_like(store, newest), "price < 9")
    assert len(after.index("product")) == 714

    refresh_generation(store, second, IndexOptions(kind="hnsw"), NullProgress())
    last = live_generation(store.folder)
    assert last is not None
    assert {meta.kind for meta in last.metas().values()} == {"hnsw"}
    assert not [i for i in store.items.list_indices() if i.name.endswith("_cells")]


def test_a_lost_table_is_found_before_it_is_searched(tmp_path: Path) -> None:
    store = Store.create(tmp_path / "store", Manifest("tiny", SpaceId("tiny", "a", DIM, "b")))
    write(store, 0, 640, seed=3)
    refresh_generation(store, None, LANCE, NullProgress())
    generation = live_generation(store.folder)
    assert generation is not None
    generation.check()
    store.replace_table("products", store.open_table("products").schema)
    store.items.drop_index("_image_vector_cells")
    fresh = Nearest(Store.open(store.folder), generation)
    with pytest.raises(CorruptIndex, match="rebuild=True"):
        fresh.search(unit(np.ones((1, DIM), np.float32)), "image", 3)
