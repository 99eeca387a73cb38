"""Copies a store with the vectors of another model.

Rows are streamed from one table to another in batches; an interrupted copy is started again.
"""

import shutil
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mmsearch.records import Ids
from mmsearch.store.hidden import change_hidden, read_hidden
from mmsearch.store.manifest import Manifest
from mmsearch.store.opening import FAILURES, ITEMS, PARTS, PRUNED, connect
from mmsearch.store.rows import TIME, items_schema
from mmsearch.store.writing import Store

# Each batch is a commit and a fragment of the table.
_ROWS = 32_768
VECTORS = ("_image_vector", "_text_vector")
# The facts about an image file that its vector was computed from.
FACTS = ("width", "height", "format", "_size", "_mtime", "_ctime", "_image_hash")


def vectors_schema(dim: int) -> pa.Schema:
    """Returns the schema of new vectors: uid, facts about the image, and why one is missing."""
    items = items_schema(dim)
    names = ("_uid", *FACTS, *VECTORS)
    return pa.schema([*(items.field(name) for name in names), pa.field("reason", pa.string())])


def rewrite(
    store: Store,
    folder: Path,
    manifest: Manifest,
    vectors: pa.Table,
    *,
    parts: pa.Table,
    when: datetime,
) -> Store:
    """Creates a store in `folder` with the rows, ledger, pruned rows and hidden uids of `store`.

    vectors: by `vectors_schema`, one row per live row. parts: of live rows, by `parts_schema`. A
    live row without a new vector is marked
    missing since `when`; rows that were missing or pruned lose their vectors and hashes, so that
    `index` encodes them when they come back.
    """
    shutil.rmtree(folder / "lance", ignore_errors=True)
    written = Store.create(folder, manifest)
    target, source = connect(folder), connect(store.folder)
    joiner = _Joiner(vectors.sort_by("_uid"), when)
    schema = _with_dim(source.open_table(ITEMS).schema, manifest.space.dim)
    items = source.open_table(ITEMS).search().to_batches(batch_size=_ROWS)
    _write(target, ITEMS, (joiner.joined(batch, schema) for batch in items), schema)
    if parts.num_rows:
        _write(target, PARTS, parts.to_batches(max_chunksize=_ROWS), parts.schema)
    if PRUNED in source.list_tables().tables:
        pruned = source.open_table(PRUNED)
        schema = _with_dim(pruned.schema, manifest.space.dim)
        batches = pruned.search().to_batches(batch_size=_ROWS)
        _write(target, PRUNED, (_bare(batch, schema) for batch in batches), schema)
    ledger = source.open_table(FAILURES).to_arrow()
    _write(target, FAILURES, ledger.to_batches(), ledger.schema)
    change_hidden(folder, hide=read_hidden(store.folder))
    return type(written).open(folder)


class _Joiner:
    """Joins new vectors, sorted by _uid, to batches of rows."""

    def __init__(self, vectors: pa.Table, when: datetime) -> None:
        self._vectors, self._when = vectors, when
        self._uids: Ids = vectors.column("_uid").to_numpy()

    def joined(self, batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
        uids = batch.column("_uid").to_numpy(zero_copy_only=False)
        place = np.searchsorted(self._uids, uids)
        known = np.zeros(len(uids), dtype=bool)
        inside = place < len(self._uids)
        known[inside] = self._uids[place[inside]] == uids[inside]
        found = self._vectors.take(pa.array(place, mask=~known)).combine_chunks()
        live = pa.array(known)
        columns = {name: batch.column(name) for name in batch.schema.names}
        for name in VECTORS:
            columns[name] = _one(found, name)
        for name in FACTS:
            columns[name] = pc.if_else(live, _one(found, name), columns[name])
        columns["_image_hash"] = _one(found, "_image_hash")
        columns["_text_hash"] = pc.if_else(live, columns["_text_hash"], None)
        bare = pc.and_(*(pc.is_null(columns[name]) for name in VECTORS))
        lost = pc.and_(live, bare)
        columns["_missing"] = pc.if_else(lost, pa.scalar(self._when, TIME), columns["_missing"])
        return pa.record_batch([columns[field.name] for field in schema], schema=schema)


def _bare(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Returns the rows without vectors and without the hashes of their inputs."""
    emptied = (*VECTORS, "_image_hash", "_text_hash")
    columns = [
        pa.nulls(len(batch), field.type) if field.name in emptied else batch.column(field.name)
        for field in schema
    ]
    return pa.record_batch(columns, schema=schema)


def _one(table: pa.Table, name: str) -> pa.Array:
    """Returns a column as one array, also of an empty table."""
    column = table.column(name)
    return column.chunk(0) if column.num_chunks else pa.nulls(0, column.type)


def _with_dim(schema: pa.Schema, dim: int) -> pa.Schema:
    fixed = items_schema(dim)
    return pa.schema([fixed.field(f.name) if f.name in VECTORS else f for f in schema])


def _write(db: Any, name: str, batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> None:
    table = db.create_table(name, schema=schema, mode="overwrite")
    # Not as one stream: LanceDB deadlocks where the stream is read from another of its tables.
    for batch in batches:
        # LanceDB treats a missing vector as a bad one; 'null' keeps it missing.
        table.add(pa.Table.from_batches([batch]), on_bad_vectors="null")
