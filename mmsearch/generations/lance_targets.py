"""Targets that are searched by Lance's own index.

Image and text vectors are indexed in the items table; product vectors, which no column holds, in a
table of their own.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

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
from mmsearch.records import Floats, Ids
from mmsearch.store import ITEMS, Store
from mmsearch.store.filters import LIVE

PRODUCTS, VECTOR = "products", "_product_vector"
# Rows per write: each leaves a fragment, and hundreds of them slow every search.
ROWS_AT_ONCE = 131_072


def build_lance_target(
    store: Store,
    column: str | None,
    batches: VectorBatches,
    *,
    why: str,
    options: IndexOptions,
    queries: Mapping[str, Floats],
) -> IndexMeta:
    """Trains and tunes an index, and returns its metadata.

    column: of the items table; None for product vectors. batches: the live rows' vectors. Call it
    under the store's write lock.
    """
    if column is None:
        schema = vectors_schema(store.dim, VECTOR)
        table = store.replace_table(PRODUCTS, schema)
        for rows in _rows(batches, schema):
            table.add(rows)
        name, index = PRODUCTS, LanceIndex(table, VECTOR)
    else:
        name, index = ITEMS, LanceIndex(store.items, column, live=LIVE)
    build_lance(index, batches, why=why, options=options, queries=queries)
    return lance_meta(index, name)


def update_lance_target(
    store: Store, meta: IndexMeta, *, gone: Ids, appended: VectorBatches, changes: int
) -> IndexMeta:
    """Adds new rows to an index, removes deleted ones from that of products; returns its metadata.

    gone: deleted uids. appended: the new rows. changes: since it was trained. Call it under the
    store's write lock.
    """
    column = str(meta.extra["column"])
    if meta.extra["table"] == PRODUCTS:
        index = LanceIndex(store.open_table(PRODUCTS), column)
        index.remove(gone)
        for vectors, ids in appended:
            index.add(vectors, ids)
    else:
        index = LanceIndex(store.items, column, live=LIVE)
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
