"""Gathers the rows of one item, which follow each other in the table."""

from collections.abc import Iterable, Iterator

from mmsearch.sources.rows import BadRow, Row
from mmsearch.sources.values import as_text


def grouped(rows: Iterable[Row | BadRow], column: str | None) -> Iterator[list[Row] | BadRow]:
    """Yields the rows of each item; rows that follow each other with equal values in `column`.

    Without a column, and where its cell is empty, a row is an item. Rows that cannot be read are
    yielded before the item that they stand in.
    """
    gathered: list[Row] = []
    value: str | None = None
    for row in rows:
        if isinstance(row, BadRow):
            yield row
            continue
        own = as_text(row.cells.get(column)) if column is not None else None
        if gathered and (own is None or own != value):
            yield gathered
            gathered = []
        gathered.append(row)
        value = own
    if gathered:
        yield gathered
