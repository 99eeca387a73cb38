"""Columns of lists, such as tags: stored, filtered, searched, and widened to texts."""

from pathlib import Path
from typing import Any

import pytest

from mmsearch.errors import BadFilter
from mmsearch.store import Store
from mmsearch.store.rows import LIST
from tests.support.vector_stores import ItemRow, StoreBuilder

ROWS: list[dict[str, Any]] = [
    {"tags": ["Sweet", "red, fresh"], "order": 1},
    {"tags": ["sweet potato"], "order": 2},
    {"tags": None, "order": 3},
]


def builder_with(folder: Path, rows: list[dict[str, Any]]) -> StoreBuilder:
    builder = StoreBuilder(folder / "store")
    builder.write([ItemRow(f"shop/{row['order']}", metadata=row) for row in rows])
    return builder


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return builder_with(tmp_path_factory.mktemp("lists"), ROWS).store


def orders(store: Store, where: str) -> set[int]:
    uids = store.uids(where).tolist()
    return set(store.rows(uids, ["order"]).column("order").to_pylist())


def test_a_list_is_stored_as_a_list(store: Store) -> None:
    assert store.metadata_columns["tags"] == LIST
    (row,) = store.rows_of_keys(["shop/1"], store.public_columns)
    assert store.public_record(row)["tags"] == ["Sweet", "red, fresh"]


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ("has(tags, 'sweet')", {1}),
        ("has(Tags, 'Red, Fresh')", {1}),
        ("has(tags, 'red')", set()),
        ("has(tags, 'sweet potato')", {2}),
        ("NOT has(tags, 'sweet')", {2, 3}),
        ("array_has(tags, 'Sweet')", {1}),
        ("array_length(tags) = 2", {1}),
        ("tags IS NULL", {3}),
    ],
)
def test_filters_look_into_lists(store: Store, where: str, found: set[int]) -> None:
    assert orders(store, where) == found


@pytest.mark.parametrize(
    "where", ["tags = 'sweet'", "tags IN ('sweet')", "tags LIKE '%sweet%'", "'sweet' = tags"]
)
def test_comparing_a_list_names_has(store: Store, where: str) -> None:
    with pytest.raises(BadFilter, match=r"tags is a list, such as .*; write has\(tags, 'sweet'\)"):
        store.uids(where)


def test_keywords_are_found_in_lists(tmp_path: Path) -> None:
    builder = builder_with(tmp_path, ROWS)
    with builder.store.writing():
        builder.store.tidy()
    _, uids = builder.store.keyword_matches("potatoes", 10, None)
    assert builder.store.rows(uids.tolist(), ["key"]).column("key").to_pylist() == ["shop/2"]


def test_a_column_of_texts_takes_lists_as_texts(tmp_path: Path) -> None:
    builder = builder_with(tmp_path, [{"tags": "sweet", "order": 1}])
    builder.write([ItemRow("shop/2", metadata={"tags": ["sweet", "red"], "order": 2})])
    assert tags(builder.store) == {"shop/1": "sweet", "shop/2": "sweet; red"}
    assert orders(builder.store, "has(tags, 'sweet')") == {1, 2}


def test_a_column_of_lists_becomes_one_of_texts_for_a_text(tmp_path: Path) -> None:
    builder = builder_with(tmp_path, ROWS)
    builder.write([ItemRow("shop/4", metadata={"tags": "sour", "order": 4})])
    assert tags(builder.store) == {
        "shop/1": "Sweet; red, fresh",
        "shop/2": "sweet potato",
        "shop/3": None,
        "shop/4": "sour",
    }


def tags(store: Store) -> dict[str, Any]:
    table = store.scan(["key", "tags"])
    return dict(zip(*(table.column(name).to_pylist() for name in ("key", "tags")), strict=True))
