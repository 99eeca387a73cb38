"""Parts: a table of their own that belongs to a version of the items."""

from typing import Any

import numpy as np
import pytest

from mmsearch.arrays import unit
from mmsearch.records import Floats, Part
from mmsearch.store import Store
from mmsearch.store.lookups import keep_up_part_indexes
from mmsearch.store.parts import parts_by_uid
from tests.support.vector_stores import ItemRow, StoreBuilder, item_rows, row_of_key, two_cones

VECTORS = two_cones(40)[0]


def image_part(number: int, vector: Floats) -> dict[str, Any]:
    uri = f"/pictures/shoe-{number}.jpg"
    return {"kind": "image", "number": number, "uri": uri, "_hash": f"h{number}", "_vector": vector}


def passage(number: int, text: str, vector: Floats) -> dict[str, Any]:
    place = {"start": 10 * number, "end": 10 * number + len(text)}
    return {"kind": "passage", "number": number, "text": text, "_vector": vector, **place}


def write_shoe(builder: StoreBuilder, *vectors: Floats, uid: int | None = None) -> None:
    """Writes the item 'shop/shoe' with an image for each vector."""
    item = ItemRow("shop/shoe", unit(np.mean(vectors, axis=0, keepdims=True))[0])
    row = builder._row(item, uid)
    parts = [image_part(number, vector) for number, vector in enumerate(vectors, 1)]
    with builder.store.writing():
        builder.store.write_rows([{**row, "parts": parts}])


def test_a_store_of_single_images_has_no_parts_table(builder: StoreBuilder) -> None:
    builder.write(item_rows(5))
    store = Store.open(builder.store.folder)
    assert not store.has_parts
    assert store.parts_version is None
    assert not (store.folder / "lance" / "parts.lance").exists()
    assert store.parts_of([0, 1]).num_rows == 0
    assert [len(ids) for ids in store.part_items("image")] == [0, 0]
    assert list(store.part_vectors("passage")) == []


def test_parts_are_read_by_item(builder: StoreBuilder) -> None:
    builder.write(item_rows(5))
    row = builder._row(ItemRow("shop/shoe", VECTORS[0], VECTORS[1], "long text"), None)
    written = [
        passage(1, "first words", VECTORS[4]),
        image_part(2, VECTORS[3]),
        image_part(1, VECTORS[2]),
    ]
    with builder.store.writing():
        builder.store.write_rows([{**row, "parts": written}])
    store = Store.open(builder.store.folder)
    shoe = builder.uid_of("shop/shoe")
    table = store.parts_of([0, shoe], extra=["_vector"])
    found, parts = table.to_pylist(), parts_by_uid(table)
    assert list(parts) == [each["_uid"] for each in found]
    assert list(parts.values()) == [
        Part("image", 1, uri="/pictures/shoe-1.jpg", of=2),
        Part("image", 2, uri="/pictures/shoe-2.jpg", of=2),
        Part("passage", 1, text="first words", start=10, end=21),
    ]
    assert [part.locator for part in parts.values()] == ["image=1", "image=2", "passage=1"]
    assert (found[2]["start"], found[2]["end"]) == (10, 21)
    uids, items = store.part_items("image")
    assert items.tolist() == [shoe, shoe]
    assert set(uids) == {each["_uid"] for each in found[:2]}
    assert len({shoe, *(each["_uid"] for each in found), *range(5)}) == 5 + 4
    ((uids, items, vectors),) = store.part_vectors("passage")
    assert items.tolist() == [shoe]
    np.testing.assert_allclose(vectors, VECTORS[4:5], atol=1e-3)
    assert store.counts()["image_parts"] == 2
    assert store.counts()["passages"] == 1
    assert list(store.part_items("image", since=int(uids[0]) + 1)[0]) == [
        uid for uid in store.part_items("image")[0] if uid > uids[0]
    ]


def test_many_items_are_looked_up_in_one_scan(builder: StoreBuilder) -> None:
    write_shoe(builder, VECTORS[0], VECTORS[1])
    store = Store.open(builder.store.folder)
    assert store.parts_of(range(5_000)).num_rows == 2
    assert store.parts_of(None).num_rows == 2


