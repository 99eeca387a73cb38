"""Filters as people type them, on a real store: names, dates, lists, types, and nothing else."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmsearch.errors import BadFilter
from mmsearch.store import Store
from mmsearch.store.filters.columns import column_named
from mmsearch.store.filters.compiler import FilterCompiler
from mmsearch.store.filters.syntax import conditions
from tests.support.vector_stores import ItemRow, StoreBuilder


def day(year: int, month: int, day: int, hour: int = 0) -> datetime:
    return datetime(year, month, day, hour, tzinfo=UTC)


ROWS: list[dict[str, Any]] = [
    {"title": "Golden apple", "brand": "Acme", "price_eur": 3.49, "stock": 4, "sale": True,
     "added": day(2024, 12, 31, 18), "seen": "12/31/2024", "tags": "fruit, Sweet",
     "shelf": "31.12.2024", "order": 1},
    {"title": "Banana 100%", "brand": "O'Hara", "price_eur": 1.99, "stock": 12, "sale": False,
     "added": day(2025, 2, 1, 10), "seen": "2/1/2025", "tags": "fruit; tropical fruit",
     "shelf": "01.02.2025", "order": 2},
    {"title": "Milk", "brand": "acme", "price_eur": 1.2, "stock": 0, "sale": True,
     "added": day(2025, 3, 5), "seen": "3/5/2025", "tags": "dairy|fresh", "shelf": "05.03.2025",
     "order": 3},
    {"title": "Pear", "brand": None, "price_eur": None, "stock": 7, "sale": None, "added": None,
     "seen": None, "tags": None, "shelf": None, "order": 4},
]  # fmt: skip


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    builder = StoreBuilder(tmp_path_factory.mktemp("filters") / "store")
    builder.write([ItemRow(f"shop/{i}", metadata=row) for i, row in enumerate(ROWS)])
    return builder.store


def orders(store: Store, where: str) -> set[int]:
    uids = store.uids(where).tolist()
    return set(store.rows(uids, ["order"]).column("order").to_pylist())


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ("brand ILIKE 'ACME'", {1, 3}),
        ("brand NOT ILIKE 'acme'", {2}),
        ("title LIKE '%100%'", {2}),
        ("Brand IN ('Acme', 'O''Hara')", {1, 2}),
        ("brand NOT IN ('Acme')", {2, 3}),
        ("brand IS NULL", {4}),
        ("brand IS NOT NULL AND stock > 3", {1, 2}),
        ("price_eur BETWEEN 1.2 AND 2", {2, 3}),
        ("stock NOT BETWEEN 1 AND 7", {2, 3}),
        ('"Price EUR" < 2', {2, 3}),
        ("`price eur` < 2", {2, 3}),
        ('"PRICE-EUR" < 2', {2, 3}),
        ("2 > price_eur", {2, 3}),
        ("stock < 4.5", {1, 3}),
        ("stock IN (4, 7.0)", {1, 4}),
        ("price_eur < '2'", {2, 3}),
        ("stock = -1 OR stock = +4", {1}),
        ("order < 3", {1, 2}),
        ("sale", {1, 3}),
        ("NOT sale", {2}),
        ("sale = 'yes'", {1, 3}),
        ("lower(brand) = 'acme' -- both", {1, 3}),
        ("year(added) = 2025 AND extract(month from added) = 2", {2}),
        ("trim(title) = 'Milk'", {3}),
        ("cast(stock AS text) = '12'", {2}),
        ("(stock = 4 OR stock = 12) AND NOT (sale = true)", {2}),
    ],
)
def test_operators_names_and_literals(store: Store, where: str, found: set[int]) -> None:
    assert orders(store, where) == found


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ("added > '2025-01-01'", {2, 3}),
        ("added = '2024-12-31'", {1}),
        ("added <> '2024-12-31'", {2, 3}),
        ("added <= '31.12.2024'", {1}),
        ("added > '2024-12-31'", {2, 3}),
        ("added BETWEEN '2024-12-31' AND '2025-02-01'", {1, 2}),
        ("added NOT BETWEEN '2024-12-31' AND '2025-02-01'", {3}),
        ("added >= '2025-02'", {2, 3}),
        ("added = 2025", {2, 3}),
        ("added = '12/31/2024'", {1}),
        ("added < 'Feb 1, 2025'", {1}),
        ("added > '1 Feb 2025'", {3}),
        ("added IN ('2025-02-01', '2025-03-05')", {2, 3}),
        ("added = '2025-02-01T12:00:00+02:00'", {2}),
        ("added > '2025-02-01 09:59'", {2, 3}),
        ("added > timestamp '2024-12-31 00:00:00'", {1, 2, 3}),
        ("added < date '2025-01-01'", {1}),
        ("added < now()", {1, 2, 3}),
        ("seen > '01/01/2025'", {2, 3}),
        ("seen <= '12/31/2024'", {1}),
        ("seen = '2025-02-01'", {2}),
        ("seen BETWEEN '1/1/2025' AND '2/28/2025'", {2}),
        ("shelf > '31.12.2024'", {2, 3}),
        ("shelf >= '2025-03'", {3}),
    ],
)
def test_dates_in_their_own_writing(store: Store, where: str, found: set[int]) -> None:
    assert orders(store, where) == found


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ("has(tags, 'sweet')", {1}),
        ("has(Tags, 'Fruit')", {1, 2}),
        ("has(tags, 'tropical fruit')", {2}),
        ("has(tags, 'fruit, sweet')", {1}),
        ("has(tags, 'tropical')", set()),
        ("has(tags, 'fresh') OR NOT sale", {2, 3}),
    ],
)
def test_values_of_a_list(store: Store, where: str, found: set[int]) -> None:
    assert orders(store, where) == found


@pytest.mark.parametrize(
    ("where", "says"),
    [
        ("price_eur < 'cheap'", '"cheap" is not a number; price_eur is a number, such as 3.49 and'),
        ("stock = 'few'", r"stock is a whole number, such as \d+ and \d+"),
        ("added > 'yesterday'", "added is a date, such as '2024-12-31 18:00:00' and '2025"),
        ("added > '01/02/2025'", "2025-02-01 or 2025-01-02; write one of these"),
        ("brand = 5", "brand is a text, such as 'Acme' and"),
        ("sale = 'perhaps'", "not a true or false"),
        ("stock LIKE '1%'", "stock is a whole number.*LIKE is for texts"),
        ("prise_eur < 5", "did you mean price_eur?"),
        ("brand = Acme", "a text stands in single quotes: 'Acme'"),
        ("brand LIKE Acme", "a text stands in single quotes: 'Acme'"),
        ("Price EUR < 5", "the column is called price_eur"),
        ("price-eur < 5", "the column is called price_eur"),
        ("price_eur < 0,5", "a decimal number has a point, as in 0.5"),
        ("price_eur < '0,5'", "a decimal number has a point, as in 0.5"),
        ("price_eur < $5", r"without \$"),
        ("price_eur < 5€", "without €"),
        ("stock > 1 && sale", "unknown operator &&; use AND"),
        ("title = 'it's'", "one inside a text is doubled"),
        ("title", "write a condition"),
        ("stock AND sale", "write a condition"),
        ("has(stock, '4')", "has is for lists"),
        ("brand IN ()", "list after IN is empty"),
    ],
)
def test_a_fault_says_what_to_write(store: Store, where: str, says: str) -> None:
    with pytest.raises(BadFilter, match=says) as caught:
        store.uids(where)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "where",
    [
        "stock IN (SELECT 1)",
        "1 = 1; DROP TABLE items",
        "_missing IS NOT NULL",
        "`_uid` = 1",
        "items.stock = 4",
        "exists(select 1)",
        "random() < 1",
        "stock = ?",
        "stock = @x",
        "CASE WHEN sale THEN 1 END = 1",
        "has(tags, 'a') UNION SELECT 1",
        "cast(title AS struct<a int>) = 1",
        "(" * 60 + "stock = 1" + ")" * 60,
        "NOT " * 60 + "sale",
        "stock" + " + 1" * 2000 + " = 1",
        "title = '" + "x" * 300_000 + "'",
    ],
)
def test_only_expressions_over_columns_get_through(store: Store, where: str) -> None:
    with pytest.raises(BadFilter):
        store.uids(where)


def test_long_lists_and_chains_are_filters(store: Store) -> None:
    assert orders(store, f"stock IN ({', '.join(map(str, range(5000)))})") == {1, 2, 3, 4}
    assert orders(store, " OR ".join(f"stock = {n}" for n in range(5, 800))) == {2, 4}


def test_the_rows_that_each_condition_leaves(store: Store) -> None:
    where = "stock BETWEEN 1 AND 9 AND (sale OR stock = 7) and brand = 'acme'"
    assert store.matching_counts(where) == [
        ("stock BETWEEN 1 AND 9", 2),
        ("(sale OR stock = 7)", 3),
        ("brand = 'acme'", 1),
    ]
    assert conditions("a = 1 OR b = 2 AND c = 3", ()) == ["a = 1 OR b = 2 AND c = 3"]


def test_a_heading_that_two_columns_share_is_not_guessed() -> None:
    assert column_named("a b", ["a-b", "a.b"]) is None
    assert column_named("Année", ["année", "price"]) == "année"
    assert column_named("weight-kg", ["weight_kg"]) == "weight_kg"
    assert column_named("text", ["meta_text"]) == "meta_text"


COLUMNS = {
    "title": pa.string(), "stock": pa.int64(), "price": pa.float64(), "sale": pa.bool_(),
    "added": pa.timestamp("us", "UTC"), "tags": pa.list_(pa.string()),
}  # fmt: skip
WORDS = st.sampled_from(
    [*COLUMNS, "AND", "OR", "NOT", "(", ")", "=", "<", ">=", "LIKE", "ILIKE", "IN", "BETWEEN", "IS",
     "NULL", "'a'", "'2025-01-01'", "5", "-2.5", ",", "has", "lower", ";", "--", "/*", '"', "`",
     "CASE", "SELECT", "::", "[", "]", "timestamp", "interval", "date", "cast", "TRUE", "||"]
)  # fmt: skip


def no_values(_column: str, _most: int | None) -> Sequence[Any]:
    return []


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(max_size=60), st.lists(WORDS, max_size=14).map(" ".join)))
def test_any_text_is_a_filter_or_a_bad_filter(where: str) -> None:
    compiler = FilterCompiler(COLUMNS, no_values)
    with suppress(BadFilter):
        sql = compiler.compile(where)
        assert sql.count("(") == sql.count(")") or "'" in sql
        assert "".join(conditions(where, COLUMNS))


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet=st.characters(exclude_categories=("Cs", "Cc")), max_size=20))
def test_a_text_in_quotes_is_only_a_text(text: str) -> None:
    literal = text.replace("'", "''")
    sql = FilterCompiler(COLUMNS, no_values).compile(f"title <> '{literal}'")
    assert sql == f"(`title` <> '{literal}')"
