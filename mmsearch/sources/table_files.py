"""Chooses the reader of a table file by its name; all readers hold at most a batch in memory."""

from pathlib import Path
from typing import Final

from mmsearch.errors import InputError
from mmsearch.records import printable_path
from mmsearch.sources.delimited import DelimitedRows
from mmsearch.sources.jsonl import JsonRows
from mmsearch.sources.rows import Rows
from mmsearch.sources.table_format import TableFormat

_DELIMITED = (".csv", ".tsv", ".csv.gz", ".tsv.gz")
_JSON_LINES = (".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz")
_PARQUET = (".parquet", ".pq")
_AS_FOUND: Final = TableFormat()
TABLE_SUFFIXES = (*_DELIMITED, *_JSON_LINES, *_PARQUET)


def is_table(path: Path) -> bool:
    """Whether a file is a table by its name."""
    return path.name.lower().endswith(TABLE_SUFFIXES)


def open_rows(path: Path, table_format: TableFormat = _AS_FOUND) -> Rows:
    """Opens a table file. Raises InputError if it has no table format or a damaged start."""
    name = path.name.lower()
    if name.endswith(_DELIMITED):
        return DelimitedRows(path, table_format)
    if name.endswith(_JSON_LINES):
        return JsonRows(path)
    if name.endswith(_PARQUET):
        # pyarrow takes 0.2 s to import, and other tables do without it.
        from mmsearch.sources.parquet import ParquetRows

        return ParquetRows(path)
    raise InputError(
        f"{printable_path(path)} is not a table that mmsearch reads; save it as "
        f"{', '.join(kind for kind in TABLE_SUFFIXES if kind.count('.') == 1)}"
    )
