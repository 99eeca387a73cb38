"""The kinds of columns, found by looking at all their cells, and what the user says of them."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from mmsearch.errors import InputError
from mmsearch.records import Record, Value
from mmsearch.sources import SourceOptions, TableSource


def read(file: Path, content: str, **options: tuple[str, ...]) -> TableSource:
    file.write_text(content, encoding="utf-8")
    return TableSource(file, name="t", options=SourceOptions(**options))  # type: ignore[arg-type]


def values(source: TableSource, column: str) -> list[Value]:
    return [item.metadata[column] for item in source if isinstance(item, Record)]


def column(folder: Path, cells: list[str], **options: tuple[str, ...]) -> TableSource:
    rows = "".join(f"thing {number}\t{cell}\n" for number, cell in enumerate(cells))
    return read(folder / "t.tsv", f"title\tvalue\n{rows}", **options)


@pytest.mark.parametrize(
    ("cells", "numbers", "currencies"),
    [
        (["3.49 EUR", "0.99 EUR", ""], [3.49, 0.99, None], ["EUR", "EUR", None]),
        (["$1,299.00", "$3.49"], [1299.0, 3.49], ["USD", "USD"]),
        (["€ 1.299,00", "€ 3,49", "2,00"], [1299.0, 3.49, 2.0], ["EUR", "EUR", None]),
        (["CHF 1'299.00", "12.50 Fr."], [1299.0, 12.5], ["CHF", "CHF"]),
        (["1\u00a0299,00 zł", "3,49 zł"], [1299.0, 3.49], ["PLN", "PLN"]),
        (["$1,299", "$2,500"], [1299.0, 2500.0], ["USD", "USD"]),
        (["£5", "£12"], [5, 12], ["GBP", "GBP"]),
        (["1.299,- €", "3,49 €"], [1299.0, 3.49], ["EUR", "EUR"]),
        (["-$5.50", "$2.00"], [-5.5, 2.0], ["USD", "USD"]),
    ],
)
def test_prices_are_a_number_and_a_currency(
    tmp_path: Path, cells: list[str], numbers: list[Value], currencies: list[Value]
) -> None:
    source = column(tmp_path, cells)
    assert values(source, "value") == numbers
    assert values(source, "value_currency") == currencies
    assert any("the currency is in 'value_currency'" in note for note in source.notes)


@pytest.mark.parametrize(
    "cells",
    [
        ["3 kg", "4 kg"],
        ["EUR", "USD"],
        ["M8 $", "M10 $"],
        ["3.49 EUR or 4.00 USD", "5"],
        ["+49 30 123456", "+49 30 123457"],
        ["1.2.3", "1.2.4"],
    ],
)
def test_other_units_and_codes_stay_texts(tmp_path: Path, cells: list[str]) -> None:
    source = column(tmp_path, cells)
    assert values(source, "value") == cells
    assert "value_currency" not in source.columns.metadata


def test_a_few_odd_cells_of_a_number_column_are_empty_and_told(tmp_path: Path) -> None:
    cells: list[str] = [f"{number}.5" for number in range(200)]
    cells[120] = "on request"
    source = column(tmp_path, cells)
    found = values(source, "value")
    assert found[119:122] == [119.5, None, 121.5]
    (note,) = [note for note in source.notes if "on request" in note]
    assert "'value': 'on request' (row 121 of t.tsv) left empty" in note
    assert "199 cells" in note
    assert "`columns=['value=text']`" in note
    kept = column(tmp_path, cells, columns=("value=text",))
    assert values(kept, "value")[119:122] == ["119.5", "on request", "121.5"]


@pytest.mark.parametrize(
    "odd",
    [["505A"], ["00123"], ["one", "two", "three", "four", "five"]],
    ids=["a code", "a leading zero", "too many"],
)
def test_cells_that_may_matter_keep_a_column_of_texts(tmp_path: Path, odd: list[str]) -> None:
    source = column(tmp_path, [*map(str, range(40)), *odd])
    assert values(source, "value")[-1] == odd[-1]


@pytest.mark.parametrize(
    "pair", ["Ja Nein", "oui non", "sí no", "da ne", "Y N", "TAK NIE", "yes no", "Wahr Falsch"]
)
def test_booleans_of_other_languages(tmp_path: Path, pair: str) -> None:
    yes, no = pair.split()
    assert values(column(tmp_path, [yes, no, "", yes]), "value") == [True, False, None, True]


@pytest.mark.parametrize(
    "cells", [["ja", "no"], ["ja", "nein", "vielleicht"], ["no", "no"], ["NO", "DA", "SE"]]
)
def test_words_that_are_not_one_pair_stay_texts(tmp_path: Path, cells: list[str]) -> None:
    assert values(column(tmp_path, cells), "value") == cells


@pytest.mark.parametrize(
    ("cells", "first", "last"),
    [
        (["31.12.2025", "01.02.2025"], (2025, 12, 31), (2025, 2, 1)),
        (["12/31/2024", "01/02/2025"], (2024, 12, 31), (2025, 1, 2)),
        (["31/12/2024", "01/02/2025"], (2024, 12, 31), (2025, 2, 1)),
        (["2024/12/31", "2025/1/2"], (2024, 12, 31), (2025, 1, 2)),
        (["31-12-2024 23:59", "2025-02-01"], (2024, 12, 31, 23, 59), (2025, 2, 1)),
        (["12/31/2024 11:59 PM", "1/2/2025 12:00 AM"], (2024, 12, 31, 23, 59), (2025, 1, 2)),
    ],
)
def test_dates_in_the_order_of_their_column(
    tmp_path: Path, cells: list[str], first: tuple[int, ...], last: tuple[int, ...]
) -> None:
    found = values(column(tmp_path, cells), "value")
    assert found == [datetime(*first, tzinfo=UTC), datetime(*last, tzinfo=UTC)]  # type: ignore[misc,arg-type]


def test_dates_of_an_unclear_order_say_which_was_taken(tmp_path: Path) -> None:
    source = column(tmp_path, ["01/02/2025", "03/04/2025"])
    assert values(source, "value")[0] == datetime(2025, 2, 1, tzinfo=UTC)
    (note,) = [note for note in source.notes if "the day is taken" in note]
    assert "`columns=['value=month-first']`" in note
    other = column(tmp_path, ["01/02/2025", "03/04/2025"], columns=("value=month-first",))
    assert values(other, "value")[0] == datetime(2025, 1, 2, tzinfo=UTC)


@pytest.mark.parametrize("cells", [["31/12/2024", "12/31/2024"], ["30.02.2025", "31.02.2025"]])
def test_dates_that_contradict_each_other_stay_texts(tmp_path: Path, cells: list[str]) -> None:
    assert values(column(tmp_path, cells), "value") == cells


def test_a_comma_is_what_it_is_in_the_other_columns(tmp_path: Path) -> None:
    source = read(tmp_path / "t.csv", "title;price;weight\nA;3,49;1,250\nB;12,99;2,500\n")
    assert values(source, "weight") == [1.25, 2.5]


def test_kinds_are_the_same_before_and_after_many_rows(tmp_path: Path) -> None:
    cells = [str(number) for number in range(3_000)]
    assert values(column(tmp_path, cells), "value") == list(range(3_000))
    cells[2_900] = "0.5"
    assert values(column(tmp_path, cells), "value")[2_899:2_901] == [2_899.0, 0.5]
    cells[2_950] = "00123"
    assert values(column(tmp_path, cells), "value")[2_950] == "00123"
    dates = [f"2024-{month:02}-{day:02}" for month in range(1, 13) for day in range(1, 29)] * 3
    dates[-1] = "2024-02-30"
    assert values(column(tmp_path, dates), "value")[-1] == "2024-02-30"


def test_html_is_read_as_its_text(tmp_path: Path) -> None:
    source = read(
        tmp_path / "t.csv",
        "id,title,description,note\n"
        '1,Milk,"<div class=""a""><p>White &amp; cold</p><p>from a cow</p></div>",a < b\n'
        '2,Salt,"<style>p {}</style><ul><li>grey<li>fine</ul>",<name>\n',
    )
    texts = [item.text for item in source if isinstance(item, Record)]
    assert texts == ["Milk. White & cold from a cow", "Salt. grey fine"]
    assert values(source, "note") == ["a < b", "<name>"]
    assert any("HTML is read as its text: 'description'" in note for note in source.notes)


@pytest.mark.parametrize("opening", ["<", "<script>", "<!--", "<p", "&lt;", "<![CDATA["])
def test_damaged_html_of_any_length_is_read(tmp_path: Path, opening: str) -> None:
    source = read(tmp_path / "t.csv", f"title,text\nA,<p>x</p>{opening * 20_000}\nB,<p>y</p>\n")
    assert [item.key for item in source if isinstance(item, Record)] == ["t/1", "t/2"]


def test_the_user_says_what_columns_are(tmp_path: Path) -> None:
    content = "title;code;price;extra;added\nA;12;1,250;x;5\nB;x;2,500;y;2024-01-02\n"
    source = read(
        tmp_path / "t.csv",
        content,
        columns=("code=number", "extra=skip", "added=date"),
        table=("decimal=.", "delimiter=semicolon"),
    )
    assert values(source, "code") == [12, None]
    assert values(source, "price") == [1250.0, 2500.0]
    assert values(source, "added") == [None, datetime(2024, 1, 2, tzinfo=UTC)]
    assert "extra" not in source.columns.metadata


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"columns": ("price",)}, "NAME=KIND"),
        ({"columns": ("price=nombre",)}, "number, text"),
        ({"columns": ("prise=number",)}, "no column 'prise'; there are 'title', 'value'"),
        ({"table": ("header=maybe",)}, "header=yes"),
        ({"table": ("encoding=latin-99",)}, "no encoding 'latin-99'"),
    ],
)
def test_wrong_options_are_refused(
    tmp_path: Path, options: dict[str, tuple[str, ...]], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        column(tmp_path, ["1"], **options)


def test_a_first_row_with_an_image_is_an_item(tmp_path: Path) -> None:
    source = read(tmp_path / "t.csv", "1,red apple,a.jpg\n2,green pear,b.jpg\n")
    assert source.row_count == 2
    assert any("first row looks like data" in note for note in source.notes)
    named = read(
        tmp_path / "u.csv",
        "1,red apple\n2,green pear\n",
        table=("header=no",),
        text_columns=("column 2",),
    )
    assert [item.text for item in named if isinstance(item, Record)] == ["red apple", "green pear"]


def test_a_list_may_be_named_and_ruled_out(tmp_path: Path) -> None:
    rows = "".join(f"n{number},red|{number}\n" for number in range(3))
    text = f"name,marks\n{rows}"
    assert values(read(tmp_path / "a.csv", text), "marks") == ["red|0", "red|1", "red|2"]
    named = read(tmp_path / "a.csv", text, columns=("marks=list",))
    assert values(named, "marks") == [["red", "0"], ["red", "1"], ["red", "2"]]
    tagged = text.replace("marks", "tags")
    assert values(read(tmp_path / "b.csv", tagged), "tags")[0] == ["red", "0"]
    ruled_out = read(tmp_path / "b.csv", tagged, columns=("tags=text",))
    assert values(ruled_out, "tags")[0] == "red|0"
