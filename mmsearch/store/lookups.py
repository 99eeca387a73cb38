"""Lance's own indexes on the items table: full text for keyword search, scalars for filters.

They are updated under the write lock; Lance scans rows that are not indexed yet.
"""

import re
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from mmsearch.store.word_forms import COLUMN as WORD_FORMS

# Columns of names and numbers that people search for; descriptions are already part of 'text'.
_WORD_COLUMN = re.compile(
    r"(^|_)(title|name|headline|brand|maker|manufacturer|model|sku|mpn|ean|gtin|isbn|code|tags?|"
    r"keywords?|category|categories|author|artist|designer|collection|embedded_text)(_|$)"
)
# Below this many rows a scan is faster than an index that must itself be updated.
SCALAR_INDEX_ROWS = 50_000
# A bitmap index stores one set of rows per value.
BITMAP_VALUES = 1_000
# The unindexed rows that Lance can scan without slowing a search.
UNINDEXED_SHARE, UNINDEXED_ROWS = 0.05, 2_000


def word_columns(metadata: Mapping[str, pa.DataType]) -> list[str]:
    """Returns the columns that keyword search covers; keys contain the file names."""
    named = [name for name, kind in metadata.items() if pa.types.is_string(kind)]
    return ["key", "text", *(name for name in named if _WORD_COLUMN.search(name))]


def form_columns(metadata: Mapping[str, pa.DataType]) -> list[str]:
    """Returns the columns whose word forms are kept: those of keyword search, and numeric codes."""
    codes = [
        name
        for name, kind in metadata.items()
        if pa.types.is_integer(kind) and _WORD_COLUMN.search(name)
    ]
    return [*word_columns(metadata), *codes]


def has_form_index(table: Any) -> bool:
    """Whether the table has an index of word forms."""
    return (WORD_FORMS, "FTS") in _present(table)


def has_word_index(table: Any) -> bool:
    """Whether the table has a full-text index."""
    return any(kind == "FTS" for _, kind in _present(table))


def add_word_indexes(table: Any, metadata: Mapping[str, pa.DataType]) -> None:
    """Adds the missing full-text indexes; Lance searches no column without one."""
    from lancedb.index import FTS

    present = _present(table)
    for name in word_columns(metadata):
        if (name, "FTS") not in present:
            # English stems; accents are dropped on both sides.
            config = FTS(stem=True, ascii_folding=True)
            table.create_index(name, config=config, name=f"{name}_words")
    if WORD_FORMS in table.schema.names and (WORD_FORMS, "FTS") not in present:
        # The forms are complete: nothing is stemmed, folded or left out.
        forms = FTS(
            base_tokenizer="whitespace", stem=False, remove_stop_words=False, ascii_folding=False
        )
        table.create_index(WORD_FORMS, config=forms, name="word_forms")


def keep_up_indexes(
    table: Any, metadata: Mapping[str, pa.DataType], *, scalar_rows: int = SCALAR_INDEX_ROWS
) -> None:
    """Adds missing indexes, and updates those with many unindexed rows.

    scalar_rows: the number of rows from which filters get indexes.
    """
    add_word_indexes(table, metadata)
    if len(table) >= scalar_rows:
        indexed = {name for name, kind in _present(table) if kind != "FTS"}
        for name in ({"_uid", "key", "source"} | metadata.keys()) - indexed:
            table.create_index(name, config=_scalar_config(table, name), name=f"{name}_values")
    if _unindexed(table) > max(UNINDEXED_ROWS, UNINDEXED_SHARE * len(table)):
        table.optimize()


def keep_up_part_indexes(table: Any, *, scalar_rows: int = SCALAR_INDEX_ROWS) -> None:
    """Adds the missing indexes of the parts table, by which hits find their parts."""
    from lancedb.index import BTree

    if len(table) >= scalar_rows:
        for name in ("_uid", "item"):
            if (name, "BTree") not in _present(table):
                table.create_index(name, config=BTree(), name=f"{name}_values")
    if _unindexed(table) > max(UNINDEXED_ROWS, UNINDEXED_SHARE * len(table)):
        table.optimize()


def _present(table: Any) -> set[tuple[str, str]]:
    """Returns the (column, kind) of the existing indexes."""
    return {
        (name, str(index.index_type)) for index in table.list_indices() for name in index.columns
    }


def _scalar_config(table: Any, name: str) -> Any:
    from lancedb.index import Bitmap, BTree

    if name in ("_uid", "key"):
        return BTree()
    values = table.search().select([name]).to_arrow().column(name)
    few = (pa.types.is_string(values.type) or pa.types.is_boolean(values.type)) and len(
        values.unique()
    ) <= BITMAP_VALUES
    return Bitmap() if few else BTree()


def _unindexed(table: Any) -> int:
    """Returns the largest number of unindexed rows of any index."""
    found = [table.index_stats(index.name) for index in table.list_indices()]
    return max((stats.num_unindexed_rows for stats in found if stats is not None), default=0)
