"""Targets that are searched by Lance's own index.

Image and text vectors are indexed in the items table. Vectors that no column of it holds are
indexed in a table of their own: product vectors, and those of a target where some items have parts.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from mmsearch.generations.vectors import COLUMNS, StoredVectors
from mmsearch.indexes import IndexMeta, IndexOptions, VectorBatches
from mmsearch.indexes.lance_index import (
    KIND,
    LanceIndex,
    build_lance,
    lance_meta,
    open_lance,
    rows_of,
    vectors_schema,
)
from mmsearch.records import Floats, Ids, Target
from mmsearch.store import ITEMS, Store
from mmsearch.store.filters import LIVE

# The own table of each target.
TABLES: Mapping[Target, str] = {
    "image": "image_parts",
    "text": "passages",
    "product": "products",
}
# Rows per write: each leaves a fragment, and hundreds of them slow every search.
ROWS_AT_ONCE = 131_072


def build_lance_target(
    vectors: StoredVectors, *, why: str, options: IndexOptions, queries: Mapping[str, Floats]
) -> IndexMeta:
    """Trains and tunes an index, and returns its metadata.

    vectors: of all live rows. Call it under the store's write lock.
    """
    store, target = vectors.store, vectors.target
    if target == "product" or vectors.parts is not None:
        name, column = TABLES[target], f"_{target}_vector"
        schema = vectors_schema(store.dim, column)
        table = store.replace_table(name, schema)
        for rows in _rows(vectors, schema):
            table.add(rows)
        index = LanceIndex(table, column)
    else:
        name, index = ITEMS, LanceIndex(store.items, COLUMNS[target][0], live=LIVE)
    build_lance(index, vectors, why=why, options=options, queries=queries, parts=vectors.parts)
    return lance_meta(index, name)


def update_lance_target(
    store: Store, meta: IndexMeta, *, gone: Ids, appended: VectorBatches, changes: int
) -> IndexMeta:
    """Adds new rows to an index, removes deleted ones from its own table; returns its metadata.

    gone: deleted uids. appended: the new rows. changes: since it was trained. Call it under the
    store's write lock.
    """
    table, column = str(meta.extra["table"]), str(meta.extra["column"])
    if table == ITEMS:
        index = LanceIndex(store.items, column, live=LIVE)
    else:
        index = LanceIndex(store.open_table(table), column)
        index.remove(gone)
        for vectors, ids in appended:
            index.add(vectors, ids)
    index.optimize()
    here = {"version": int(index.table.version)}
    return replace(meta, count=len(index), changes=changes, extra={**meta.extra, **here})


def open_lance_target(folder: Path, meta: IndexMeta, version: int | None) -> LanceIndex:
    """Opens an index of the store in `folder`. Raises CorruptIndex.

    version: of the items table, for a target that is indexed there; None: the version indexed.
    """
    if not follows_table(meta):
        return open_lance(folder / "lance", meta)
    if version is not None:
        meta = replace(meta, extra={**meta.extra, "version": version})
    return open_lance(folder / "lance", meta, live=LIVE)


def follows_table(meta: IndexMeta) -> bool:
    """Whether the index searches the items table itself, and so is never behind it."""
    return meta.kind == KIND and meta.extra["table"] == ITEMS


def drop_lance_indexes(store: Store) -> None:
    """Drops Lance's vector indexes of the items table, once another kind replaces them."""
    for index in store.items.list_indices():
        if index.name.endswith("_cells"):
            store.items.drop_index(index.name)


def _rows(batches: VectorBatches, schema: pa.Schema) -> Iterator[pa.Table]:
    """Yields the vectors in tables of about ROWS_AT_ONCE rows."""
    parts: list[pa.Table] = []
    for vectors, ids in batches:
        parts.append(rows_of(vectors, ids, schema))
        if sum(map(len, parts)) >= ROWS_AT_ONCE:
            yield pa.concat_tables(parts)
            parts = []
    if parts:
        yield pa.concat_tables(parts)
