"""Filters give the same items with and without LanceDB, whatever the columns hold."""

import math
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmsearch.errors import BadFilter
from mmsearch.generations import live_generation
from mmsearch.records import Value
from mmsearch.store import Store
from mmsearch.store.filters.snapshot_filter import matching
from tests.support.vector_stores import ItemRow, StoreBuilder, two_cones

IMAGES, _ = two_cones(40)
TEXTS = (
    "", "a", "A", "ab", "Äb", "a%b", "a_b", "it's", "10%", "b\nc", "zürich", "straße", "1/2/2024",
)  # fmt: skip
NUMBERS = (0.0, -0.0, 0.1, 1.0, 2.5, -3.0, 1e300, math.inf)
WHOLES = (0, 1, 2, -7, 10**15)
START = datetime(2024, 2, 28, 22, 30, tzinfo=UTC)

# A literal for each column, of the same kind or of one that the compiler converts.
LITERALS = {
    "word": ("'a'", "'ab'", "'zürich'", "'it''s'", "''"),
    "number": ("0", "0.1", "2.5", "-3", "1e300", "1"),
    "whole": ("0", "1", "-7", "2.5", "1000000000000000"),
    "flag": ("true", "false"),
    "moment": ("'2024-02-29'", "'2024-03'", "'2024'", "'2024-02-29 12:00'"),
}
PATTERNS = ("'a%'", "'%b'", "'_b'", "'a_b'", "'%'", "''", "'%Ü%'", "'A%'", "'%\\%%'")
COLUMNS = st.sampled_from(sorted(LITERALS))


@st.composite
def conditions(draw: st.DrawFn) -> str:
    column = draw(COLUMNS)
    literal = st.sampled_from(LITERALS[column])
    kind = draw(st.sampled_from(("compare", "compare", "in", "null", "between", "like", "flag")))
    negated = draw(st.sampled_from(("", "NOT ")))
    if kind == "in":
        return f"{column} {negated}IN ({draw(literal)}, {draw(literal)})"
    if kind == "null":
        return f"{column} IS {negated}NULL"
    if kind == "between" and column != "flag":
        return f"{column} {negated}BETWEEN {draw(literal)} AND {draw(literal)}"
    if kind == "like":
        like = draw(st.sampled_from(("LIKE", "ILIKE")))
        return f"word {negated}{like} {draw(st.sampled_from(PATTERNS))}"
    if kind == "flag":
        return f"{negated}flag"
    comparison = draw(st.sampled_from(("=", "<>", "!=", "<", "<=", ">", ">=")))
    return f"{column} {comparison} {draw(literal)}"


FILTERS = st.recursive(
    conditions(),
    lambda inner: st.one_of(
        inner.map(lambda part: f"NOT ({part})"),
        st.tuples(inner, st.sampled_from(("AND", "OR")), inner).map(
            lambda parts: f"({parts[0]}) {parts[1]} ({parts[2]})"
        ),
    ),
    max_leaves=4,
)


def item(number: int) -> ItemRow:
    metadata: dict[str, Value] = {
        "word": TEXTS[number % len(TEXTS)],
        "number": NUMBERS[number % len(NUMBERS)],
        "whole": WHOLES[number % len(WHOLES)],
        "flag": number % 2 == 0,
        "moment": START + timedelta(minutes=47 * number),
    }
    absent = list(metadata)[number % (len(metadata) + 3) :][:1]
    kept = {name: None if name in absent else value for name, value in metadata.items()}
    return ItemRow(f"shop/{number}", IMAGES[number], metadata=kept)


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, Store]:
    """The same store through its snapshot, and through LanceDB alone."""
    builder = StoreBuilder(tmp_path_factory.mktemp("filters") / "store")
    builder.write([item(number) for number in range(40)])
    builder.build()
    live = live_generation(builder.store.folder)
    assert live is not None
    quick = Store.open(builder.store.folder, snapshot=live.snapshot())
    return quick, Store.open(builder.store.folder)


@given(where=FILTERS)
@settings(max_examples=300, deadline=None)
def test_filters_match_the_same_items_as_in_lancedb(
    stores: tuple[Store, Store], where: str
) -> None:
    quick, lance = stores
    try:
        expected = sorted(lance.uids(where).tolist())
    except BadFilter:
        with pytest.raises(BadFilter):
            quick.uids(where)
        return
    assert sorted(quick.uids(where).tolist()) == expected


@pytest.mark.parametrize(
    "where",
    [
        "number < 2",
        "whole >= 2.5 OR word = 'a'",
        "NOT (word LIKE 'a%' AND flag)",
        "moment < '2024-03' AND word IN ('a', 'ab')",
        "word IS NOT NULL AND flag = false",
        "number BETWEEN 0 AND 3",
    ],
)
def test_usual_filters_do_without_lancedb(stores: tuple[Store, Store], where: str) -> None:
    quick, _ = stores
    sql = quick.sql_of(where)
    assert sql is not None
    assert matching(sql, quick._snapshot.rows) is not None  # type: ignore[union-attr]


@pytest.mark.parametrize("sql", ["(lower(`a`) = 'x')", "((`n` + 1) > 2)", "(`f` > 1)"])
def test_other_filters_are_left_to_lancedb(sql: str) -> None:
    rows = pa.table({"a": ["x"], "n": [1], "f": [math.nan]})
    assert matching(sql, rows) is None
