"""The parts of items with several images or passages, in a table of their own.

An item of one image and one passage has no parts, and a store without parts has no such table. The
parts of an item are written once, before its row, and refer to it by uid: an item whose parts
change gets a new uid and new parts. A part whose item is no live row is therefore never read, and
`Store.remove_orphaned_parts` deletes it.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mmsearch.records import Floats, Ids, Part, PartKind
from mmsearch.store.filters import LIVE
from mmsearch.store.opening import StoreTables
from mmsearch.store.rows import numpy_to_vectors, vectors_to_numpy
from mmsearch.store.snapshot import parts_of

PUBLIC_PART_COLUMNS = (
    "kind", "number", "uri", "text", "start", "end", "width", "height", "format",
)  # fmt: skip
# More items than this are looked up in a scan of the whole table.
_LISTED_ITEMS = 1_000
# Rows per batch with and without vectors, as in `reading`.
_VECTOR_ROWS, _ROWS = 8192, 65_536


def parts_schema(dim: int) -> pa.Schema:
    """Returns the columns of the parts table.

    _uid: from the same counter as those of items. item: the uid of the item's row. number: from 1,
    within the kind. text, start, end: of a passage, and its characters in the item's text. _size
    (bytes), _mtime, _ctime (ns): of the image file. _hash: of the image or the passage.
    """
    columns: list[tuple[str, pa.DataType]] = [
        ("_uid", pa.int64()),
        ("item", pa.int64()),
        ("kind", pa.string()),
        ("number", pa.int32()),
        ("uri", pa.string()),
        ("text", pa.string()),
        ("start", pa.int32()),
        ("end", pa.int32()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("format", pa.string()),
        ("_size", pa.int64()),
        ("_mtime", pa.int64()),
        ("_ctime", pa.int64()),
        ("_hash", pa.string()),
        ("_vector", pa.list_(pa.float16(), dim)),
    ]
    return pa.schema([pa.field(name, kind) for name, kind in columns])


def parts_to_arrow(parts: Sequence[Mapping[str, Any]], dim: int) -> pa.Table:
    """Converts parts to a table; a column that a part lacks is null in its row."""
    schema = parts_schema(dim)
    columns = [
        numpy_to_vectors([part["_vector"] for part in parts], field.type)
        if field.name == "_vector"
        else pa.array([part.get(field.name) for part in parts], field.type)
        for field in schema
    ]
    return pa.table(columns, schema=schema)


def parts_by_uid(rows: pa.Table) -> dict[int, Part]:
    """Returns parts by uid. rows: all of some items, as `PartReader.parts_of` returns them."""
    listed = rows.select(["_uid", "item", *PUBLIC_PART_COLUMNS]).to_pylist()
    counts = Counter((row["item"], row["kind"]) for row in listed)
    names = ("kind", "number", "uri", "text", "start", "end")
    return {
        row["_uid"]: Part(
            **{name: row[name] for name in names}, of=counts[row["item"], row["kind"]]
        )
        for row in listed
    }


class PartReader(StoreTables):
    """The read access to the parts of a store; `StoreReader` adds the items."""

    def parts_of(self, items: Sequence[int] | None, *, extra: Sequence[str] = ()) -> pa.Table:
        """Returns the parts of the items of these uids, by item, kind and number.

        items: None for all, whether their rows are live or not. The columns are `_uid`, `item`,
        PUBLIC_PART_COLUMNS and `extra`, such as `_vector`.
        """
        kept = self._snapshot.parts if self._snapshot is not None else None
        if kept is not None and items is not None and not extra:
            return parts_of(kept, items)
        names = ["_uid", "item", *PUBLIC_PART_COLUMNS, *extra]
        if not self.has_parts or (items is not None and not len(items)):
            return parts_schema(self.dim).empty_table().select(names)
        query = self._parts.search().select(names)
        if items is not None and len(items) <= _LISTED_ITEMS:
            query = query.where(f"item IN ({', '.join(str(int(uid)) for uid in items)})")
        found = query.to_batches(batch_size=_ROWS).read_all()
        if items is not None and len(items) > _LISTED_ITEMS:
            found = found.filter(pc.is_in(found.column("item"), pa.array(items, pa.int64())))
        return found.sort_by([(name, "ascending") for name in ("item", "kind", "number")])

    def part_rows(self, uids: Sequence[int], columns: Sequence[str]) -> pa.Table:
        """Returns columns of the parts of these uids, in no particular order."""
        if not self.has_parts or not uids:
            return parts_schema(self.dim).empty_table().select(columns)
        listed = ", ".join(str(int(uid)) for uid in uids)
        query = self._parts.search().where(f"_uid IN ({listed})").select(list(columns))
        return query.to_batches(batch_size=_ROWS).read_all()

    def known_images(self, columns: Sequence[str]) -> pa.Table | None:
        """Returns columns of the images of items with several, live or not; None without any."""
        if not self.has_parts:
            return None
        query = self._parts.search().where("kind = 'image'").select(list(columns))
        return query.to_batches(batch_size=_ROWS).read_all()

    def part_items(self, kind: PartKind, *, since: int = 0) -> tuple[Ids, Ids]:
        """Returns the uids of the parts of live items, ascending, and those of their items.

        Both are int64 (n,). since: parts with this uid or a larger one.
        """
        if not self.has_parts:
            return np.empty(0, np.int64), np.empty(0, np.int64)
        query = self._parts.search().where(_of_kind(kind, since)).select(["_uid", "item"])
        found = query.to_batches(batch_size=_ROWS).read_all().sort_by("_uid")
        live = np.isin(items := found.column("item").to_numpy(), self._live_items())
        return found.column("_uid").to_numpy()[live], items[live]

    def part_vectors(self, kind: PartKind, *, since: int = 0) -> Iterator[tuple[Ids, Ids, Floats]]:
        """Yields uids of parts of live items, uids of these items, int64 (n,), and their vectors.

        The vectors are float32 (n, dim). since: as in `part_items`.
        """
        if not self.has_parts:
            return
        items = self._live_items()
        query = self._parts.search().where(_of_kind(kind, since))
        query = query.select(["_uid", "item", "_vector"])
        for batch in query.to_batches(batch_size=_VECTOR_ROWS):
            uids, owners = (
                batch.column(name).to_numpy(zero_copy_only=False) for name in ("_uid", "item")
            )
            live = np.isin(owners, items)
            if live.any():
                vectors = vectors_to_numpy(batch.column("_vector"), self.dim)
                yield uids[live], owners[live], vectors[live]

    def count_parts(self, kind: PartKind) -> int:
        """Counts the parts of live items."""
        return len(self.part_items(kind)[0])

    def _live_items(self) -> Ids:
        query = self._items.search().where(LIVE).select(["_uid"])
        uids: Ids = query.to_batches(batch_size=_ROWS).read_all().column("_uid").to_numpy()
        return uids


def _of_kind(kind: PartKind, since: int) -> str:
    return f"kind = '{kind}' AND _uid >= {since}"