def test_a_kill_before_the_item_is_written_leaves_the_item_as_it_was(
    builder: StoreBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_shoe(builder, VECTORS[0], VECTORS[1])
    before = Store.open(builder.store.folder).parts_of(None)

    def killed(*arguments: Any, **options: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(builder.store, "_merge", killed)
    with pytest.raises(KeyboardInterrupt):
        write_shoe(builder, VECTORS[2], VECTORS[3], VECTORS[4])
    store = Store.open(builder.store.folder)
    assert store.parts_of(None).num_rows == 5
    shoe = builder.uid_of("shop/shoe")
    assert store.parts_of([shoe]).equals(before)
    assert store.part_items("image")[0].tolist() == before.column("_uid").to_pylist()
    with store.writing():
        store.remove_orphaned_parts()
    assert Store.open(builder.store.folder).parts_of(None).equals(before)


def test_a_reader_keeps_the_parts_of_its_version(builder: StoreBuilder) -> None:
    write_shoe(builder, VECTORS[0], VECTORS[1])
    builder.build()
    pinned = builder.engine()._store
    assert pinned.has_parts
    before = Store.open(builder.store.folder)
    write_shoe(builder, VECTORS[2], VECTORS[3], VECTORS[4])
    with builder.store.writing():
        builder.store.remove_orphaned_parts()
    for reader in (pinned, before):
        assert reader.part_items("image")[0].size == 2
    after = Store.open(builder.store.folder)
    assert after.part_items("image")[0].size == 3
    assert after.parts_of(None).num_rows == 3


def test_parts_of_missing_and_pruned_items_are_kept_but_not_live(builder: StoreBuilder) -> None:
    write_shoe(builder, VECTORS[0], VECTORS[1])
    with builder.store.writing():
        builder.store.mark_source_missing("shop")
        builder.store.remove_orphaned_parts()
        assert builder.store.count_parts("image") == 0
        builder.store.prune("shop")
        builder.store.remove_orphaned_parts()
        assert builder.store.parts_of(None).num_rows == 2
        builder.store.undo_prune()
        builder.store.mark_missing(["shop/shoe"], None)
    assert Store.open(builder.store.folder).count_parts("image") == 2


def test_renamed_parts_keep_their_uids(builder: StoreBuilder) -> None:
    write_shoe(builder, VECTORS[0], VECTORS[1])
    shoe = builder.uid_of("shop/shoe")
    store = builder.store
    held = store.parts_of([shoe], extra=["_hash", "_vector"]).to_pylist()
    renamed = [{**each, "uri": "/moved" + each["uri"]} for each in held]
    row = builder._row(ItemRow("shop/shoe", VECTORS[0]), shoe)
    with store.writing():
        store.write_rows([{**row, "parts": renamed}])
    found = Store.open(store.folder).parts_of(None).to_pylist()
    assert [each["_uid"] for each in found] == [each["_uid"] for each in held]
    assert [each["uri"] for each in found] == [each["uri"] for each in renamed]
    assert row_of_key(store, "shop/shoe", ["_uid"]) == {"_uid": shoe}


def test_a_snapshot_names_the_version_of_the_parts(builder: StoreBuilder) -> None:
    write_shoe(builder, VECTORS[0], VECTORS[1])
    builder.build()
    snapshot = builder.engine()._store._snapshot
    assert snapshot is not None
    assert snapshot.parts_version == Store.open(builder.store.folder).parts_version
    assert snapshot.counts["image_parts"] == 2


def test_many_parts_are_found_by_an_index(builder: StoreBuilder) -> None:
    write_shoe(builder, VECTORS[0], VECTORS[1])
    with builder.store.writing():
        table = builder.store._parts
        keep_up_part_indexes(table, scalar_rows=2)
        keep_up_part_indexes(table, scalar_rows=2)
        assert {name for index in table.list_indices() for name in index.columns} == {
            "_uid",
            "item",
        }
    write_shoe(builder, VECTORS[2], VECTORS[3], VECTORS[4])
    shoe = builder.uid_of("shop/shoe")
    assert Store.open(builder.store.folder).parts_of([shoe]).num_rows == 3
