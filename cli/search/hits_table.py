"""The table of hits that mmsearch search prints."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.padding import Padding
from rich.segment import Segments
from rich.table import Table
from rich.text import Text

from mmsearch.cli.output.render import MiddleCut, fits, plain_table
from mmsearch.records import Hit, printable_path, real_path
from mmsearch.report.titles import part_text, title_of, value_text
from mmsearch.text import one_line, visible

HIT_COLUMNS = ("rank", "similarity", "matched", "title", "key", "path")

_NEVER_CUT = {"rank", "similarity", "score", "matched", "part"}
_RIGHT = {"rank", "similarity", "score"}
_TITLE_CELLS, _VALUE_CELLS = 48, 24
# Under the similarity, beside the rank.
_INDENT = 6


def hits_table(
    hits: Sequence[Hit],
    *,
    columns: Sequence[str] = HIT_COLUMNS,
    base: Path | None = None,
    width: int | None = None,
) -> RenderableType:
    """Returns a row per hit.

    columns: names of HIT_COLUMNS, 'score', 'part', or of record columns. base: paths are relative
    to it where that is shorter. width: of the terminal; where the table needs more, paths go below
    the rows, and keys if there are titles. The path of a hit is left out where it would only repeat
    the key. The best passage of a long text goes below its row, shortened to the width.
    """
    paths = {hit.rank: _shown_path(hit, base) for hit in hits}
    if all(paths[hit.rank] in ("", hit.key) for hit in hits):
        columns = [name for name in columns if name != "path"]
    table = _table(hits, columns, paths)
    excerpts = [_one_cell(one_line(hit.excerpt or ""), style="italic") for hit in hits]
    below: tuple[str, ...] = ()
    if width is not None and "path" in columns and not fits(table, width):
        below = ("key", "path") if {"title", "key"} <= set(columns) else ("path",)
        table = _table(hits, [name for name in columns if name not in below], paths)
    elif not any(excerpts):
        return table
    lines = [[_cell(hit, name, paths[hit.rank]) for name in below] for hit in hits]
    return _TableWithLines(table, below, lines, excerpts)


class _TableWithLines:
    """A table with the cells that are too long for it, and excerpts, in lines below each row."""

    def __init__(
        self,
        table: Table,
        names: Sequence[str],
        lines: Sequence[Sequence[RenderableType]],
        excerpts: Sequence[Text],
    ) -> None:
        self._table, self._names, self._lines, self._excerpts = table, names, lines, excerpts

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        rendered = console.render_lines(self._table, options, pad=False, new_lines=True)
        # Cells are never wrapped, so that a row is a line; the header may be, and a rule ends it.
        *header, rule = rendered[: -len(self._lines)]
        for line in header:
            yield Segments(line)
        if self._names:
            yield self._below([Text(name, style="bold") for name in self._names], options)
        yield Segments(rule)
        rows = zip(rendered[-len(self._lines) :], self._lines, self._excerpts, strict=True)
        for line, cells, excerpt in rows:
            yield Segments(line)
            if cells:
                yield self._below(cells, options)
            if excerpt:
                yield Padding(excerpt, (0, 0, 0, _INDENT), expand=False)

    def _below(self, cells: Sequence[RenderableType], options: ConsoleOptions) -> RenderableType:
        grid = Table.grid(padding=(0, 2, 0, 0))
        # A row of a table without a file has no path.
        cells = [cell for cell in cells if str(cell)]
        if sum(cell_len(str(cell)) + 2 for cell in cells) <= options.max_width - _INDENT:
            grid.add_row(*cells)
        else:
            for cell in cells:
                grid.add_row(cell)
        return Padding(grid, (0, 0, 0, _INDENT), expand=False)


def _table(hits: Sequence[Hit], columns: Sequence[str], paths: Mapping[int, str]) -> Table:
    table = plain_table()
    for column in columns:
        numeric = column in _RIGHT or _holds_numbers(hits, column)
        table.add_column(
            visible(column),
            justify="right" if numeric else "left",
            # Rich narrows the columns that may wrap; their cells shorten themselves.
            no_wrap=column in _NEVER_CUT or numeric,
            max_width=_max_width(column),
        )
    for hit in hits:
        table.add_row(*(_cell(hit, column, paths[hit.rank]) for column in columns))
    return table


def _holds_numbers(hits: Sequence[Hit], column: str) -> bool:
    values = [hit.record.get(column) for hit in hits if hit.record.get(column) is not None]
    return bool(values) and all(
        isinstance(v, int | float) and not isinstance(v, bool) for v in values
    )


def _cell(hit: Hit, column: str, path: str) -> Text | MiddleCut:
    match column:
        case "rank":
            return Text(str(hit.rank), style="dim")
        case "similarity":
            return Text(f"{hit.similarity:.3f}", style="cyan")
        case "score" if hit.score is not None:
            # Reciprocal ranks differ in the fourth digit.
            return Text(f"{hit.score:.4f}", style="cyan")
        case "matched":
            return Text(hit.matched)
        case "part" if hit.part is not None:
            return Text(part_text(hit.part))
        case "title":
            return _one_cell(title_of(hit), style="bold")
        case "key":
            return MiddleCut(hit.key)
        case "path":
            return MiddleCut("" if path == hit.key else path, style="dim")
    return _one_cell(one_line(value_text(hit.record.get(column))))


def _shown_path(hit: Hit, base: Path | None) -> str:
    path = real_path(hit.path)
    if base is None or path.anchor != base.anchor:
        return hit.path
    near = printable_path(os.path.relpath(path, base))
    return near if len(near) < len(hit.path) else hit.path


def _max_width(column: str) -> int | None:
    if column in ("key", "path"):
        return None
    return _TITLE_CELLS if column == "title" else _VALUE_CELLS


def _one_cell(text: str, style: str = "") -> Text:
    return Text(text, style=style, no_wrap=True, overflow="ellipsis")
