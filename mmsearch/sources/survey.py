"""A first pass over a table: its columns, their kinds, and a sample of rows."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from mmsearch.sources.markup import holds_markup
from mmsearch.sources.money import split_price
from mmsearch.sources.rows import Row, Rows
from mmsearch.sources.table_format import TableFormat
from mmsearch.sources.values import DATES, NUMBERS, PAIRS, Kind, as_text, common_kind
from mmsearch.text import one_line

SAMPLE_ROWS = 1_000
# Rows whose cells are examined together, column by column.
_BATCH = 512
# Up to so many texts are reported; with more, a column of texts is nothing to mention.
_MOST_ODD = 10
# The share of numbers, dates or booleans that makes the few texts look like mistakes.
_REGULAR = 0.95
_SHOWN_ODD = 40
# The characters of a cell that show what a column is for.
_START = 10_000
_FEWEST_REGULAR = 10
# A text like '505A' or '00123' in a column of numbers makes it one of codes.
_CODE = re.compile(r"\S*\d\S*")
_DAYS = (
    r"\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\d|30)"
    r"|02-(?:0[1-9]|1\d|2[0-8]))"
)
# Lines of cells that are all of the kind, or empty; the others are examined one by one.
_REGULAR_LINES: Final = {
    Kind.INT: re.compile(r"(?:(?:[+-]?(?:0|[1-9]\d{0,17}))?\n)*+", re.ASCII),
    Kind.FLOAT: re.compile(r"(?:(?:[+-]?(?:0|[1-9]\d{0,17})(?:\.\d*)?)?\n)*+", re.ASCII),
    Kind.DATE: re.compile(rf"(?:(?:{_DAYS})?\n)*+", re.ASCII),
    Kind.BOOL: re.compile(r"(?:true|false|\n)*+", re.ASCII | re.IGNORECASE),
}


@dataclass(frozen=True, slots=True)
class OddCell:
    """The first text in a column of numbers, dates or booleans.

    regular: how many of these there are. emptied: whether the texts are left empty; else they make
    the column one of texts.
    """

    text: str
    place: str
    texts: int
    regular: int
    emptied: bool = False


@dataclass(frozen=True, slots=True)
class Survey:
    """What a first pass found.

    kinds: of the columns that are not empty. sample: the first readable rows. rows: the number of
    readable rows. odd: by column, cells that are no numbers, dates or booleans as the others are.
    markup: the columns of HTML. currencies: by column of prices, that of the first one. unclear:
    columns of dates of which none shows whether the day or the month is first. loose: columns with
    cells that are empty, as they are not of the column's kind.
    """

    columns: tuple[str, ...]
    kinds: Mapping[str, Kind]
    sample: Sequence[Mapping[str, object]]
    rows: int
    odd: Mapping[str, OddCell] = field(default_factory=dict)
    markup: frozenset[str] = frozenset()
    currencies: Mapping[str, str] = field(default_factory=dict)
    unclear: frozenset[str] = frozenset()
    loose: frozenset[str] = frozenset()

    def texts(self, column: str) -> list[str]:
        """Returns the non-empty cells of a column in the sample, as texts, cut where long."""
        texts = (as_text(row.get(column)) for row in self.sample)
        return [text[:_START] for text in texts if text]

    def notes(self) -> Iterator[str]:
        """Yields what the user should know about how the columns are read."""
        for kind in (Kind.DECIMAL_COMMA, Kind.GROUPED, Kind.DAY_FIRST, Kind.MONTH_FIRST):
            columns = [name for name, held in self.kinds.items() if held is kind]
            if columns:
                yield f"{kind.value}: {_quoted(columns)}"
        for column in self.unclear:
            yield (
                f"'{column}': no date shows whether the day or the month is first; the day is "
                f"taken for it, `columns=['{column}=month-first']` reads the other order"
            )
        for column, currency in self.currencies.items():
            yield f"'{column}': prices in {currency}; the currency is in '{column}_currency'"
        if self.markup:
            yield f"HTML is read as its text: {_quoted(sorted(self.markup))}"
        for column, cell in self.odd.items():
            shown = f"'{one_line(cell.text)[:_SHOWN_ODD]}' ({cell.place})"
            if cell.emptied:
                more = f" and {cell.texts - 1:,} more cells" if cell.texts > 1 else ""
                yield (
                    f"'{column}': {shown}{more} left empty, as the other {cell.regular:,} cells "
                    f"are {_plural(self.kinds[column])}; `columns=['{column}=text']` "
                    "reads all as texts"
                )
            else:
                more = f" and {cell.texts - 1:,} more" if cell.texts > 1 else ""
                yield (
                    f"'{column}' is a text because of {shown}{more}; its other {cell.regular:,} "
                    "cells are numbers, dates or booleans: correct or empty that cell to compare "
                    f"them in filters, or read it as empty with `columns=['{column}=number']`"
                )


_FASTEST = (Kind.FLOAT, Kind.INT, Kind.DATE, Kind.BOOL)
_AS_FOUND: Final = TableFormat()


class _Column:
    """What the cells of a column have shown so far."""

    def __init__(self, rows: Rows, requested: Kind | None) -> None:
        self._kind_of, self._requested = rows.kind_of, requested
        self.kinds: Counter[Kind] = Counter()
        self.words: set[str] = set()
        self.currency: str | None = None
        self.first_text: tuple[str, str] | None = None
        self._code = False

    @property
    def _is_text(self) -> bool:
        """Whether the cells seen so far decide that it is a column of texts."""
        texts = self.kinds[Kind.TEXT]
        return self._requested is None and texts > _MOST_ODD and 2 * texts > self.kinds.total()

    def add(self, cells: Sequence[object], batch: Sequence[Row]) -> None:
        if self._is_text or self._requested in (Kind.TEXT, Kind.NESTED) or self._is_regular(cells):
            return
        repeated: dict[object, Kind | None] = {}
        for cell, row in zip(cells, batch, strict=True):
            if isinstance(cell, str):
                if cell not in repeated:
                    repeated[cell] = self._kind_of(cell)
                    self._remember(cell, repeated[cell], row)
                kind = repeated[cell]
            else:
                kind = self._kind_of(cell)
                if kind is Kind.TEXT and self.first_text is None:
                    self.first_text = as_text(cell) or "", row.place
            if kind is not None:
                self.kinds[kind] += 1

    def _is_regular(self, cells: Sequence[object]) -> bool:
        """Counts a batch of cells whose kind is the one seen so far, all at once."""
        likely = next((kind for kind in _FASTEST if self.kinds[kind]), None)
        if likely is None:
            return False
        try:
            lines = "\n".join(cells) + "\n"  # type: ignore[arg-type]
        except TypeError:
            return False
        if lines.count("\n") != len(cells) or not _REGULAR_LINES[likely].fullmatch(lines):
            return False
        self.kinds[likely] += len(cells) - cells.count("")
        return True

    def _remember(self, cell: str, kind: Kind | None, row: Row) -> None:
        if kind is Kind.YES_NO and len(self.words) <= _MOST_ODD:
            self.words.add(cell.strip().lower())
        elif kind is Kind.TEXT:
            if self.first_text is None:
                self.first_text = as_text(cell) or "", row.place
            self._code = self._code or _CODE.fullmatch(cell.strip()) is not None
        elif kind is not None and kind not in DATES and self.currency is None:
            self.currency = split_price(cell.strip())[1]

    @property
    def has_unclear_dates(self) -> bool:
        """Whether no date shows if its day or its month is first."""
        unclear = self.kinds[Kind.EITHER_FIRST] and not self.kinds[Kind.DAY_FIRST]
        return bool(unclear) and self._requested is None

    def kind(self, comma: Kind | None) -> Kind | None:
        """Returns the kind of the whole column. comma: what an unclear comma is."""
        kinds = dict(self.kinds)
        if self._requested in (Kind.TEXT, Kind.NESTED, Kind.DAY_FIRST, Kind.MONTH_FIRST, Kind.BOOL):
            return self._requested
        if kinds.pop(Kind.YES_NO, 0):
            pair = Kind.BOOL if self.words in PAIRS else Kind.TEXT
            kinds[pair] = kinds.get(pair, 0) + self.kinds[Kind.YES_NO]
        if self.currency:
            comma = comma or Kind.GROUPED
        regular = common_kind(set(kinds) - {Kind.TEXT}, comma=comma)
        if self._requested is not None:
            return self._as_requested(regular)
        if Kind.TEXT not in kinds or regular is None or regular is Kind.NESTED:
            return common_kind(set(kinds), comma=comma)
        return regular if self._is_odd(kinds) else Kind.TEXT

    def _as_requested(self, regular: Kind | None) -> Kind:
        if self._requested is Kind.FLOAT:
            return regular if regular in NUMBERS else Kind.FLOAT
        if self._requested is Kind.DATE:
            return regular if regular in DATES else Kind.DATE
        return self._requested or Kind.TEXT

    def _is_odd(self, kinds: Mapping[Kind, int]) -> bool:
        """Whether the texts of a column are a few mistakes among numbers, dates or booleans."""
        texts, total = kinds[Kind.TEXT], sum(kinds.values())
        regular = total - texts
        return (
            not self._code
            and self._requested is None
            and regular >= max(_FEWEST_REGULAR, _REGULAR * total)
        )

    def odd(self, kind: Kind | None) -> OddCell | None:
        """Returns what is odd in the column, if it is of this kind; None where nothing is."""
        texts = self.kinds[Kind.TEXT]
        regular = self.kinds.total() - texts
        if self.first_text is None or not texts or self._requested in (Kind.TEXT, Kind.NESTED):
            return None
        emptied = kind in (NUMBERS | DATES | {Kind.BOOL})
        few = texts <= _MOST_ODD and regular >= 0.9 * (regular + texts)
        return OddCell(*self.first_text, texts, regular, emptied) if emptied or few else None


def _plural(kind: Kind) -> str:
    if kind in NUMBERS:
        return "numbers"
    return "dates" if kind in DATES else "yes or no"


def survey(rows: Rows, table_format: TableFormat = _AS_FOUND) -> Survey:
    """Reads the whole file once, or only a sample where the file declares its types.

    table_format: what the user says of it. Raises InputError for columns that are not there.
    """
    if rows.kinds is not None and rows.count is not None:
        found = _declared(rows, rows.kinds, rows.count, table_format)
    else:
        found = _look_through(rows, table_format)
    table_format.require_columns(found.columns)
    return found


def _declared(
    rows: Rows, kinds: Mapping[str, Kind], count: int, table_format: TableFormat
) -> Survey:
    sample = [row.cells for row in islice(rows, SAMPLE_ROWS) if isinstance(row, Row)]
    requested = {name: table_format.kind(name) for name in kinds}
    return Survey(
        rows.columns,
        {name: requested[name] or kind for name, kind in kinds.items()},
        sample,
        count,
        markup=_markup([name for name, kind in kinds.items() if kind is Kind.TEXT], sample),
        loose=frozenset(name for name, kind in requested.items() if kind),
    )


def _look_through(rows: Rows, table_format: TableFormat) -> Survey:
    columns = {name: _Column(rows, table_format.kind(name)) for name in rows.columns}
    sample: list[Mapping[str, object]] = []
    count = 0
    for batch in _batches(rows):
        count += len(batch)
        sample += [row.cells for row in batch[: SAMPLE_ROWS - len(sample)]]
        for name in () if rows.columns else dict.fromkeys(n for row in batch for n in row.cells):
            if name not in columns:
                columns[name] = _Column(rows, table_format.kind(name))
        for name, column in columns.items():
            column.add([row.cells.get(name) for row in batch], batch)
    return _found(columns, sample, count, table_format)


def _batches(rows: Rows) -> Iterator[list[Row]]:
    readable = (row for row in rows if isinstance(row, Row))
    while batch := list(islice(readable, _BATCH)):
        yield batch


def _found(
    columns: Mapping[str, _Column],
    sample: Sequence[Mapping[str, object]],
    count: int,
    table_format: TableFormat,
) -> Survey:
    comma = table_format.comma
    if comma is None and any(c.kind(None) is Kind.DECIMAL_COMMA for c in columns.values()):
        comma = Kind.DECIMAL_COMMA
    kinds = {name: kind for name, column in columns.items() if (kind := column.kind(comma))}
    odd = {name: cell for name, column in columns.items() if (cell := column.odd(kinds.get(name)))}
    return Survey(
        tuple(columns),
        kinds,
        sample,
        count,
        odd,
        markup=_markup([name for name, kind in kinds.items() if kind is Kind.TEXT], sample),
        currencies={
            name: column.currency
            for name, column in columns.items()
            if column.currency and kinds[name] in NUMBERS and f"{name}_currency" not in columns
        },
        unclear=frozenset(
            name
            for name, kind in kinds.items()
            if kind is Kind.DAY_FIRST and columns[name].has_unclear_dates
        ),
        loose=frozenset(
            name
            for name, kind in kinds.items()
            if kind is not Kind.NESTED
            and (table_format.kind(name) or (name in odd and odd[name].emptied))
        ),
    )


def _markup(names: Sequence[str], sample: Sequence[Mapping[str, object]]) -> frozenset[str]:
    cells = {name: [row.get(name) for row in sample] for name in names}
    return frozenset(
        name
        for name, values in cells.items()
        if holds_markup([value for value in values if isinstance(value, str) and value])
    )


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)
