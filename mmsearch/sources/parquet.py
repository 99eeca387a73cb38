"""Reads Parquet in batches, with the types that the file declares."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mmsearch.errors import InputError
from mmsearch.records import printable_path
from mmsearch.sources.rows import BadRow, Row, unique_names
from mmsearch.sources.values import Kind, kind_of_value

ROWS_PER_BATCH = 1_024


class ParquetRows:
    """A Parquet file. Columns of objects or bytes are skipped."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._open() as file:
            schema = file.schema_arrow
            self.count = file.metadata.num_rows
        self.columns = unique_names(schema.names)
        self.kinds = {
            name: _kind(field.type) for name, field in zip(self.columns, schema, strict=True)
        }
        in_bytes = [
            f"'{name}'"
            for name, field in zip(self.columns, schema, strict=True)
            if _holds_bytes(field.type)
        ]
        self.notes = (
            (f"{', '.join(in_bytes)}: bytes are not read; write pictures to files and name them",)
            if in_bytes
            else ()
        )

    def kind_of(self, value: object) -> Kind | None:
        """Returns the kind of a value; None if it is empty."""
        return kind_of_value(value)

    def __iter__(self) -> Iterator[Row | BadRow]:
        number = 0
        with self._open() as file:
            for batch in self._batches(file):
                for cells in batch:
                    number += 1
                    yield Row(number, f"row {number} of {printable_path(self._path.name)}", cells)

    def _open(self) -> pq.ParquetFile:
        try:
            return pq.ParquetFile(self._path)
        except FileNotFoundError as error:
            raise InputError(
                f"{printable_path(self._path)} does not exist; check its path"
            ) from error
        except (OSError, pa.ArrowException) as error:
            raise self._damaged(error) from error

    def _batches(self, file: pq.ParquetFile) -> Iterator[list[dict[str, object]]]:
        read = [i for i, kind in enumerate(self.kinds.values()) if kind is not Kind.NESTED]
        names = [self.columns[i] for i in read]
        try:
            for batch in file.iter_batches(ROWS_PER_BATCH):
                columns = [_python_values(batch.column(i)) for i in read]
                yield [dict(zip(names, cells, strict=True)) for cells in zip(*columns, strict=True)]
        except (OSError, pa.ArrowException) as error:
            raise self._damaged(error) from error

    def _damaged(self, error: Exception) -> InputError:
        return InputError(
            f"{printable_path(self._path)} is not a Parquet file, or damaged: {error}; "
            "save it again"
        )


def _kind(kind: Any) -> Kind:
    if pa.types.is_dictionary(kind):
        return _kind(kind.value_type)
    if pa.types.is_boolean(kind):
        return Kind.BOOL
    if pa.types.is_integer(kind):
        return Kind.INT
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return Kind.FLOAT
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        return Kind.DATE
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        inner = _kind(kind.value_type)
        return Kind.NESTED if inner in (Kind.NESTED, Kind.DATE) else Kind.TEXT
    is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    return Kind.TEXT if is_text or pa.types.is_string_view(kind) else Kind.NESTED


def _holds_bytes(kind: Any) -> bool:
    if pa.types.is_struct(kind):
        return any(_holds_bytes(kind.field(i).type) for i in range(kind.num_fields))
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _python_values(column: Any) -> list[object]:
    if pa.types.is_timestamp(column.type):
        # Python's datetime holds microseconds; a nanosecond would raise.
        column = column.cast(pa.timestamp("us", column.type.tz), safe=False)
    return list(column.to_pylist())
