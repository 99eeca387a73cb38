"""Indexes on the table: which columns get which, and that they change no answer."""

from pathlib import Path

import pyarrow as pa
import pytest

from mmsearch.records import Scalar
from mmsearch.store.lance import Store
from mmsearch.store.lookups import keep_up_indexes, word_columns
from tests.shelves import Item, Shelf, products

ITEMS = products(130)
FILTERS = (
    "n = 7", "price < 50", "brand = 'acme'", "sku = 'sku-9'", "sold AND n > 90",
    "brand IN ('acme', 'zeta') AND price BETWEEN 3 AND 80", "sku LIKE 'sku-1%'", "brand IS NULL",
)  # fmt: skip


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    shelf = Shelf(tmp_path / "store")
    shelf.write([priced(number) for number in range(120)])
    return shelf


def priced(number: int) -> Item:
    item = ITEMS[number]
    brand = ("acme", "zeta", None)[number % 3]
    values: dict[str, Scalar] = {
        "n": number, "price": number * 1.5, "brand": brand, "sku": f"sku-{number}",
        "sold": number % 2 == 0,
    }  # fmt: skip
    return Item(item.key, item.image, item.text, item.words, values)


def keep_up(shelf: Shelf) -> dict[tuple[str, bool], str]:
    """Brings the indexes up to date; their kinds by column and whether they hold words."""
    store = shelf.store
    with store.writing():
        keep_up_indexes(store._items, store.metadata_columns, scalar_rows=100)
    present = store._items.list_indices()
    return {(i.columns[0], i.index_type == "FTS"): str(i.index_type) for i in present}


def answers(shelf: Shelf) -> list[set[int]]:
    store = Store.open(shelf.store.folder)
    return [set(store.uids(where).tolist()) for where in FILTERS]


def test_filters_give_the_same_with_indexes_and_with_rows_that_these_lack(shelf: Shelf) -> None:
    before = answers(shelf)
    assert all(before)
    kinds = keep_up(shelf)
    assert {name: kind for (name, words), kind in kinds.items() if not words} == {
        "_uid": "BTree", "key": "BTree", "n": "BTree", "price": "BTree", "sku": "Bitmap",
        "brand": "Bitmap", "sold": "Bitmap", "source": "Bitmap",
    }  # fmt: skip
    assert answers(shelf) == before
    shelf.write([priced(number) for number in range(120, 130)])
    fresh = Store.open(shelf.store.folder)
    assert len(fresh.uids("sku LIKE 'sku-12%'")) == 11
    assert len(fresh.uids("brand = 'acme'")) == 44


def test_small_tables_get_word_indexes_alone(shelf: Shelf) -> None:
    with shelf.store.writing():
        shelf.store.tidy()
    present = shelf.store._items.list_indices()
    assert {i.columns[0] for i in present} == {"key", "text", "brand", "sku"}
    assert {str(i.index_type) for i in present} == {"FTS"}


def test_rows_that_word_indexes_lack_are_taken_in(shelf: Shelf) -> None:
    keep_up(shelf)
    # More than the rows that may be left out of an index.
    items = products(2100)
    shelf.write([Item(f"more/{i}", item.image, None, "zeppelin") for i, item in enumerate(items)])
    assert shelf.store._items.index_stats("text_words").num_unindexed_rows == 2100
    keep_up(shelf)
    assert shelf.store._items.index_stats("text_words").num_unindexed_rows == 0
    assert len(Store.open(shelf.store.folder).keyword_matches("zeppelins", 3000, None)[1]) == 2100


def test_columns_that_name_things_hold_words() -> None:
    text, number = pa.string(), pa.int64()
    metadata = {
        "title": text, "brand_name": text, "tags": text, "model": text, "stock_code": text,
        "colour": text, "subtitled": text, "product_category": text, "ean": number,
    }  # fmt: skip
    assert word_columns(metadata) == [
        "key", "text", "title", "brand_name", "tags", "model", "stock_code", "product_category",
    ]  # fmt: skip
