"""Turns results into what stdout carries: tables, JSON, CSV and plain paths. Notes go to stderr.

Values come from catalogs, so nothing is printed raw: no markup, no escape sequences, no formulas.
"""

import csv
import io
import json
import math
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import typer
from rich import box
from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from mmsearch.records import Failure, Hit, IngestReport, Scalar, printable_path, real_path
from mmsearch.report.titles import title_of, value_text
from mmsearch.text import one_line, visible

SCHEMA_VERSION = 1
HIT_COLUMNS = ("rank", "similarity", "matched", "title", "path")
HIT_FIELDS = ("rank", "key", "uri", "similarity", "matched")

_NEVER_CUT = {"rank", "similarity", "matched"}
_RIGHT = {"rank", "similarity"}
_TITLE_CELLS = 48
_NO_LIMIT_CELLS = 10_000
# What spreadsheets take as the start of a formula (OWASP, CSV injection).
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


class MiddleCut:
    """One line of text that loses its middle, not its ends, where its column is too narrow."""

    def __init__(self, text: str, style: str = "") -> None:
        self._text = visible(text)
        self._style = style

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        cells = cell_len(self._text)
        return Measurement(min(cells, 16), cells)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Text(middle_cut(self._text, options.max_width), style=self._style, no_wrap=True)


def middle_cut(text: str, cells: int) -> str:
    """`text` in at most `cells` terminal cells; its end, where names differ, gets two thirds."""
    if cell_len(text) <= cells:
        return text
    tail_cells = (cells - 1) * 2 // 3
    head = set_cell_size(text, max(cells - 1 - tail_cells, 0)).rstrip()
    tail = set_cell_size(text[::-1], tail_cells)[::-1]
    return f"{head}…{tail.lstrip()}"


def hits_table(hits: Sequence[Hit], *, columns: Sequence[str] = HIT_COLUMNS) -> Table:
    """columns: names of HIT_COLUMNS or of record columns."""
    table = plain_table()
    for column in columns:
        numeric = column in _RIGHT or _holds_numbers(hits, column)
        table.add_column(
            visible(column),
            justify="right" if numeric else "left",
            # Rich narrows the columns that may wrap; their cells cut themselves instead.
            no_wrap=column in _NEVER_CUT,
            max_width=None if column == "path" else _TITLE_CELLS,
        )
    for hit in hits:
        table.add_row(*(_cell(hit, column) for column in columns))
    return table


def failures_table(failures: Sequence[Failure]) -> Table:
    table = plain_table()
    table.add_column("stage", no_wrap=True)
    table.add_column("path", no_wrap=True)
    table.add_column("reason", overflow="fold", ratio=1)
    for failure in failures:
        where = MiddleCut(failure.uri or failure.key)
        table.add_row(Text(failure.stage), where, Text(one_line(failure.reason)))
    return table


def report_lines(report: IngestReport) -> list[str]:
    """An index run in a few lines; the first is the whole story in one."""
    lines = [_counts_line(report), _rates_line(report)]
    if report.resumed:
        lines.append(
            f"resumed: {report.resumed:,} were written before the last run was interrupted"
        )
    if report.missing:
        lines.append(
            f"{report.missing:,} no longer where they were: kept, and back when the files are;"
            " drop them with --prune"
        )
    if report.truncated_texts:
        lines.append(f"{report.truncated_texts:,} texts were longer than the model reads: cut")
    if report.multi_frame:
        files = "file holds" if report.multi_frame == 1 else "files hold"
        lines.append(
            f"{report.multi_frame:,} {files} several pages or frames: one of each is indexed"
        )
    return lines


def to_json(document: Mapping[str, Any], *, indent: int | None = 2) -> str:
    """The document with "version" in front: ISO dates, null for NaN, paths as printable text."""
    versioned = {"version": SCHEMA_VERSION, **document}
    return json.dumps(_plain(versioned), ensure_ascii=False, allow_nan=False, indent=indent)


def hits_json(hits: Sequence[Hit], query: Mapping[str, Any], *, cursor: str | None = None) -> str:
    """{"version": 1, "query": …, "hits": [{rank, key, uri, similarity, matched, record}], "next"}.

    next: the cursor of the page that follows, null at the end.
    """
    return to_json({"query": query, "hits": hits, "next": cursor})


