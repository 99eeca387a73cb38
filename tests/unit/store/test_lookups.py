"""Indexes on the table: which columns get which, and that they change no answer."""

from pathlib import Path

import pyarrow as pa
import pytest

from mmsearch.records import Scalar
from mmsearch.store import Store
from mmsearch.store.lookups import keep_up_indexes, word_columns
from tests.support.vector_stores import ItemRow, StoreBuilder, item_rows

ITEMS = item_rows(130)
FILTERS = (
    "n = 7", "price < 50", "brand = 'acme'", "sku = 'sku-9'", "sold AND n > 90",
    "brand IN ('acme', 'zeta') AND price BETWEEN 3 AND 80", "sku LIKE 'sku-1%'", "brand IS NULL",
)  # fmt: skip


@pytest.fixture
def builder(tmp_path: Path) -> StoreBuilder:
    builder = StoreBuilder(tmp_path / "store")
    builder.write([priced(number) for number in range(120)])
    return builder


def priced(number: int) -> ItemRow:
    item = ITEMS[number]
    brand = ("acme", "zeta", None)[number % 3]
    values: dict[str, Scalar] = {
        "n": number, "price": number * 1.5, "brand": brand, "sku": f"sku-{number}",
        "sold": number % 2 == 0,
    }  # fmt: skip
    return ItemRow(item.key, item.image, item.text, item.words, values)


def keep_up(builder: StoreBuilder) -> dict[tuple[str, bool], str]:
    """Brings the indexes up to date; their kinds by column and whether they hold words."""
    store = builder.store
    with store.writing():
        keep_up_indexes(store._items, store.metadata_columns, scalar_rows=100)
    present = store._items.list_indices()
    return {(i.columns[0], i.index_type == "FTS"): str(i.index_type) for i in present}


def answers(builder: StoreBuilder) -> list[set[int]]:
    store = Store.open(builder.store.folder)
    return [set(store.uids(where).tolist()) for where in FILTERS]


def test_filters_give_the_same_with_indexes_and_with_rows_that_these_lack(
    builder: StoreBuilder,
) -> None:
    before = answers(builder)
    assert all(before)
    kinds = keep_up(builder)
    assert {name: kind for (name, words), kind in kinds.items() if not words} == {
        "_uid": "BTree", "key": "BTree", "n": "BTree", "price": "BTree", "sku": "Bitmap",
        "brand": "Bitmap", "sold": "Bitmap", "source": "Bitmap",
    }  # fmt: skip
    assert answers(builder) == before
    builder.write([priced(number) for number in range(120, 130)])
    fresh = Store.open(builder.store.folder)
    assert len(fresh.uids("sku LIKE 'sku-12%'")) == 11
    assert len(fresh.uids("brand = 'acme'")) == 44


def test_small_tables_get_word_indexes_alone(builder: StoreBuilder) -> None:
    with builder.store.writing():
        builder.store.tidy()
    present = builder.store._items.list_indices()
    assert {i.columns[0] for i in present} == {"key", "text", "brand", "sku", "_words"}
    assert {str(i.index_type) for i in present} == {"FTS"}


def test_rows_that_word_indexes_lack_are_taken_in(builder: StoreBuilder) -> None:
    keep_up(builder)
    # More than the rows that may be left out of an index.
    items = item_rows(2100)
    builder.write(
        [ItemRow(f"more/{i}", item.image, None, "zeppelin") for i, item in enumerate(items)]
    )
    assert builder.store._items.index_stats("text_words").num_unindexed_rows == 2100
    keep_up(builder)
    assert builder.store._items.index_stats("text_words").num_unindexed_rows == 0
    assert len(Store.open(builder.store.folder).keyword_matches("zeppelins", 3000, None)[1]) == 2100


def test_columns_that_name_things_hold_words() -> None:
    text, number = pa.string(), pa.int64()
    metadata = {
        "title": text, "brand_name": text, "tags": text, "model": text, "stock_code": text,
        "colour": text, "subtitled": text, "product_category": text, "ean": number,
    }  # fmt: skip
    assert word_columns(metadata) == [
        "key", "text", "title", "brand_name", "tags", "model", "stock_code", "product_category",
    ]  # fmt: skip
