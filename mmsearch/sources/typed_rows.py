"""The rows of a table as its survey says: HTML as text, odd cells empty, currencies apart."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

from mmsearch.sources.markup import plain_text
from mmsearch.sources.money import split_price
from mmsearch.sources.rows import BadRow, Row, Rows
from mmsearch.sources.survey import Survey
from mmsearch.sources.values import Kind, convert


def typed_rows(rows: Rows, survey: Survey) -> tuple[Rows, Survey]:
    """Returns the rows with cells that convert to their column's kind, and the survey of these.

    Columns of prices are followed by one of their currencies.
    """
    if not (survey.loose or survey.markup or survey.currencies):
        return rows, survey
    columns, kinds = [], dict(survey.kinds)
    for column in survey.columns:
        columns.append(column)
        if column in survey.currencies:
            columns.append(currency_column(column))
            kinds[columns[-1]] = Kind.TEXT
    typed = _TypedRows(rows, survey, tuple(columns) if rows.columns else ())
    sample = [typed.cells(cells) for cells in survey.sample]
    return typed, replace(survey, columns=tuple(columns), kinds=kinds, sample=sample)


def currency_column(column: str) -> str:
    """Returns the name of the column that holds the currencies of a column of prices."""
    return f"{column}_currency"


class _TypedRows:
    def __init__(self, rows: Rows, survey: Survey, columns: tuple[str, ...]) -> None:
        self._rows, self.columns = rows, columns
        self._loose = [(name, survey.kinds[name]) for name in survey.loose]
        self._markup, self._currencies = survey.markup, tuple(survey.currencies)
        self.kinds = rows.kinds and survey.kinds
        self.count, self.notes, self.image_columns = rows.count, rows.notes, rows.image_columns

    def kind_of(self, value: object) -> Kind | None:
        """Returns the kind of a cell's value; None if it is empty."""
        return self._rows.kind_of(value)

    def __iter__(self) -> Iterator[Row | BadRow]:
        return self._typed(iter(self._rows))

    def with_images(self, columns: Collection[str]) -> Iterator[Row | BadRow]:
        """Yields the rows with the bytes in these image columns."""
        return self._typed(self._rows.with_images(columns))

    def _typed(self, rows: Iterator[Row | BadRow]) -> Iterator[Row | BadRow]:
        for row in rows:
            yield row if isinstance(row, BadRow) else replace(row, cells=self.cells(row.cells))

    def cells(self, cells: Mapping[str, object]) -> dict[str, object]:
        """Returns the cells of a row as the survey says."""
        typed = dict(cells)
        for name in self._markup:
            cell = typed.get(name)
            if isinstance(cell, str):
                typed[name] = plain_text(cell)
        for name in self._currencies:
            cell = typed.get(name)
            typed[currency_column(name)] = (
                split_price(cell.strip())[1] if isinstance(cell, str) else None
            )
        for name, kind in self._loose:
            try:
                convert(typed.get(name), kind)
            except ValueError:
                typed[name] = None
        return typed
