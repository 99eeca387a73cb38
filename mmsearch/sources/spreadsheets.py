"""Reads the first sheet of a spreadsheet that has rows: .xlsx, .xls or .ods."""

import zipfile
from collections.abc import Collection, Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Final

from python_calamine import CalamineError, CalamineWorkbook

from mmsearch.errors import InputError
from mmsearch.records import printable_path
from mmsearch.sources.rows import BadRow, Row, unique_names
from mmsearch.sources.values import Kind, kind_of_cell, kind_of_value

# A sheet is held in memory as a whole.
_MAX_BYTES: Final = 2**30


class SpreadsheetRows:
    """A sheet whose first row that is not blank names the columns."""

    kinds = None
    count = None
    image_columns: tuple[str, ...] = ()

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file_name = printable_path(path.name)
        _require_bounded(path)
        for name in self._open().sheet_names:
            sheet = self._sheet(name)
            position = next((i for i, cells in enumerate(sheet) if any(map(_filled, cells))), None)
            if position is not None:
                break
        else:
            raise InputError(
                f"{printable_path(path)} is empty; its first row must name the columns"
            )
        self._sheet_name, self._header = name, position
        last = max(i for i, cell in enumerate(sheet[position]) if _filled(cell))
        self.columns = unique_names(str(cell) for cell in sheet[position][: last + 1])
        others = [f"'{other}'" for other in self._open().sheet_names if other != name]
        self.notes = (f"the sheet '{name}' is read; {', '.join(others)} are not",) if others else ()

    def kind_of(self, value: object) -> Kind | None:
        """Returns the kind of a cell; None if it is empty."""
        return kind_of_cell(value) if isinstance(value, str) else kind_of_value(value)

    def __iter__(self) -> Iterator[Row | BadRow]:
        rows = self._sheet(self._sheet_name)[self._header + 1 :]
        for number, cells in enumerate(rows, 1):
            if any(map(_filled, cells)):
                place = f"row {number} of {self._file_name}, line {number + self._header + 1}"
                values = map(_value, cells[: len(self.columns)])
                yield Row(number, place, dict(zip(self.columns, values, strict=False)))

    def with_images(self, _columns: Collection[str]) -> Iterator[Row | BadRow]:
        """Yields the rows; there are no bytes."""
        return iter(self)

    def _open(self) -> CalamineWorkbook:
        try:
            return CalamineWorkbook.from_path(str(self._path))
        except (CalamineError, OSError) as error:
            raise self._damaged(error) from error

    def _sheet(self, name: str) -> Sequence[Sequence[object]]:
        try:
            sheet = self._open().get_sheet_by_name(name)
            return sheet.to_python(skip_empty_area=False)
        except (CalamineError, OSError, ValueError) as error:
            raise self._damaged(error) from error

    def _damaged(self, error: Exception) -> InputError:
        return InputError(
            f"{printable_path(self._path)} cannot be read as a spreadsheet: {error}; save it again"
        )


def _require_bounded(path: Path) -> None:
    """Raises InputError for a file that is larger than the bound when it is unpacked."""
    try:
        size = path.stat().st_size
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                size = sum(member.file_size for member in archive.infolist())
    except FileNotFoundError as error:
        raise InputError(f"{printable_path(path)} does not exist; check its path") from error
    except (OSError, zipfile.BadZipFile) as error:
        raise InputError(f"{printable_path(path)} cannot be read: {error}") from error
    if size > _MAX_BYTES:
        raise InputError(
            f"{printable_path(path)} unpacks to {size / 2**30:.1f} GiB, and a spreadsheet is held "
            "in memory; save it as CSV"
        )


def _filled(cell: object) -> bool:
    return cell is not None and str(cell).strip() != ""


def _value(cell: object) -> object:
    # Spreadsheets have no whole numbers.
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 2**53:
        return int(cell)
    return cell if isinstance(cell, str | bool | int | float | date) else str(cell)
