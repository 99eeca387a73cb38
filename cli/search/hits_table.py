"""The table of hits that mmsearch search prints."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from mmsearch.cli.output.render import MiddleCut, fits, plain_table
from mmsearch.records import Hit, real_path
from mmsearch.report.titles import title_of, value_text
from mmsearch.text import one_line, visible

HIT_COLUMNS = ("rank", "similarity", "matched", "title", "key", "path")

_NEVER_CUT = {"rank", "similarity", "matched"}
_RIGHT = {"rank", "similarity"}
_TITLE_AND_PATH = "title, path"
_TITLE_CELLS, _VALUE_CELLS = 48, 24


def hits_table(
    hits: Sequence[Hit],
    *,
    columns: Sequence[str] = HIT_COLUMNS,
    base: Path | None = None,
    width: int | None = None,
) -> Table:
    """Returns a row per hit.

    columns: names of HIT_COLUMNS or of record columns. base: paths below it are shown relative.
    width: of the terminal; a path that would be cut there goes below the title. The path of a hit
    is left out where it would only repeat the key.
    """
    paths = {hit.rank: _shown_path(hit, base) for hit in hits}
    if all(paths[hit.rank] in ("", hit.key) for hit in hits):
        columns = [name for name in columns if name != "path"]
    table = _hits_table(hits, columns, paths)
    if width is None or not {"title", "path"} <= set(columns) or fits(table, width):
        return table
    others = [name for name in columns if name not in ("title", "path")]
    return _hits_table(hits, [*others, _TITLE_AND_PATH], paths)


def _hits_table(hits: Sequence[Hit], columns: Sequence[str], paths: Mapping[int, str]) -> Table:
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


def _cell(hit: Hit, column: str, path: str) -> RenderableType:
    match column:
        case "rank":
            return Text(str(hit.rank), style="dim")
        case "similarity":
            return Text(f"{hit.similarity:.3f}", style="cyan")
        case "matched":
            return Text(hit.matched)
        case "title":
            return _one_cell(title_of(hit), style="bold")
        case "key":
            return MiddleCut(hit.key)
        case "path":
            return MiddleCut("" if path == hit.key else path, style="dim")
        case _ if column == _TITLE_AND_PATH:
            title = _one_cell(title_of(hit), style="bold")
            return title if path in ("", hit.key) else Group(title, MiddleCut(path, style="dim"))
    return _one_cell(one_line(value_text(hit.record.get(column))))


def _shown_path(hit: Hit, base: Path | None) -> str:
    path = real_path(hit.uri)
    return str(path.relative_to(base)) if base and path.is_relative_to(base) else hit.uri


def _max_width(column: str) -> int | None:
    if column in ("key", "path", _TITLE_AND_PATH):
        return None
    return _TITLE_CELLS if column == "title" else _VALUE_CELLS


def _one_cell(text: str, style: str = "") -> Text:
    return Text(text, style=style, no_wrap=True, overflow="ellipsis")
