"""Reads a JSON array of objects, as shops' APIs and scrapers write it, object by object."""

import json
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TextIO

from mmsearch.records import printable_path
from mmsearch.sources.delimited import text_of
from mmsearch.sources.jsonl import object_row
from mmsearch.sources.rows import BadRow, Row
from mmsearch.sources.table_bytes import find_encoding, table_bytes
from mmsearch.sources.values import Kind, kind_of_value

# The array is all of the file, or the first field of an object: {"products": [{…
_START = re.compile(r'\ufeff?\s*(?:\{\s*"[^"\\]{1,100}"\s*:\s*)?\[\s*(?=[{\]])')
_BETWEEN = re.compile(r"[\s,]*")
_START_CHARACTERS = 4_096
_CHUNK = 2**18
# An object of a table is far smaller; without a bound, a damaged file would be read as a whole.
_MAX_OBJECT = 64 * 2**20


def starts_as_array(path: Path) -> bool:
    """Whether a file is a JSON array of objects by its first characters. Raises InputError."""
    with table_bytes(path) as file:
        start = file.read(_START_CHARACTERS)
    encoding = "utf-16" if start[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8"
    return _START.match(start.decode(encoding, errors="ignore")) is not None


class JsonArrayRows:
    """A JSON file whose array of objects are its rows. Its columns are the keys of the objects."""

    columns: tuple[str, ...] = ()
    kinds = None
    count = None
    image_columns: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __init__(self, path: Path) -> None:
        self._path, self._encoding = path, find_encoding(path)
        self._file_name = printable_path(path.name)

    def kind_of(self, value: object) -> Kind | None:
        """Returns the kind of a value; None if it is empty."""
        return kind_of_value(value)

    def __iter__(self) -> Iterator[Row | BadRow]:
        with table_bytes(self._path) as file, text_of(file, self._encoding) as text:
            yield from self._rows(text)

    def with_images(self, _columns: Collection[str]) -> Iterator[Row | BadRow]:
        """Yields the rows; there are no bytes."""
        return iter(self)

    def _rows(self, text: TextIO) -> Iterator[Row | BadRow]:
        decoder, number = json.JSONDecoder(), 0
        buffer = text.read(_CHUNK)
        found = _START.match(buffer)
        position = found.end() if found else 0
        while True:
            number += 1
            place = f"object {number} of {self._file_name}"
            wanted = _CHUNK
            while True:
                position = _between(buffer, position)
                try:
                    if buffer[position : position + 1] == "]":
                        return
                    value, position = decoder.raw_decode(buffer, position)
                    break
                except (json.JSONDecodeError, RecursionError, ValueError) as error:
                    # The rest of the object may not have been read yet.
                    more = text.read(wanted) if len(buffer) - position < _MAX_OBJECT else ""
                    if not more or isinstance(error, RecursionError):
                        yield BadRow(number, f"{place}: not valid JSON: {error}; the rest is lost")
                        return
                    buffer, position, wanted = buffer[position:] + more, 0, 2 * wanted
            yield object_row(value, number, place)


def _between(buffer: str, position: int) -> int:
    found = _BETWEEN.match(buffer, position)
    return found.end() if found else position
