"""Reads JSON lines, one object per line; an invalid line loses only that line."""

import json
from collections.abc import Collection, Iterator
from pathlib import Path

from mmsearch.records import printable_path
from mmsearch.sources.rows import BadRow, Row
from mmsearch.sources.table_bytes import table_bytes
from mmsearch.sources.values import Kind, kind_of_value

# Deeper objects, and those with more fields, are rather data of their own than columns.
_MAX_DEPTH = 4
_MAX_FIELDS = 100


class JsonRows:
    """A JSONL file. Its columns are the keys of its objects."""

    columns: tuple[str, ...] = ()
    kinds = None
    count = None
    image_columns: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __init__(self, path: Path, *, nested: bool = False) -> None:
        """nested: leave objects in an object as they are, rather than as columns."""
        self._path, self._nested = path, nested
        self._file_name = printable_path(path.name)

    def kind_of(self, value: object) -> Kind | None:
        """Returns the kind of a value; None if it is empty."""
        return kind_of_value(value)

    def __iter__(self) -> Iterator[Row | BadRow]:
        with table_bytes(self._path) as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield self._row(line, number)

    def with_images(self, _columns: Collection[str]) -> Iterator[Row | BadRow]:
        """Yields the rows; there are no bytes."""
        return iter(self)

    def _row(self, line: bytes, number: int) -> Row | BadRow:
        place = f"line {number} of {self._file_name}"
        try:
            value = json.loads(line.decode("utf-8-sig" if number == 1 else "utf-8"))
        except UnicodeDecodeError:
            return BadRow(number, f"{place}: not valid UTF-8; save the table as UTF-8")
        except json.JSONDecodeError as error:
            return BadRow(number, f"{place}: not valid JSON at column {error.colno}: {error.msg}")
        except (RecursionError, ValueError) as error:
            # Nesting thousands deep, or a number with thousands of digits.
            return BadRow(number, f"{place}: {error}")
        if self._nested and isinstance(value, dict):
            return Row(number, place, value)
        return object_row(value, number, place)


def object_row(value: object, number: int, place: str) -> Row | BadRow:
    """Returns the row of a JSON value: objects in it become columns such as 'brand_name'."""
    if not isinstance(value, dict):
        return BadRow(number, f"{place}: expected a JSON object, got a {type(value).__name__}")
    cells: dict[str, object] = {}
    for name, cell in value.items():
        _flatten(name.strip() or "column", cell, cells, 1)
    return Row(number, place, cells)


def _flatten(name: str, value: object, cells: dict[str, object], depth: int) -> None:
    if isinstance(value, dict) and depth <= _MAX_DEPTH and 0 < len(value) <= _MAX_FIELDS:
        for field, inner in value.items():
            _flatten(f"{name}_{field.strip()}", inner, cells, depth + 1)
    else:
        # A field that is there already is the one that the user sees in the file.
        cells.setdefault(name, value)
