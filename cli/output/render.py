"""Formats results for stdout: tables, JSON, CSV and plain paths. Notes go to stderr.

Values come from untrusted catalogs: markup, escape sequences and spreadsheet formulas are defused.
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
from shutil import get_terminal_size
from typing import Any

import typer
from rich import box
from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleDimensions, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from mmsearch.cli.parameters import with_options
from mmsearch.progress_display import SHORT_STAGE_SECONDS
from mmsearch.records import (
    Failure,
    Hit,
    IngestReport,
    Value,
    hit_columns,
    printable_path,
    real_path,
)
from mmsearch.text import one_line, visible

SCHEMA_VERSION = 1

# Each as wide as its sign, so that tables stay straight.
_SIMILAR_SIGNS = str.maketrans("…→·–−×≥", "~>---x>")
_SHORTEST_CUT = 12
_NO_LIMIT_CELLS = 10_000
# What spreadsheets take as the start of a formula (OWASP, CSV injection).
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


class MiddleCut:
    """One line of text that is shortened in the middle where its column is too narrow.

    end: what follows the text and is never shortened, such as its size.
    """

    def __init__(self, text: str, style: str = "", *, end: str = "") -> None:
        self._text, self._end = visible(text), end
        self._style = style

    def __str__(self) -> str:
        return self._text + self._end

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        cells, end = cell_len(self._text), cell_len(self._end)
        return Measurement(min(cells, _SHORTEST_CUT) + end, cells + end)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        room = options.max_width - cell_len(self._end)
        if self._end and room < min(cell_len(self._text), _SHORTEST_CUT):
            # Too narrow for both on one line.
            yield Text(middle_cut(self._text, options.max_width), style=self._style, no_wrap=True)
            yield Text(self._end.strip(" ,"), style=self._style)
            return
        yield Text(middle_cut(self._text, room) + self._end, style=self._style, no_wrap=True)


def size_text(count: int) -> str:
    """Returns a number of bytes in at most eight cells: '51 kB', '4.1 MB', '238 MB'."""
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 999.5:
            return (
                f"{size:.1f} {unit}"
                if size < 99.95 and unit in ("MB", "GB")
                else (f"{size:.0f} {unit}")
            )
        size /= 1000
    return f"{size:,.1f} TB"


def middle_cut(text: str, cells: int) -> str:
    """Returns `text` in at most `cells` terminal cells; two thirds are for its end."""
    if cell_len(text) <= cells:
        return text
    tail_cells = (cells - 1) * 2 // 3
    head = set_cell_size(text, max(cells - 1 - tail_cells, 0)).rstrip()
    tail = set_cell_size(text[::-1], tail_cells)[::-1]
    return f"{head}…{tail.lstrip()}"


def failures_table(failures: Sequence[Failure]) -> Table:
    """Returns a row per failure: stage, path and reason."""
    table = plain_table()
    table.add_column("stage", no_wrap=True)
    table.add_column("path")
    table.add_column("reason", overflow="fold", ratio=1)
    for failure in failures:
        where = MiddleCut(failure.uri or failure.key)
        table.add_row(Text(failure.stage), where, Text(one_line(with_options(failure.reason))))
    return table


def report_lines(report: IngestReport, *, dry_run: bool = False) -> list[str]:
    """Returns an index run in a few lines: the counts first, then the time, then what to know."""
    if dry_run:
        lines = ["dry run: nothing was written", _counts_line(report)]
    else:
        lines = [_counts_line(report)]
        if report.seconds >= SHORT_STAGE_SECONDS:
            lines.append(_rates_line(report))
    if report.resumed:
        lines.append(
            f"resumed: {counted(report.resumed, 'item')} had been written when the last run was "
            "interrupted"
        )
    if report.missing and not report.pruned:
        lines.append(
            f"{counted(report.missing, 'item')} hidden: the files are missing; they are restored "
            "if the files come back; --prune removes them"
        )
    if report.image_parts or report.passages:
        several = [
            *([f"{counted(report.image_parts, 'image')}"] if report.image_parts else []),
            *([f"{counted(report.passages, 'passage')}"] if report.passages else []),
        ]
        lines.append(
            f"with vectors of their own: {' and '.join(several)} of items that have several"
        )
    if report.truncated_texts:
        lines.append(
            f"{counted(report.truncated_texts, 'text')} of more passages than `max_passages` "
            "allows: only the first ones were encoded"
        )
    if report.multi_frame:
        lines.append(
            f"{counted(report.multi_frame, 'file')} with several pages or frames: only one of "
            "each is indexed"
        )
    return lines


def counted(count: int, noun: str, plural: str = "") -> str:
    """'1 item', '1,234 items'."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def to_json(document: Mapping[str, Any], *, indent: int | None = 2) -> str:
    """Serializes a document with "version" first: ISO dates, null for NaN, printable paths."""
    versioned = {"version": SCHEMA_VERSION, **document}
    return json.dumps(_plain(versioned), ensure_ascii=False, allow_nan=False, indent=indent)