def hits_csv(hits: Sequence[Hit]) -> str:
    """A header, then a line per hit: HIT_FIELDS and every column that any record has.

    The row's own key and uri are those of the hit; any other record column that is called like one
    of HIT_FIELDS becomes 'record.<name>'. A text that a spreadsheet would run as a formula begins
    with an apostrophe.
    """
    names = dict.fromkeys(name for hit in hits for name in hit.record)
    columns = [name for name in names if name not in ("key", "uri")]
    headings = [f"record.{name}" if name in HIT_FIELDS else name for name in columns]
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    writer.writerow([_csv_cell(name) for name in (*HIT_FIELDS, *headings)])
    for hit in hits:
        values = [getattr(hit, name) for name in HIT_FIELDS]
        writer.writerow([_csv_cell(v) for v in (*values, *map(hit.record.get, columns))])
    return lines.getvalue()


def hits_paths(hits: Sequence[Hit], *, null_separated: bool = False) -> bytes:
    """The files of the hits in their true bytes, for pipes; hits without a file are left out."""
    end = b"\0" if null_separated else b"\n"
    return b"".join(os.fsencode(real_path(hit.uri)) + end for hit in hits if hit.uri)


def stdout_console() -> Console:
    """For results: as wide as the terminal; as wide as the results where there is no terminal."""
    console = _ClosableConsole(highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = _NO_LIMIT_CELLS
    return console


def stderr_console(*, quiet: bool = False) -> Console:
    """For progress and notes; prints nothing when quiet."""
    return Console(stderr=True, quiet=quiet, highlight=False)


def write_text(text: str) -> None:
    """Results to stdout as UTF-8 with a line break at the end, whatever the locale."""
    write_bytes((text if text.endswith("\n") else text + "\n").encode("utf-8", "backslashreplace"))


def write_bytes(data: bytes) -> None:
    """Results to stdout, unchanged."""
    with _reader_may_leave():
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()


class _ClosableConsole(Console):
    def on_broken_pipe(self) -> None:
        with _reader_may_leave():
            raise BrokenPipeError


@contextmanager
def _reader_may_leave() -> Iterator[None]:
    """A reader that has enough, as `head`, ends the command as done, without a word."""
    try:
        yield
    except BrokenPipeError:
        # Python flushes stdout once more at exit and would complain there.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(0) from None


def plain_table() -> Table:
    return Table(
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
        show_edge=False,
        header_style="bold",
    )


def _holds_numbers(hits: Sequence[Hit], column: str) -> bool:
    values = [hit.record.get(column) for hit in hits if hit.record.get(column) is not None]
    return bool(values) and all(
        isinstance(v, int | float) and not isinstance(v, bool) for v in values
    )


def _cell(hit: Hit, column: str) -> RenderableType:
    match column:
        case "rank":
            return Text(str(hit.rank), style="dim")
        case "similarity":
            return Text(f"{hit.similarity:.3f}", style="cyan")
        case "matched":
            return Text(hit.matched)
        case "title":
            return _one_cell(title_of(hit), style="bold")
        case "path":
            return MiddleCut(hit.uri or hit.key, style="dim")
    return _one_cell(one_line(value_text(hit.record.get(column))))


def _one_cell(text: str, style: str = "") -> Text:
    return Text(text, style=style, no_wrap=True, overflow="ellipsis")


def _counts_line(report: IngestReport) -> str:
    names = ("added", "updated", "moved", "restored", "unchanged", "missing", "pruned")
    always = ("added", "updated", "unchanged")
    parts = [
        f"{name} {count:,}"
        for name in names
        if (count := int(getattr(report, name))) or name in always
    ]
    if count := len(report.failures):
        noun = "failure" if count == 1 else "failures"
        parts.append(f"{count:,} {noun} (mmsearch info --failures)")
    return " · ".join(parts)


def _rates_line(report: IngestReport) -> str:
    rates = [f"{name} {rate:,.1f}/s" for name, rate in report.rates.items() if rate > 0]
    return " · ".join([f"in {report.seconds:,.1f} s", *rates])


def _plain(value: Any) -> Any:
    """The value in JSON's own types."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {printable_path(str(name)): _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, date):
        return value.isoformat()
    return printable_path(value) if isinstance(value, str | Path) else value


def _csv_cell(value: Scalar) -> str:
    if isinstance(value, str):
        text = printable_path(value)
        return f"'{text}" if text.startswith(_FORMULA_STARTS) else text
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and not math.isfinite(value):
        return ""
    if isinstance(value, datetime):
        return value.isoformat()
    return "" if value is None else str(value)
