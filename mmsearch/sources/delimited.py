"""Reads CSV and TSV row by row, so that a ragged row or a bad byte loses only that row.

Uses Python's reader instead of pyarrow's, which infers a column's type from the first block, fails
where a later one differs, and would turn the code '00123' into a number.
"""

import csv
import io
import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Final

from mmsearch.errors import InputError
from mmsearch.media.encodings import encoding_name
from mmsearch.records import printable_path
from mmsearch.sources.rows import BadRow, Row, unique_names
from mmsearch.sources.table_bytes import find_encoding, table_bytes
from mmsearch.sources.values import Kind, kind_of_cell

# Python's own limit is 131,072 characters, which a product page's HTML exceeds.
MAX_CELL: Final = 16 * 2**20
_DELIMITERS = ",;\t|"
_SEP_LINE = re.compile(r'"?sep=(.)"?', re.IGNORECASE)
_EXAMINED_BYTES = 2**16


class DelimitedRows:
    """A CSV or TSV file.

    The delimiter of a .csv is the one in a first line 'sep=;', as Excel writes it, else the one
    that splits most of the first rows into as many cells as the header has.
    """

    kinds = None
    count = None
    image_columns: tuple[str, ...] = ()

    def __init__(self, path: Path) -> None:
        self._path = path
        self._encoding = find_encoding(path)
        header = self._read_header()
        self.columns = unique_names(header)
        self.notes = self._notes(header)

    def kind_of(self, value: object) -> Kind | None:
        """Returns the kind of a cell; None if it is empty."""
        return kind_of_cell(value) if isinstance(value, str) else None

    def __iter__(self) -> Iterator[Row | BadRow]:
        csv.field_size_limit(max(csv.field_size_limit(), MAX_CELL))
        with table_bytes(self._path) as file, self._text(file) as text:
            if self._has_sep_line:
                next(text)
            lines = csv.reader(text, delimiter=self._delimiter)
            rows = _rows(lines)
            next(rows)  # the header
            for number, cells in enumerate(rows, 1):
                yield self._row(cells, number, lines.line_num + self._has_sep_line)

    def with_images(self, _columns: Collection[str]) -> Iterator[Row | BadRow]:
        """Yields the rows; there are no bytes."""
        return iter(self)

    def _row(self, cells: list[str] | str, number: int, line: int) -> Row | BadRow:
        place = f"row {number} of {printable_path(self._path.name)}"
        if isinstance(cells, str):
            return BadRow(number, f"{place}, line {line}: {cells}")
        if len(cells) != len(self.columns):
            swallowed = any(cell.count("\n") > 20 for cell in cells)
            hint = "; is a quotation mark left open?" if swallowed else ""
            return BadRow(
                number,
                f"{place}, line {line}: {len(cells)} cells where the header has "
                f"{len(self.columns)}{hint}",
            )
        if _has_bad_bytes("".join(cells)):
            return BadRow(number, f"{place}, line {line}: not valid UTF-8; save the table as UTF-8")
        return Row(number, place, dict(zip(self.columns, cells, strict=True)))

    def _text(self, file: io.BufferedIOBase | object) -> io.TextIOWrapper:
        # Bytes that are not UTF-8 become surrogates, by which their row is recognised.
        errors = "surrogateescape" if self._encoding == "utf-8-sig" else "replace"
        return io.TextIOWrapper(
            file,  # type: ignore[arg-type]
            encoding=self._encoding,
            errors=errors,
            newline="",
        )

    def _read_header(self) -> list[str]:
        """Reads the names of the columns, after finding the delimiter. Raises InputError."""
        with table_bytes(self._path) as file, self._text(file) as text:
            lines = text.readlines(_EXAMINED_BYTES)
        named = _SEP_LINE.fullmatch(lines[0].strip()) if lines else None
        self._has_sep_line = named is not None
        lines = lines[self._has_sep_line :]
        if named:
            self._delimiter = named[1]
        elif self._path.name.lower().removesuffix(".gz").endswith(".tsv"):
            self._delimiter = "\t"
        else:
            self._delimiter = max(_DELIMITERS, key=lambda delimiter: _fit(lines, delimiter))
        header = next(_rows(csv.reader(lines, delimiter=self._delimiter)), [])
        if isinstance(header, str):
            raise InputError(f"{printable_path(self._path)} has no readable header: {header}")
        if not header:
            raise InputError(
                f"{printable_path(self._path)} is empty; its first row must name the columns"
            )
        return header

    def _notes(self, header: list[str]) -> tuple[str, ...]:
        notes = []
        if self._encoding not in ("utf-8-sig", "utf-16", "utf-32"):
            name = encoding_name(self._encoding)
            notes.append(f"read as {name}; save it as UTF-8 if letters look wrong")
        renamed = [
            f"'{new}'" for new, old in zip(self.columns, header, strict=True) if new != old.strip()
        ]
        if renamed:
            notes.append(f"columns without a name of their own are called {', '.join(renamed)}")
        return tuple(notes)


def _fit(lines: Sequence[str], delimiter: str) -> tuple[int, int]:
    """Returns how well a delimiter fits: rows with as many cells as the header, and that number."""
    rows = _rows(csv.reader(lines, delimiter=delimiter))
    widths = [len(cells) for cells in rows if not isinstance(cells, str)]
    return (widths.count(widths[0]), widths[0]) if widths and widths[0] > 1 else (0, 0)


def _rows(lines: Iterator[list[str]]) -> Iterator[list[str] | str]:
    """Yields the cells of each row, or the error of a row that cannot be parsed.

    Blank rows, which spreadsheets leave at the end, are skipped.
    """
    while True:
        try:
            cells = next(lines)
        except StopIteration:
            return
        except csv.Error as error:
            yield str(error)
        else:
            if any(cell.strip() for cell in cells):
                yield cells


def _has_bad_bytes(cells: str) -> bool:
    return not cells.isascii() and any("\udc80" <= c <= "\udcff" for c in cells)
