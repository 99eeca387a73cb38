"""Rows as Arrow: the schema of the items table, and conversion of vectors and scalars."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa

from mmsearch.records import Floats, Scalar
from mmsearch.store.word_forms import COLUMN as WORD_FORMS

EMBEDDED = "_embedded"
TIME = pa.timestamp("us", "UTC")
PUBLIC_COLUMNS = ("key", "source", "uri", "text", "width", "height", "format")

FAILURES_SCHEMA = pa.schema(
    [
        pa.field("key", pa.string()),
        pa.field("source", pa.string()),
        pa.field("uri", pa.string()),
        pa.field("stage", pa.string()),
        pa.field("reason", pa.string()),
        pa.field("_size", pa.int64()),
        pa.field("_mtime", pa.int64()),
        pa.field("_ctime", pa.int64()),
        pa.field("seen", TIME),
    ]
)


def items_schema(dim: int) -> pa.Schema:
    """Returns the columns of every store; metadata columns are added to them.

    _uid: the id in FAISS. _size (bytes), _mtime, _ctime (ns): of the image file when last read.
    _image_hash, _text_hash, _row_hash: of what the vectors and the metadata were computed from.
    _embedded: what the image file says of itself, as `ingest.embedded` keeps it; null where that
    was not read. _words: the forms of its words, see `word_forms`; null in rows of stores from
    before.
    """
    vector = pa.list_(pa.float16(), dim)
    columns: list[tuple[str, pa.DataType]] = [
        ("_uid", pa.int64()),
        ("key", pa.string()),
        ("source", pa.string()),
        ("uri", pa.string()),
        ("text", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("format", pa.string()),
        ("_size", pa.int64()),
        ("_mtime", pa.int64()),
        ("_ctime", pa.int64()),
        ("_image_hash", pa.string()),
        ("_text_hash", pa.string()),
        ("_row_hash", pa.string()),
        (EMBEDDED, pa.string()),
        (WORD_FORMS, pa.string()),
        ("_missing", TIME),
        ("_indexed", TIME),
        ("_image_vector", vector),
        ("_text_vector", vector),
    ]
    return pa.schema([pa.field(name, kind) for name, kind in columns])


def rows_to_arrow(rows: Sequence[Mapping[str, Any]], schema: pa.Schema) -> pa.Table:
    """Converts rows to a table of the given schema; their metadata is under 'metadata'."""
    columns = {}
    for field in schema:
        if pa.types.is_fixed_size_list(field.type):
            columns[field.name] = numpy_to_vectors([row[field.name] for row in rows], field.type)
        else:
            values = [
                row[field.name] if field.name in row else row["metadata"].get(field.name)
                for row in rows
            ]
            columns[field.name] = pa.array(
                [_as_type(value, field.type) for value in values], type=field.type
            )
    return pa.table(columns, schema=schema)


def numpy_to_vectors(vectors: Sequence[Floats | None], kind: pa.DataType) -> pa.Array:
    """Converts vectors, float (dim,) or None, to a float16 FixedSizeListArray, with one copy."""
    flat = np.zeros((len(vectors), kind.list_size), dtype=np.float16)
    present = np.zeros(len(vectors), dtype=bool)
    for position, vector in enumerate(vectors):
        if vector is not None:
            flat[position], present[position] = vector, True
    return pa.FixedSizeListArray.from_arrays(
        pa.array(flat.reshape(-1)), kind.list_size, mask=pa.array(~present)
    )


def vectors_to_numpy(column: pa.Array, dim: int) -> Floats:
    """Converts a float16 FixedSizeListArray to float32 (n, dim); nulls become zeros."""
    flat = np.zeros((len(column), dim), dtype=np.float32)
    present = column.is_valid().to_numpy(zero_copy_only=False)
    flat[present] = column.flatten().to_numpy(zero_copy_only=False).reshape(-1, dim)
    return flat


def scalar_types(metadata: Mapping[str, Scalar]) -> dict[str, pa.DataType]:
    """Returns the column type of each value that is not None."""
    return {name: _scalar_type(value) for name, value in metadata.items() if value is not None}


def _scalar_type(value: Scalar) -> pa.DataType:
    if isinstance(value, bool):
        return pa.bool_()
    if isinstance(value, int):
        return pa.int64()
    if isinstance(value, float):
        return pa.float64()
    return TIME if isinstance(value, datetime) else pa.string()


def common_type(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    """Returns the type that both can be widened to: float64 for numbers, else string."""
    if one == other:
        return one
    numbers = {pa.int64(), pa.float64()}
    return pa.float64() if one in numbers and other in numbers else pa.string()


def _as_type(value: Any, kind: pa.DataType) -> Any:
    if value is None:
        return None
    if kind == pa.string():
        return value if isinstance(value, str) else str(value)
    return float(value) if kind == pa.float64() else value
