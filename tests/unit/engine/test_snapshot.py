"""The rows' side file: the same answers without LanceDB, and none from a table that moved on."""

import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime

import pyarrow as pa
import pytest

from mmsearch.engine import Engine
from mmsearch.generations import Generation, live_generation
from mmsearch.query import Query, Term
from mmsearch.store import Store
from tests.support.vector_stores import ItemRow, StoreBuilder, item_rows, no_encoder, two_cones

IMAGES, TEXTS = two_cones(80)
MakeStore = Callable[..., StoreBuilder]


def asked(number: int, **parts: object) -> Query:
    return Query((Term(vector=IMAGES[number]),), **parts)  # type: ignore[arg-type]


def generation(builder: StoreBuilder) -> Generation:
    live = live_generation(builder.store.folder)
    assert live is not None
    return live


def through_lance(builder: StoreBuilder) -> Engine:
    store = Store.open(builder.store.folder)
    live = generation(builder)
    return Engine(store, generation=live, encoder=no_encoder, text_encoder=no_encoder)


def test_a_snapshot_answers_as_lance_does(make_store: MakeStore) -> None:
    builder = make_store(
        [*item_rows(80), ItemRow("shop/odd", text=TEXTS[0], metadata={"when": None})]
    )
    lance = Store.open(builder.store.folder)
    store = Store.open(builder.store.folder, snapshot=generation(builder).snapshot())
    assert store.counts() == lance.counts()
    assert store.version == lance.version
    assert store.public_columns == lance.public_columns
    assert store.column_types() == lance.column_types()
    queries = [asked(3), asked(4, where="n < 9"), Query((Term(key="shop/5"),)), Query(keyword="7")]
    queries += [asked(6, keyword="number 9", unique=True, diverse=0.5, k=80)]
    assert builder.engine().search_many(queries) == through_lance(builder).search_many(queries)


def test_a_plain_search_does_without_lancedb(make_store: MakeStore) -> None:
    folder = make_store(item_rows(20)).store.folder
    code = (
        "import sys, mmsearch, numpy as np; "
        f"hits = mmsearch.open({str(folder)!r}).search(vector=np.ones(24, np.float32), k=3); "
        "print(len(hits), hits[0].record['source'], "
        "sorted({'lancedb', 'torch', 'open_clip'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "3 shop []"


@pytest.mark.parametrize("change", ["rows", "missing", "pruned", "column"])
def test_any_commit_makes_it_stale(builder: StoreBuilder, change: str) -> None:
    builder.write(item_rows(20))
    builder.build()
    assert generation(builder).snapshot() is not None
    with builder.store.writing():
        if change in ("missing", "pruned"):
            builder.store.mark_missing(["shop/7"], datetime(2026, 1, 3, tzinfo=UTC))
        if change == "pruned":
            builder.store.prune("shop")
        if change == "column":
            builder.store.ensure_columns({"extra": pa.string()})
    if change == "rows":
        builder.write(item_rows(21)[20:])
    assert generation(builder).snapshot() is None


@pytest.mark.parametrize("damage", [b"", b"ARROW1 and nothing else", None])
def test_a_damaged_or_absent_file_is_done_without(
    builder: StoreBuilder, damage: bytes | None
) -> None:
    builder.write(item_rows(20))
    builder.build()
    (path,) = (builder.store.folder / "faiss").glob("*[0-9].arrow")
    whole = path.read_bytes()
    path.unlink()
    if damage is not None:
        path.write_bytes(damage)
    assert generation(builder).snapshot() is None
    assert builder.engine().search(asked(7))[0].key == "shop/7"
    path.write_bytes(whole[: len(whole) // 2])
    assert generation(builder).snapshot() is None


def test_what_lance_is_asked_later_is_of_the_same_version(builder: StoreBuilder) -> None:
    builder.write(item_rows(40))
    builder.build()
    reader = builder.engine()
    builder.write([ItemRow("shop/new", IMAGES[60], TEXTS[60], "brand new", {"n": 7})])
    with builder.store.writing():
        builder.store.mark_missing(["shop/7"], datetime(2026, 1, 3, tzinfo=UTC))
    assert [hit.key for hit in reader.search(asked(3, where="n = 7"))] == ["shop/7"]
    assert reader.search(Query(keyword="brand")) == []
    assert [hit.key for hit in builder.engine().search(asked(3, where="n = 7"))] == ["shop/new"]
