"""Chooses the reader of a table file by its name; all readers hold at most a batch in memory."""

from pathlib import Path
from typing import Final

from mmsearch.errors import InputError
from mmsearch.records import printable_path
from mmsearch.sources.delimited import DelimitedRows, names_images
from mmsearch.sources.json_arrays import JsonArrayRows, starts_as_array
from mmsearch.sources.jsonl import JsonRows
from mmsearch.sources.rows import Rows
from mmsearch.sources.table_format import TableFormat

_AS_FOUND: Final = TableFormat()
_PACKED = ("", ".gz", ".zst")
_DELIMITED = tuple(kind + packed for packed in _PACKED for kind in (".csv", ".tsv"))
_JSON_LINES = tuple(kind + packed for packed in _PACKED for kind in (".jsonl", ".ndjson"))
_JSON = tuple(f".json{packed}" for packed in _PACKED)
_PARQUET = (".parquet", ".pq")
_SPREADSHEETS = (".xlsx", ".ods", ".xls")
_BY_NAME = (*_DELIMITED, *_JSON_LINES, *_PARQUET, *_SPREADSHEETS)
TABLE_SUFFIXES = (*_BY_NAME, *_JSON, ".txt")


def is_table(path: Path) -> bool:
    """Whether a file is a table: by its name, and a .json or .txt by its first characters."""
    name = path.name.lower()
    if name.endswith(_BY_NAME):
        return True
    try:
        if name.endswith(_JSON):
            return starts_as_array(path)
        return name.endswith(".txt") and names_images(path)
    except (InputError, OSError):
        return False


def open_rows(path: Path, table_format: TableFormat = _AS_FOUND, *, nested: bool = False) -> Rows:
    """Opens a table file. Raises InputError if it has no table format or a damaged start.

    nested: leave objects in JSON lines as they are.
    """
    name = path.name.lower()
    if name.endswith((*_DELIMITED, ".txt")):
        return DelimitedRows(path, table_format)
    if name.endswith(_JSON) and starts_as_array(path):
        return JsonArrayRows(path)
    if name.endswith((*_JSON_LINES, *_JSON)):
        return JsonRows(path, nested=nested)
    if name.endswith(_SPREADSHEETS):
        from mmsearch.sources.spreadsheets import SpreadsheetRows

        return SpreadsheetRows(path)
    if name.endswith(_PARQUET):
        # pyarrow takes 0.2 s to import, and other tables do without it.
        from mmsearch.sources.parquet import ParquetRows

        return ParquetRows(path)
    raise InputError(
        f"{printable_path(path)} is not a table that mmsearch reads; save it as "
        f"{', '.join(kind for kind in TABLE_SUFFIXES if kind.count('.') == 1)}"
    )
