"""What stdout carries, byte for byte, and what must never reach a terminal or a spreadsheet."""

import csv
import io
import json
import os
import subprocess
import sys
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console, RenderableType

from mmsearch.cli.output.render import (
    failures_table,
    fits,
    hits_csv,
    hits_json,
    hits_paths,
    middle_cut,
    plain_table,
    report_lines,
    stdout_console,
    to_json,
)
from mmsearch.cli.search.hits_table import hits_table
from mmsearch.records import Failure, Hit, IngestReport, printable_path

GOLDEN = Path(__file__).parents[3] / "golden"
HITS = [
    Hit(
        1,
        "spring/7",
        "/home/anna/catalogs/spring/images/kitchen/fruit/red-apple-on-a-wooden-table.jpg",
        0.31249,
        "image",
        {"title": "A red apple on a wooden table, seen from above", "price": 4.5, "new": True},
    ),
    Hit(
        2,
        "notes/äpfel.md",
        "/home/anna/notes/äpfel.md",
        0.2,
        "text",
        {"text": "\n# Storing apples\n\nPick on a dry day,\nkeep cool.", "rank": 9},
    ),
    Hit(
        3,
        "spring/8",
        "",
        -0.0105,
        "product",
        {"name": '=HYPERLINK("x") [bold]\x1b[31m\u202e', "price": float("nan"), "new": False},
    ),
    Hit(
        4,
        "cjk/苹果",
        printable_path(os.fsdecode(b"/data/caf\xe9\n/-1.png")),
        -0.5,
        "image",
        {"price": -3, "seen": datetime(2026, 3, 1, 12, 30), "title": None},
    ),
]
QUERY = {"text": "red apple", "image": Path("/tmp/ä.png"), "k": 4, "where": None}


def golden(name: str) -> bytes:
    return (GOLDEN / name).read_bytes()


def printed(renderable: RenderableType, width: int) -> bytes:
    console = Console(file=io.StringIO(), width=width, force_terminal=False, highlight=False)
    with console.capture() as capture:
        console.print(renderable)
    return "".join(f"{line.rstrip()}\n" for line in capture.get().splitlines()).encode()


@pytest.mark.parametrize("width", [60, 80, 120])
def test_table(width: int) -> None:
    assert printed(hits_table(HITS, width=width), width) == golden(f"hits_table_{width}.txt")


def test_table_with_record_columns() -> None:
    columns = ("rank", "title", "price", "new", "seen", "absent")
    assert printed(hits_table(HITS, columns=columns), 100) == golden("hits_table_columns.txt")


