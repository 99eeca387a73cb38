"""Reads Parquet in batches, with the types that the file declares."""

from collections.abc import Collection, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mmsearch.errors import InputError
from mmsearch.media import SNIFF_BYTES, sniff
from mmsearch.records import printable_path
from mmsearch.sources.rows import BadRow, Row, unique_names
from mmsearch.sources.values import Kind, kind_of_value

ROWS_PER_BATCH = 1_024
# Images of several MB each are held in memory.
_ROWS_PER_BATCH_WITH_IMAGES = 16
_LOOKED_AT = 100


class ParquetRows:
    """A Parquet file. Columns of objects are skipped, and of bytes unless they hold images.

    image_columns: of bytes, or of Hugging Face's struct of bytes and path. Their cells are read by
    `with_images` alone.
    """

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
            name
            for name, field in zip(self.columns, schema, strict=True)
            if _holds_bytes(field.type)
        ]
        self.image_columns = tuple(name for name in in_bytes if self._starts_with_image(name))
        skipped = [f"'{name}'" for name in in_bytes if name not in self.image_columns]
        self.notes = (
            (f"{', '.join(skipped)}: bytes that are no images are not read",) if skipped else ()
        )

    def kind_of(self, value: object) -> Kind | None:
        """Returns the kind of a value; None if it is empty."""
        return kind_of_value(value)

    def __iter__(self) -> Iterator[Row | BadRow]:
        names = [name for name, kind in self.kinds.items() if kind is not Kind.NESTED]
        return self.narrowed(names)

    def with_images(self, columns: Collection[str]) -> Iterator[Row | BadRow]:
        """Yields the rows with the bytes of these columns."""
        names = [name for name, kind in self.kinds.items() if kind is not Kind.NESTED]
        return self.narrowed([*names, *columns], rows_per_batch=_ROWS_PER_BATCH_WITH_IMAGES)

    def narrowed(
        self, columns: Collection[str], *, rows_per_batch: int = ROWS_PER_BATCH
    ) -> Iterator[Row]:
        """Yields the rows with the cells of these columns alone."""
        number = 0
        with self._open() as file:
            for batch in self._batches(file, columns, rows_per_batch):
                for cells in batch:
                    number += 1
                    yield Row(number, f"row {number} of {printable_path(self._path.name)}", cells)

    def _starts_with_image(self, column: str) -> bool:
        """Whether the first cells of a column hold an image."""
        for row in islice(self.narrowed([column], rows_per_batch=1), _LOOKED_AT):
            value = row.cells[column]
            content = value.get("bytes") if isinstance(value, dict) else value
            if isinstance(content, bytes) and sniff(content[:SNIFF_BYTES]) is not None:
                return True
        return False

    def _open(self) -> pq.ParquetFile:
        try:
            return pq.ParquetFile(self._path)
        except FileNotFoundError as error:
            raise InputError(
                f"{printable_path(self._path)} does not exist; check its path"
            ) from error
        except (OSError, pa.ArrowException) as error:
            raise self._damaged(error) from error

    def _batches(
        self, file: pq.ParquetFile, columns: Collection[str], rows_per_batch: int
    ) -> Iterator[list[dict[str, object]]]:
        positions = [i for i, name in enumerate(self.columns) if name in columns]
        names = [self.columns[i] for i in positions]
        own = file.schema_arrow.names
        # Only names that are unique select columns of the file.
        select = [own[i] for i in positions] if len(set(own)) == len(own) else None
        try:
            for batch in file.iter_batches(rows_per_batch, columns=select):
                present = batch.schema.names
                at = positions if select is None else [present.index(name) for name in select]
                values = [_python_values(batch.column(i)) for i in at]
                yield [dict(zip(names, cells, strict=True)) for cells in zip(*values, strict=True)]
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
