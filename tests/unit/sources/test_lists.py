"""Columns of several values a cell become lists; those that only have commas stay texts."""

import json
from itertools import combinations
from pathlib import Path

import pytest

from mmsearch.records import Record
from mmsearch.sources.lists import find_separator, split_list
from mmsearch.sources.options import SourceOptions
from mmsearch.sources.table import TableSource
from mmsearch.sources.values import Kind

FLAVOURS = ["sweet", "red", "green", "fresh", "sour"]
PAIRS = [f"{one}, {two}" for one, two in combinations(FLAVOURS, 2)]


def values(path: Path, content: str, column: str) -> list[object]:
    path.write_text(content, encoding="utf-8")
    source = TableSource(path, name="shop", options=SourceOptions())
    return [item.metadata[column] for item in source if isinstance(item, Record)]


@pytest.mark.parametrize("separator", [";", "|", ", ", " ; "])
def test_tags_are_lists(tmp_path: Path, separator: str) -> None:
    cells = [["Sweet", "red"], ["red"], [], ["green", "sweet", "dry"]]
    rows = "".join(f'{n},a title,"{separator.join(cell)}"\n' for n, cell in enumerate(cells))
    found = values(tmp_path / "t.csv", f"id,title,Tags\n{rows}", "tags")
    assert found == [["Sweet", "red"], ["red"], None, ["green", "sweet", "dry"]]


def test_lists_of_json_are_lists(tmp_path: Path) -> None:
    cells = [["sweet", "red, fresh"], [], ["7", 8], "alone", None]
    lines = "\n".join(json.dumps({"title": "a title", "tags": cell}) for cell in cells)
    found = values(tmp_path / "t.jsonl", lines, "tags")
    assert found == [["sweet", "red, fresh"], None, ["7", "8"], ["alone"], None]


@pytest.mark.parametrize(
    ("column", "cells", "separator"),
    [
        ("flavour", PAIRS * 3, ","),
        ("flavour", PAIRS, None),  # too few to tell
        ("tags", PAIRS, ","),
        ("tags", ["sweet, red", "dry, green"], None),  # nothing repeats
        ("tags", ["a, b | c", "c"], "|"),
        ("town", ["Berlin, Germany", "Hamburg, Germany", "Paris, France"] * 10, None),
        ("brand", ["Acme, Inc.", "Globex, Inc.", "Initech, Ltd."] * 10, None),
        ("category", ["Home, Garden & Tools", "Food"] * 20, None),
        ("tags", [f"{'very ' * 15}long, {n % 2}" for n in range(30)], None),
        ("tags", [], None),
        ("tags", [None, "", "one"], None),
        ("tags", [None, ["one"]], ""),
    ],
)
def test_separators(column: str, cells: list[object], separator: str | None) -> None:
    assert find_separator(column, cells) == separator


def test_values_are_distinct_and_in_order() -> None:
    assert split_list(" red;;sweet; red ", ";") == ["red", "sweet"]
    assert split_list([1, None, "a", {"b": 1}, True], "") == ["1", "a", "true"]
    assert split_list(" ; ", ";") is None
    assert split_list(None, ";") is None


def test_a_column_of_ids_is_no_list(tmp_path: Path) -> None:
    rows = "".join(f"a|{n % 3}|{n},a title\n" for n in range(30))
    found = values(tmp_path / "t.csv", f"tags_id,title\n{rows}", "tags_id")
    assert found[:2] == ["a|0|0", "a|1|1"]


def test_a_note_names_the_lists(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("title,Tags\none,red;sweet\ntwo,red\n", encoding="utf-8")
    source = TableSource(path, name="shop", options=SourceOptions())
    assert "t.csv: lists: tags; in filters has(tags, 'value')" in source.notes
    assert source.columns.kinds["Tags"] is Kind.LIST