def test_a_dumb_terminal_is_as_wide_as_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rich takes it for 80 columns wide, whatever is printed on it."""
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "47")
    assert stdout_console().width == 47
    wide = plain_table()
    wide.add_column("x" * 100, no_wrap=True)
    assert not fits(wide, 80)


def test_json() -> None:
    assert f"{hits_json(HITS, QUERY)}\n".encode() == golden("hits.json")


def test_json_is_json_of_the_documented_shape() -> None:
    document = json.loads(hits_json(HITS, QUERY), parse_constant=pytest.fail)
    assert list(document) == ["version", "query", "hits", "next"]
    assert document["version"] == 1
    fields = ["rank", "key", "uri", "similarity", "matched", "record", "score", "part", "excerpt"]
    assert [list(hit) for hit in document["hits"]] == [fields] * len(HITS)
    assert document["hits"][0]["similarity"] == HITS[0].similarity


def test_csv() -> None:
    assert hits_csv(HITS).encode() == golden("hits.csv")


def test_csv_keeps_numbers_and_disarms_formulas() -> None:
    rows = list(csv.DictReader(io.StringIO(hits_csv(HITS))))
    assert [row["similarity"] for row in rows] == ["0.31249", "0.2", "-0.0105", "-0.5"]
    assert [row["price"] for row in rows] == ["4.5", "", "", "-3"]
    assert rows[2]["name"].startswith("'=HYPERLINK")
    assert rows[1]["record.rank"] == "9"


def test_csv_names_key_and_uri_once() -> None:
    record = {"key": "a/1", "uri": "/a/1", "brand": "x"}
    header = hits_csv([Hit(1, "a/1", "/a/1", 0.5, "image", record)]).splitlines()[0]
    assert header == "rank,key,uri,similarity,matched,brand"


def test_paths_are_the_true_bytes() -> None:
    assert hits_paths(HITS) == golden("hits_paths.txt")
    assert hits_paths(HITS, null_separated=True).split(b"\0") == [
        os.fsencode(HITS[0].uri),
        "/home/anna/notes/äpfel.md".encode(),
        b"/data/caf\xe9\n/-1.png",
        b"",
    ]


def test_no_hits_in_any_format() -> None:
    assert json.loads(hits_json([], {})) == {
        "version": 1, "query": {}, "hits": [], "next": None,
    }  # fmt: skip
    assert json.loads(hits_json([], {}, cursor="abc"))["next"] == "abc"
    assert hits_csv([]) == "rank,key,uri,similarity,matched\n"
    assert hits_paths([]) == b""


def test_failures_table() -> None:
    failures = [
        Failure(
            "a/1.jpg", "/data/a/1.jpg", "decode", "the file is empty (0 bytes); fetch it again"
        ),
        Failure(
            "b/[red]", "", "source", "line 7\nhas 3 cells,\x1b[2J the header 4 " + "long " * 30
        ),
    ]
    assert printed(failures_table(failures), 80) == golden("failures_table.txt")


def test_report_lines() -> None:
    failure = Failure("a", "a", "read", "gone")
    report = IngestReport(
        added=1312,
        updated=0,
        moved=2,
        restored=0,
        unchanged=40,
        missing=3,
        pruned=0,
        resumed=500,
        truncated_texts=7,
        failures=(failure,) * 3,
        seconds=12.34,
        rates={"read": 210.0, "encode": 52.15, "total": 0.0},
        multi_frame=2,
        image_parts=1,
        passages=1200,
    )
    assert report_lines(report) == [
        "added 1,312 · updated 0 · moved 2 · unchanged 40 · missing 3 · "
        "3 failures (mmsearch info --failures)",
        "in 12.3 s · read 210.0/s · encode 52.1/s",
        "resumed: 500 items had been written when the last run was interrupted",
        "3 items hidden: the files are missing; they are restored if the files come back; "
        "--prune removes them",
        "with vectors of their own: 1 image and 1,200 passages of items that have several",
        "7 texts of more passages than `max_passages` allows: only the first ones were encoded",
        "2 files with several pages or frames: only one of each is indexed",
    ]
    unchanged = replace(report, rates={"total": 900.0, "encode": 0.0})
    assert report_lines(unchanged)[1] == "in 12.3 s"
    assert not report_lines(replace(report, seconds=0.4))[1].startswith("in ")
    dry = report_lines(report, dry_run=True)
    assert dry[0] == "dry run: nothing was written"
    assert "/s" not in " ".join(dry)


def test_json_of_a_report_and_of_numbers_that_json_has_not() -> None:
    document = json.loads(to_json({"failure": Failure("a", "b", "read", "c"), "x": float("inf")}))
    failure = {"key": "a", "uri": "b", "stage": "read", "reason": "c", "seen": None}
    assert document == {"version": 1, "failure": failure, "x": None}


def test_paths_are_relative_to_the_working_directory_and_not_repeated() -> None:
    hit = Hit(1, "notes/a.md", "/home/anna/notes/a.md", 0.5, "text", {"title": "A"})
    far = Hit(2, "shop/7", "/data/7.png", 0.4, "image", {"title": "B"})
    assert b"path" not in printed(hits_table([hit], base=Path("/home/anna")), 80)
    lines = printed(hits_table([hit, far], base=Path("/home")), 80).decode().splitlines()
    assert lines[2].split()[-1] == "anna/notes/a.md"
    assert lines[3].split()[-1] == "/data/7.png"


@given(st.text(), st.integers(4, 60))
def test_cut_text_fits_and_keeps_its_ends(text: str, cells: int) -> None:
    cut = middle_cut(text, cells)
    assert cell_len(cut) <= cells
    assert cut == text or "…" in cut


def test_a_pipe_gets_whole_paths_and_no_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    console = stdout_console()
    with console.capture() as capture:
        console.print(hits_table(HITS))
    assert HITS[0].uri in capture.get()
    assert "\x1b" not in capture.get()


@pytest.mark.parametrize(
    "statement",
    ["write_text('line\\n' * 100_000)", "stdout_console().print('line\\n' * 100_000)"],
    ids=["text", "console"],
)
def test_a_reader_that_leaves_early_is_no_error(statement: str) -> None:
    program = (
        "import typer; from mmsearch.cli.output.render import *; app = typer.Typer();"
        f"app.command()(lambda: {statement}); app()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == b"line\n"
        process.stdout.close()
        complaints = process.stderr.read()
    assert (process.returncode, complaints) == (0, b"")