def hits_json(hits: Sequence[Hit], query: Mapping[str, Any], *, cursor: str | None = None) -> str:
    """Serializes {"version", "query", "hits": [{rank, key, uri, similarity, …}], "next"}.

    part, excerpt: of an item with several images or passages the best one, else null. next: the
    cursor of the next page, null at the end.
    """
    return to_json({"query": query, "hits": hits, "next": cursor})


def hits_csv(hits: Sequence[Hit], chosen: Sequence[str] | None = None) -> str:
    """Returns a header and a line per hit: its fields, then every column that any record has.

    chosen: the only columns of records.
    A record column with the name of a field becomes 'record.<name>', except for key and uri, which
    are the hit's. A text that a spreadsheet would run as a formula is prefixed with an
    apostrophe.
    """
    names = dict.fromkeys(name for hit in hits for name in hit.record)
    own = hit_columns(hits)
    columns = [name for name in names if name not in ("key", "uri")]
    if chosen is not None:
        columns = [name for name in chosen if name in columns]
    headings = [f"record.{name}" if name in own else name for name in columns]
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    writer.writerow([_csv_cell(name) for name in (*own, *headings)])
    for place, hit in enumerate(hits):
        values = [column[place] for column in own.values()]
        writer.writerow([_csv_cell(v) for v in (*values, *map(hit.record.get, columns))])
    return lines.getvalue()


def hits_paths(hits: Sequence[Hit], *, null_separated: bool = False) -> bytes:
    """Returns the paths of the hits as raw bytes, for pipes; hits without a file are skipped.

    Of an item with several images, the path of the one that matched best.
    """
    end = b"\0" if null_separated else b"\n"
    return b"".join(os.fsencode(real_path(hit.path)) + end for hit in hits if hit.path)


def encode_readably(error: UnicodeError) -> tuple[str, int]:
    """Replaces signs that a terminal's encoding lacks, by similar ones or escapes.

    An error handler for `codecs.register_error`.
    """
    if not isinstance(error, UnicodeEncodeError):
        raise error
    signs = error.object[error.start : error.end].translate(_SIMILAR_SIGNS)
    return signs.encode("ascii", "backslashreplace").decode("ascii"), error.end


def stdout_console() -> Console:
    """Returns a console for results: as wide as the terminal, unlimited where there is none."""
    console = _ClosableConsole(highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = _NO_LIMIT_CELLS
    elif console.is_dumb_terminal:
        console.size = ConsoleDimensions(*get_terminal_size())
    return console


def stderr_console(*, quiet: bool = False) -> Console:
    """Returns a console for progress and notes that prints nothing if quiet."""
    return Console(stderr=True, quiet=quiet, highlight=False)


def write_text(text: str) -> None:
    """Writes results to stdout as UTF-8 in any locale, with a line break at the end."""
    write_bytes((text if text.endswith("\n") else text + "\n").encode("utf-8", "backslashreplace"))


def write_bytes(data: bytes) -> None:
    """Writes results to stdout, unchanged."""
    with _closed_pipe_exits():
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()


class _ClosableConsole(Console):
    def on_broken_pipe(self) -> None:
        with _closed_pipe_exits():
            raise BrokenPipeError


@contextmanager
def _closed_pipe_exits() -> Iterator[None]:
    """Ends the command silently with code 0 when the reader, such as `head`, closes the pipe."""
    try:
        yield
    except BrokenPipeError:
        # Python flushes stdout once more at exit and would complain there.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(0) from None


def plain_table() -> Table:
    """Returns an empty table without borders."""
    return Table(
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
        show_edge=False,
        header_style="bold",
    )


def fits(table: Table, width: int) -> bool:
    """Whether the table needs no more than this many columns of a terminal."""
    console = Console()
    # Rich takes every terminal that is called dumb for 80 columns wide.
    unlimited = console.options.update_width(_NO_LIMIT_CELLS)
    return Measurement.get(console, unlimited, table).maximum <= width


def _counts_line(report: IngestReport) -> str:
    """Nothing that is 0 is named, but for what people look for."""
    names = ("added", "updated", "moved", "restored", "unchanged", "missing", "pruned")
    always = ("added", "updated", "unchanged")
    parts = [
        f"{name} {count:,}"
        for name in names
        if ((count := int(getattr(report, name))) or name in always)
        and not (name == "missing" and report.pruned)
    ]
    if report.failures:
        parts.append(f"{counted(len(report.failures), 'failure')} (mmsearch info --failures)")
    return " · ".join(parts)


def _rates_line(report: IngestReport) -> str:
    """The time, and rates where something was encoded: those of unchanged items mean nothing."""
    encoded = report.rates.get("encode", 0) > 0
    rates = [f"{name} {rate:,.1f}/s" for name, rate in report.rates.items() if rate > 0 and encoded]
    return " · ".join([f"in {report.seconds:,.1f} s", *rates])


def _plain(value: Any) -> Any:
    """Converts a value to JSON's own types."""
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


def _csv_cell(value: Value) -> str:
    if isinstance(value, list):
        value = "; ".join(value)
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
