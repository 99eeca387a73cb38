"""Checks over a whole table that a guessed column of ids is one."""

from collections.abc import Collection, Iterable, Sequence

from mmsearch.sources.rows import BadRow, Row, Rows
from mmsearch.sources.values import as_text
from mmsearch.text import one_line


def broken_ids(
    rows: Rows, columns: Sequence[str], *, grouped: Collection[str] = ()
) -> dict[str, str]:
    """Returns the columns that identify no rows, with the first cell that shows it, for messages.

    grouped: columns whose value may repeat in rows that follow each other.
    """
    # Hashes instead of values: a table may have millions of ids, and two of them collide never.
    seen: dict[str, set[int]] = {column: set() for column in columns}
    previous: dict[str, str] = {}
    broken: dict[str, str] = {}
    for row in _narrowed(rows, columns):
        if isinstance(row, BadRow):
            continue
        for column, values in seen.items():
            if column in broken:
                continue
            value = as_text(row.cells.get(column))
            if value is None:
                broken[column] = f"'{column}' is empty in row {row.number}"
            elif column in grouped and previous.get(column) == value:
                continue
            elif hash(value) in values:
                broken[column] = f"'{column}' is '{one_line(value)}' again in row {row.number}"
            else:
                values.add(hash(value))
                previous[column] = value
        if len(broken) == len(seen):
            break
    return broken


def _narrowed(rows: Rows, columns: Sequence[str]) -> Iterable[Row | BadRow]:
    if rows.kinds is None:
        return rows
    from mmsearch.sources.parquet import ParquetRows

    return rows.narrowed(columns) if isinstance(rows, ParquetRows) else rows
