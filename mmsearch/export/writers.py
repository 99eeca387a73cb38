"""Writes batches of rows with vectors as Parquet, as a Lance dataset, or as a NumPy array."""

import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mmsearch.errors import InputError
from mmsearch.files import replaced_file, write_atomically
from mmsearch.records import Target, printable_path

SUFFIXES = (".parquet", ".lance", ".npy")


@dataclass(frozen=True, slots=True)
class ExportedRows:
    """Rows to write. batches: `count` rows of the schema, whose last columns are the vectors."""

    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]
    count: int
    targets: Sequence[Target]


def files_of(path: Path) -> tuple[Path, ...]:
    """Returns all files that an export to `path` writes."""
    if path.suffix.lower() != ".npy":
        return (path,)
    return (path, path.with_suffix(".jsonl"), path.with_suffix(".json"))


def write_rows(rows: ExportedRows, path: Path, *, advance: Callable[[int], None]) -> None:
    """Writes the format that the suffix names; `advance` receives the rows of each batch.

    Raises InputError.
    """
    write = {".parquet": _write_parquet, ".lance": _write_lance, ".npy": _write_numpy}.get(
        path.suffix.lower()
    )
    if write is None:
        raise InputError(
            f"{printable_path(path)} has none of the suffixes {', '.join(SUFFIXES)}; name the "
            "file by its format"
        )
    try:
        write(rows, path, advance)
    except OSError as error:
        raise InputError(
            f"cannot write {printable_path(path)} ({error.strerror or error}); check its folder "
            "and the room on its disk"
        ) from error


def _write_parquet(rows: ExportedRows, path: Path, advance: Callable[[int], None]) -> None:
    with replaced_file(path) as stream, pq.ParquetWriter(stream, rows.schema) as file:
        for batch in rows.batches:
            file.write_batch(batch)
            advance(batch.num_rows)


def _write_lance(rows: ExportedRows, path: Path, advance: Callable[[int], None]) -> None:
    """Writes a dataset beside its place and moves it there, which replaces an older one."""
    # LanceDB takes a second to import.
    import lancedb

    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        table = lancedb.connect(str(part)).create_table(path.stem, schema=rows.schema)
        for batch in rows.batches:
            # LanceDB treats a missing vector as a bad one; 'null' keeps it missing.
            table.add(pa.Table.from_batches([batch]), on_bad_vectors="null")
            advance(batch.num_rows)
        if path.is_dir():
            path.rename(part / "replaced")
        (part / f"{path.stem}.lance").rename(path)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _write_numpy(rows: ExportedRows, path: Path, advance: Callable[[int], None]) -> None:
    """Writes the vectors, shape (n, dim), and beside them the rows as JSONL in the same order."""
    if len(rows.targets) != 1:
        raise InputError(
            f"a NumPy file holds one kind of vector, here are {', '.join(rows.targets)}; name one "
            "with `target`, or write a .parquet file"
        )
    vectors = rows.schema.field(len(rows.schema) - 1)
    number = np.dtype(vectors.type.value_type.to_pandas_dtype())
    names = rows.schema.names[:-1]
    header = {
        "descr": number.newbyteorder("<").str,
        "fortran_order": False,
        "shape": (rows.count, vectors.type.list_size),
    }
    _, rows_path, about_path = files_of(path)
    with ExitStack() as files:
        array = files.enter_context(replaced_file(path))
        lines = files.enter_context(replaced_file(rows_path))
        np.lib.format.write_array_header_1_0(array, header)
        for batch in rows.batches:
            values = batch.column(vectors.name).flatten().to_numpy(zero_copy_only=False)
            array.write(values.astype(header["descr"]).tobytes())
            for row in batch.select(names).to_pylist():
                lines.write(json.dumps(row, ensure_ascii=False, default=_plain).encode() + b"\n")
            advance(batch.num_rows)
    space = json.loads(rows.schema.metadata[b"mmsearch.space"])
    about = {"target": rows.targets[0], "count": rows.count, "space": space}
    write_atomically(about_path, json.dumps(about, indent=2, ensure_ascii=False))


def _plain(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no form in JSON")
