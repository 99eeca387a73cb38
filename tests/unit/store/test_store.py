"""The store: rows in and out of a real LanceDB, columns that grow, filters, prune and undo."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import filelock
import numpy as np
import pytest

from mmsearch.arrays import unit
from mmsearch.errors import BadFilter, CorruptIndex, StoreLocked, StoreNotFound
from mmsearch.records import Scalar, SpaceId
from mmsearch.store import Store
from mmsearch.store.manifest import FORMAT, Manifest, SourceEntry, read_manifest, write_manifest
from mmsearch.store.rows import items_schema
from mmsearch.store.writing import CONVERTED
from tests.support.vector_stores import row_of_key

DIM = 8
SPACE = SpaceId("tiny", "a" * 32, DIM, "b" * 32)
WHEN = datetime(2026, 1, 2, tzinfo=UTC)


def row(key: str, *, uid: int | None = None, seed: int = 0, **metadata: Scalar) -> dict[str, Any]:
    vector = unit(np.random.default_rng(seed).normal(size=(1, DIM)).astype(np.float32))[0]
    content: dict[str, Any] = dict.fromkeys(items_schema(DIM).names)
    content.update(
        {
            "_uid": uid,
            "key": key,
            "source": key.split("/")[0],
            "uri": f"/pictures/{key}",
            "_indexed": WHEN,
            "_image_vector": vector,
            "metadata": metadata,
        }
    )
    return content


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.create(tmp_path / "store", Manifest("tiny", SPACE))


def keys(store: Store, where: str | None = None) -> set[str]:
    uids = store.uids(where).tolist()
    return set(store.rows(uids, ["key"]).column("key").to_pylist())


def test_rows_come_back_as_they_went_in(store: Store) -> None:
    store.write_rows([row("a/1", seed=1, price=3, name="O'Hara"), row("a/2", seed=2)])
    assert row_of_key(store, "a/1", ["price", "name"]) == {"price": 3, "name": "O'Hara"}
    ((uids, (vectors,)),) = list(store.vectors(["_image_vector"]))
    expected = np.stack([row("", seed=s)["_image_vector"] for s in (1, 2)])
    np.testing.assert_allclose(vectors[np.argsort(uids)], expected, atol=1e-3)


def test_a_missing_vector_is_a_row_of_zeros(store: Store) -> None:
    store.write_rows([row("a/1")])
    ((_, (texts,)),) = list(store.vectors(["_text_vector"]))
    assert texts.shape == (1, DIM)
    assert not texts.any()
    assert store.counts() == {
        "items": 1, "image": 1, "text": 0, "both": 0, "image_parts": 0, "passages": 0,
        "missing": 0, "failures": 0,
    }  # fmt: skip


def test_uids_are_never_given_twice(store: Store) -> None:
    store.write_rows([row("a/1"), row("a/2")])
    first = set(store.uids().tolist())
    store.write_rows([row("a/2", seed=9)])
    store.mark_source_missing("a")
    store.prune("a")
    store.write_rows([row("a/3")])
    assert not set(store.uids().tolist()) & first


def test_a_row_with_its_uid_can_change_its_key(store: Store) -> None:
    store.write_rows([row("a/old")])
    (uid,) = store.uids().tolist()
    store.write_rows([row("a/new", uid=uid)])
    assert keys(store) == {"a/new"}
    assert store.uids().tolist() == [uid]


def test_columns_widen_instead_of_losing_values(store: Store) -> None:
    store.write_rows([row("a/1", price=3, size=1, flag=True)])
    store.write_rows([row("a/2", price=2.5, size="XL", flag=False)])
    assert row_of_key(store, "a/1", ["price", "size"]) == {"price": 3.0, "size": "1"}
    assert row_of_key(store, "a/2", ["price", "size"]) == {"price": 2.5, "size": "XL"}
    assert keys(store, "price < 3 AND size = 'XL'") == {"a/2"}


@pytest.mark.parametrize("dropped", [False, True])
def test_a_conversion_that_a_crash_left_is_finished(store: Store, dropped: bool) -> None:
    store.write_rows([row("a/1", price=3)])
    store._items.add_columns({f"{CONVERTED}price": "CAST(price AS DOUBLE)"})
    if dropped:
        store._items.drop_columns(["price"])
    with store.writing():
        assert list(store.metadata_columns) == ["price"]
    assert row_of_key(store, "a/1", ["price"]) == {"price": 3}


def test_filters_choose_live_rows(store: Store) -> None:
    store.write_rows([row("a/1", price=1), row("a/2", price=2), row("b/3", price=3)])
    store.mark_missing(["a/2"], WHEN)
    assert keys(store, "price < 3 OR 1 = 1") == {"a/1", "b/3"}
    store.mark_missing(["a/2"], None)
    assert keys(store, "price <= 2") == {"a/1", "a/2"}


@pytest.mark.parametrize(
    "where", ["pricee < 3", "price <", "price", "foo(price)", "sum(price) > 1"]
)
def test_a_bad_filter_names_the_columns_there_are(store: Store, where: str) -> None:
    store.write_rows([row("a/1", price=1)])
    with pytest.raises(BadFilter, match=r"columns: .*price") as caught:
        store.uids(where)
    assert "\n" not in str(caught.value)
    assert "_uid" not in str(caught.value)


@pytest.mark.parametrize(
    ("where", "says"),
    [
        ("price < 5 name = 'x'", "bad syntax"),
        ("price < 5; DROP", "bad syntax"),
        ("price < 5)", "bracket"),
        ("price < 5) OR (price > 5", "bracket"),
        ("price = 'cheap'", r'"cheap" is not a whole number'),
        ("name = 5", "single quotes"),
        ('name = "x"', "single quotes"),
        ("  ", "incomplete"),
        ("price > 3 AND", "incomplete"),
        ("price < 0,5", "has a point, as in 0.5"),
        ("price < $5", r"write the number without \$"),
        ("prices < 5", r"no column prices; did you mean price\?"),
        ("name = Acme", "a text stands in single quotes: 'Acme'"),
        ("name = 'it's'", "one inside a text is doubled"),
        ("price < 5 && flag", "unknown operator &&; use AND"),
        ("price", "write a condition"),
        ("Unit Price < 5", "the column is called unit_price"),
        ("unit-price < 5", "the column is called unit_price"),
    ],
)
def test_a_filter_is_never_read_in_part(store: Store, where: str, says: str) -> None:
    store.write_rows([row("a/1", price=1, name="O'Hara (x", flag=True, unit_price=2)])
    with pytest.raises(BadFilter, match=says) as caught:
        store.uids(where)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "where",
    [
        "name = 'O''Hara (x'",
        "NAME LIKE 'O%' AND `price` = 1",
        "lower(name) = 'o''hara (x' -- a comment",
        "price BETWEEN 1 AND 2 AND (flag OR price > 7)",
        "seen > timestamp '2025-01-01 00:00:00'",
        "price IN (1, 2) AND name IS NOT NULL",
    ],
)
def test_quotes_brackets_case_and_types_in_filters(store: Store, where: str) -> None:
    store.write_rows([row("a/1", price=1, name="O'Hara (x", flag=True, seen=WHEN)])
    store.write_rows([row("a/2", price=9, name="other", flag=False, seen=None)])
    assert keys(store, where) == {"a/1"}


def test_prune_can_be_undone(store: Store) -> None:
    store.write_rows([row("a/1", price=1), row("a/2", price=2), row("b/3")])
    store.mark_missing(["a/1", "b/3"], WHEN)
    assert store.prune("a") == 1
    assert store.counts()["missing"] == 1
    assert store.undo_prune() == 1
    assert store.undo_prune() == 0
    assert store.counts()["missing"] == 2
    assert row_of_key(store, "a/1", ["price"]) == {"price": 1}


def test_a_quote_in_a_key_is_only_a_quote(store: Store) -> None:
    tricky = "a/it's 100%_'; DROP"
    store.write_rows([row(tricky), row("a/other")])
    store.mark_missing([tricky], WHEN)
    assert keys(store) == {"a/other"}
    assert row_of_key(store, tricky, ["key"]) == {"key": tricky}


def test_one_writer_at_a_time(store: Store) -> None:
    lock = filelock.FileLock(store.folder / "lock")
    with lock, pytest.raises(StoreLocked, match="another"), store.writing():
        pass
    with store.writing():
        pass


def test_a_writer_waits_for_another_one_as_long_as_it_may(store: Store) -> None:
    lock = filelock.FileLock(store.folder / "lock")
    lines: list[str] = []
    with (
        lock,
        pytest.raises(StoreLocked, match="`lock_timeout`"),
        store.writing(timeout=0.2, on_wait=lines.append),
    ):
        pass
    assert len(lines) == 1
    assert "another process is writing" in lines[0]
    lock.acquire()

    def release(line: str) -> None:
        lock.release()

    with store.writing(timeout=60, on_wait=release):
        store.write_rows([row("a/1")])
    assert len(store) == 1


def test_a_reader_stays_at_its_version(store: Store) -> None:
    store.write_rows([row("a/1")])
    reader = Store.open(store.folder)
    store.write_rows([row("a/2")])
    assert len(reader) == 1
    assert len(Store.open(store.folder)) == 2


def test_failures_are_kept_by_key_and_forgotten(store: Store) -> None:
    failure = {"key": "a/x", "source": "a", "uri": "", "stage": "decode", "reason": "torn",
               "_size": 1, "_mtime": 2, "_ctime": 3, "seen": WHEN}  # fmt: skip
    store.record_failures([failure])
    store.record_failures([{**failure, "reason": "still torn"}])
    assert [f["reason"] for f in store.failures()] == ["still torn"]
    store.forget_failures(["a/x"])
    assert store.failures() == []


def test_the_manifest_comes_back(tmp_path: Path) -> None:
    manifest = Manifest("tiny", SPACE).with_source(SourceEntry("a", "/a", {"include": ["*.png"]}))
    write_manifest(manifest, tmp_path)
    assert read_manifest(tmp_path) == manifest
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.json"]


def test_no_store_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(StoreNotFound, match=r"catalog\.index\(FOLDER\)"):
        Store.open(tmp_path)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"format": 99}', '{"format": 1}'])
def test_a_damaged_manifest_is_told(tmp_path: Path, content: str) -> None:
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(CorruptIndex):
        Store.open(tmp_path)


def test_a_store_without_its_table_is_told(store: Store) -> None:
    table = store.folder / "lance" / "items.lance"
    table.rename(store.folder / "gone")
    with pytest.raises(CorruptIndex, match="table cannot be opened"):
        Store.open(store.folder)


def test_the_manifest_says_what_it_is(store: Store) -> None:
    content = json.loads((store.folder / "manifest.json").read_text())
    assert content["format"] == FORMAT
    assert content["space"]["dim"] == DIM
