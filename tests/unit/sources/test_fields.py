"""Names that filters can use, and texts joined as a person would."""

import re
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmsearch.records import printable_path, real_path
from mmsearch.sources.fields import (
    RESERVED_NAMES,
    SQL_WORDS,
    join_texts,
    safe_column_name,
    with_stored_names,
)


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("Price (EUR)", "price_eur"),
        ("price", "price"),
        ("2024 sales", "meta_2024_sales"),
        ("text", "meta_text"),
        ("KEY", "meta_key"),
        ("_uid", "uid"),
        ("null", "meta_null"),
        ("größe", "größe"),
        ("価格", "価格"),
        ("???", "column"),
        ("", "column"),
    ],
)
def test_safe_column_name(name: str, safe: str) -> None:
    assert safe_column_name(name, []) == safe


@pytest.mark.parametrize(
    ("where", "stored"),
    [
        ('"Price EUR" < 5', "price_eur < 5"),
        ("`Price EUR` < 5 AND `text` = 'a'", "price_eur < 5 AND `text` = 'a'"),
        ("brand = '\"Price EUR\"'", "brand = '\"Price EUR\"'"),
        ('brand = "Acme"', 'brand = "Acme"'),
        ('"Text" IS NULL', "meta_text IS NULL"),
    ],
)
def test_a_column_is_understood_by_its_own_heading(where: str, stored: str) -> None:
    assert with_stored_names(where, ["price_eur", "brand", "text", "meta_text"]) == stored


def test_names_that_collide_are_numbered() -> None:
    assert safe_column_name("Price!", ["price", "price_2"]) == "price_3"


def test_safe_names_work_unquoted_in_a_real_filter(tmp_path: Path) -> None:
    import lancedb

    headers = [*SQL_WORDS, *RESERVED_NAMES, "Order", "group", "select", "Größe (cm)", "価格", "24h"]
    names: list[str] = []
    for header in headers:
        names.append(safe_column_name(header, names))
    rows = pa.table({name: pa.array([1, 2]) for name in names})
    table = lancedb.connect(tmp_path).create_table("t", rows)
    for name in names:
        assert table.count_rows(f"{name} = 1 AND {name} < 5") == 1


@given(st.lists(st.text(max_size=12), max_size=8))
def test_safe_names_are_distinct_lower_case_words(names: list[str]) -> None:
    taken: list[str] = []
    for name in names:
        safe = safe_column_name(name, taken)
        assert safe not in taken
        assert safe not in RESERVED_NAMES | SQL_WORDS
        assert re.fullmatch(r"[^\W\d_]\w*", safe)
        taken.append(safe)


@given(st.binary(min_size=1, max_size=20).filter(lambda b: b"\0" not in b and b"\\" not in b))
def test_any_file_name_comes_back_from_its_printable_form(name: bytes) -> None:
    path = Path(name.decode("utf-8", "surrogateescape"))
    assert real_path(printable_path(path)) == path


@pytest.mark.parametrize(
    ("texts", "joined"),
    [
        (["Red apple", "Fresh and crisp."], "Red apple. Fresh and crisp."),
        (["Ready?", "Yes"], "Ready? Yes"),
        (["same", "same"], "same"),
        ([" ", ""], None),
        (["", "only"], "only"),
        (["a \ud800"], "a \N{REPLACEMENT CHARACTER}"),
    ],
)
def test_join_texts(texts: list[str], joined: str | None) -> None:
    assert join_texts(texts) == joined
