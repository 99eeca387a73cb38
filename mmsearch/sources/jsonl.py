"""Reads JSON lines, one object per line; an invalid line loses only that line."""

import json
from collections.abc import Collection, Iterator
from pathlib import Path

from mmsearch.records import printable_path
from mmsearch.sources.rows import BadRow, Row
from mmsearch.sources.table_bytes import table_bytes
from mmsearch.sources.values import Kind, kind_of_value


class JsonRows:
    """A JSONL file. Its columns are the keys of its objects."""

    columns: tuple[str, ...] = ()
    kinds = None
    count = None
    image_columns: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __init__(self, path: Path) -> None:
        self._path = path
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
        if not isinstance(value, dict):
            kind = type(value).__name__
            return BadRow(number, f"{place}: expected a JSON object, got a {kind}")
        return Row(number, place, {name.strip() or "column": cell for name, cell in value.items()})
