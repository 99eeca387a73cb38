"""Writes a store: each batch of rows is one atomic commit, under the store's only write lock."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from mmsearch.arrays import blocks
from mmsearch.errors import StoreLocked
from mmsearch.store.filters import LIVE, quoted
from mmsearch.store.lock import write_lock
from mmsearch.store.lookups import (
    add_word_indexes,
    form_columns,
    has_word_index,
    keep_up_indexes,
    keep_up_part_indexes,
)
from mmsearch.store.manifest import read_manifest, write_manifest
from mmsearch.store.opening import PARTS, PRUNED
from mmsearch.store.parts import parts_schema, parts_to_arrow
from mmsearch.store.reading import READ_ROWS, SCAN_ROWS, StoreReader
from mmsearch.store.rows import (
    FAILURES_SCHEMA,
    LIST_SEPARATOR,
    common_type,
    rows_to_arrow,
    scalar_types,
    text_of,
)
from mmsearch.store.snapshot import (
    FILE_COLUMNS,
    MAX_BYTES,
    MAX_ROWS,
    Snapshot,
    write_parts,
    write_snapshot,
)
from mmsearch.store.spaces import is_live, root_of
from mmsearch.store.word_forms import COLUMN as WORD_FORMS
from mmsearch.store.word_forms import indexed_forms

CONVERTED = "_converted_"
# A version may be pinned by a reader that started before a write; none runs for a day.
VERSIONS_KEPT = timedelta(days=1)
# Each commit leaves a fragment; a few cost nothing, hundreds slow every scan.
FRAGMENTS_KEPT = 16


class Store(StoreReader):
    """A `.mmsearch` folder. Open one with `Store.open`, create one with `Store.create`."""

    @contextmanager
    def writing(
        self, *, timeout: float = 0.0, on_wait: Callable[[str], None] | None = None
    ) -> Iterator[None]:
        """Holds the write lock; timeout and on_wait as in `write_lock`. Raises StoreLocked."""
        with write_lock(self.folder, timeout=timeout, on_wait=on_wait):
            if not is_live(self.folder):
                raise StoreLocked(
                    f"the model of {root_of(self.folder)} has changed; run the command again"
                )
            self.manifest = read_manifest(self.folder)
            self._snapshot = self._files = None
            self._open_tables()
            self._finish_conversions()
            yield

    def update_manifest(self, **changes: Any) -> None:
        """Changes fields of the manifest and writes it."""
        self.manifest = replace(self.manifest, **changes)
        write_manifest(self.manifest, self.folder)

    def ensure_columns(self, requested: Mapping[str, pa.DataType]) -> None:
        """Adds metadata columns; a column of another type is widened, if need be to text."""
        present = self.metadata_columns
        new = [pa.field(name, kind) for name, kind in requested.items() if name not in present]
        if new:
            self._items.add_columns(new)
        for name in requested.keys() & present.keys():
            kind = common_type(present[name], requested[name])
            if kind != present[name]:
                self._convert_column(name, kind)
        if has_word_index(self._items):
            add_word_indexes(self._items, self.metadata_columns)

    def _convert_column(self, name: str, kind: pa.DataType) -> None:
        if pa.types.is_list(self.metadata_columns[name]):
            converted = f"array_to_string(`{name}`, {quoted([LIST_SEPARATOR])})"
        else:
            sql_type = "DOUBLE" if pa.types.is_floating(kind) else "STRING"
            converted = f"CAST(`{name}` AS {sql_type})"
        self._items.add_columns({f"{CONVERTED}{name}": converted})
        self._finish_conversions(replaced={name})

    def _finish_conversions(self, replaced: AbstractSet[str] = frozenset()) -> None:
        """Completes or reverts column conversions, also those interrupted by a crash."""
        for column in [name for name in self._items.schema.names if name.startswith(CONVERTED)]:
            name = column.removeprefix(CONVERTED)
            if name in replaced:
                self._items.drop_columns([name])
            if name in self._items.schema.names:
                self._items.drop_columns([column])
            else:
                renamed: Any = {"path": column, "rename": name}
                self._items.alter_columns(renamed)

    def write_rows(self, rows: Sequence[dict[str, Any]], *, drops: Sequence[int] = ()) -> None:
        """Writes rows for `rows.items_schema`, with 'metadata', and 'parts' for `parts_schema`.

        A row with a uid replaces the row of that uid (and may rename it); one without replaces
        the row of its key under a new uid. Each kind is one atomic commit. Parts get the uid of
        their item, and a uid of their own unless they have one, whose row they then replace. drops:
        uids of rows that others replace.
        """
        metadata: dict[str, pa.DataType] = {}
        for row in rows:
            for name, kind in scalar_types(row["metadata"]).items():
                metadata[name] = common_type(metadata.get(name, kind), kind)
        self.ensure_columns(metadata)
        kept = [row for row in rows if row["_uid"] is not None]
        new = [row for row in rows if row["_uid"] is None]
        first = self.manifest.next_uid
        new = [{**row, "_uid": first + i} for i, row in enumerate(new)]
        parts = [
            {**part, "item": row["_uid"]} for row in (*kept, *new) for part in row.get("parts", ())
        ]
        kept_parts = [part for part in parts if part.get("_uid") is not None]
        new_parts = [part for part in parts if part.get("_uid") is None]
        first += len(new)
        new_parts = [{**part, "_uid": first + i} for i, part in enumerate(new_parts)]
        # Reserved before they are used: after a crash they are skipped, never assigned twice.
        self.update_manifest(next_uid=first + len(new_parts))
        # Before their items: parts without an item are ignored, an item without its parts is not.
        self._write_parts(kept_parts, new_parts)
        self._merge(kept, on="_uid")
        self._merge(new, on="key")
        if drops:
            self._items.delete(f"_uid IN ({', '.join(str(uid) for uid in drops)})")

    def _write_parts(
        self, kept: Sequence[Mapping[str, Any]], new: Sequence[Mapping[str, Any]]
    ) -> None:
        if kept:
            merge = self._parts.merge_insert("_uid").when_matched_update_all()
            merge.execute(parts_to_arrow(kept, self.dim))
        if new:
            if self._parts is None:
                self._parts = self._db.create_table(PARTS, schema=parts_schema(self.dim))
            self._parts.add(parts_to_arrow(new, self.dim))

    def remove_orphaned_parts(self) -> None:
        """Deletes the parts of items that are gone, but not of missing or pruned ones."""
        if self._parts is None:
            return
        items = self.scan(["_uid"]).column("_uid")
        if PRUNED in self._db.list_tables().tables:
            pruned = self._db.open_table(PRUNED).search().select(["_uid"]).to_arrow()
            items = pa.chunked_array([*items.chunks, *pruned.column("_uid").chunks], pa.int64())
        owners = self._parts.search().select(["item"]).to_batches().read_all().column("item")
        gone = np.setdiff1d(owners.to_numpy(), items.to_numpy())
        for block in blocks(len(gone), SCAN_ROWS):
            self._parts.delete(f"item IN ({', '.join(str(uid) for uid in gone[block])})")

    def _merge(self, rows: Sequence[Mapping[str, Any]], *, on: str) -> None:
        if rows:
            merge = self._items.merge_insert(on).when_matched_update_all()
            names = form_columns(self.metadata_columns)
            formed = [
                {**row, WORD_FORMS: _forms({**row, **row["metadata"]}, names)} for row in rows
            ]
            table = rows_to_arrow(formed, self._items.schema)
            # LanceDB treats a missing vector as a bad one; 'null' keeps it missing.
            merge.when_not_matched_insert_all().execute(table, on_bad_vectors="null")

    def add_word_forms(self) -> None:
        """Computes the word forms of rows from before there were any; may be interrupted."""
        if WORD_FORMS not in self._items.schema.names:
            self._items.add_columns([pa.field(WORD_FORMS, pa.string())])
        names = form_columns(self.metadata_columns)
        for batch in self.scan(["_uid", *names], f"{WORD_FORMS} IS NULL").to_batches():
            forms = [_forms(row, names) for row in batch.to_pylist()]
            columns = {"_uid": batch.column("_uid"), WORD_FORMS: pa.array(forms, pa.string())}
            merge = self._items.merge_insert("_uid").when_matched_update_all()
            merge.execute(pa.table(columns))

    def mark_missing(self, keys: Sequence[str], when: datetime | None) -> None:
        """Marks rows as missing since `when`, or, with None, as present again."""
        for block in blocks(len(keys), SCAN_ROWS):
            where = f"key IN ({quoted(keys[block])})"
            values: dict[str, Any] = {"_missing": when}
            self._items.update(where=where, values=values)

    def mark_source_missing(self, source: str) -> None:
        """Marks all live rows of a source as missing."""
        where = f"source = {quoted([source])} AND {LIVE}"
        values: dict[str, Any] = {"_missing": datetime.now(UTC)}
        self._items.update(where=where, values=values)

    def prune(self, source: str) -> int:
        """Moves the source's missing rows to a separate table; `undo_prune` restores them."""
        where = f"source = {quoted([source])} AND _missing IS NOT NULL"
        rows = self._items.search().where(where).to_arrow()
        if rows.num_rows:
            # Copied first, deleted second: a crash between the two loses nothing.
            self._db.create_table(PRUNED, rows, mode="overwrite", on_bad_vectors="null")
            self._items.delete(where)
        return int(rows.num_rows)

    def undo_prune(self) -> int:
        """Restores the rows of the last prune, marked as missing."""
        if PRUNED not in self._db.list_tables().tables:
            return 0
        rows = self._db.open_table(PRUNED).to_arrow()
        merge = self._items.merge_insert("key").when_not_matched_insert_all()
        names = [name for name in self._items.schema.names if name in rows.schema.names]
        merge.execute(rows.select(names), on_bad_vectors="null")
        self._db.drop_table(PRUNED)
        # They may have been pruned before there were word forms.
        self.add_word_forms()
        return int(rows.num_rows)

    def tidy(self) -> None:
        """Compacts fragments, drops old versions and updates indexes, where it pays off."""
        if _small_fragments(self._items) >= FRAGMENTS_KEPT:
            self._items.optimize(cleanup_older_than=VERSIONS_KEPT)
            self._failures.optimize(cleanup_older_than=VERSIONS_KEPT)
        if self._parts is not None:
            if _small_fragments(self._parts) >= FRAGMENTS_KEPT:
                self._parts.optimize(cleanup_older_than=VERSIONS_KEPT)
            keep_up_part_indexes(self._parts)
        keep_up_indexes(self._items, self.metadata_columns)

    def save_snapshot(self, path: Path, counts: Mapping[str, int]) -> None:
        """Writes the current rows, unless too large, for `Store.open(snapshot=…)`.

        counts: of the current rows.
        """
        if counts["items"] > MAX_ROWS:
            return
        self._save_columns(path, ["_uid", *self.public_columns], counts, where=LIVE)

    def save_files(self, path: Path, counts: Mapping[str, int]) -> None:
        """Writes FILE_COLUMNS of all rows, unless too large, for `Store.open(files=…)`.

        counts: of the current rows.
        """
        if counts["items"] + counts["missing"] <= MAX_ROWS:
            held = set(self._items.schema.names)
            names = [name for name in FILE_COLUMNS if name in held]
            self._save_columns(path, names, counts)

    def _save_columns(
        self, path: Path, names: Sequence[str], counts: Mapping[str, int], where: str | None = None
    ) -> None:
        query = self._items.search().where(where) if where else self._items.search()
        query = query.select(list(names))
        batches, size_bytes = [], 0
        for batch in query.to_batches(batch_size=READ_ROWS):
            batches.append(batch)
            size_bytes += batch.nbytes
            if size_bytes > MAX_BYTES:
                return
        schema = pa.schema([self._schema.field(name) for name in names])
        rows = pa.Table.from_batches(batches, schema)
        write_snapshot(path, self.folder, Snapshot(self.version, counts, rows, self.parts_version))

    def save_parts(self, path: Path, counts: Mapping[str, int]) -> None:
        """Writes the parts of the rows beside a snapshot, unless they are too large.

        path: of the snapshot, which is written afterwards. counts: of the current rows.
        """
        if 0 < counts["image_parts"] + counts["passages"] <= MAX_ROWS:
            parts = self.parts_of(None)
            if parts.nbytes <= MAX_BYTES:
                write_parts(path, parts)

    def record_failures(self, failures: Sequence[Mapping[str, Any]]) -> None:
        """Adds failures to the ledger, one per key."""
        if failures:
            table = pa.Table.from_pylist(list(failures), schema=FAILURES_SCHEMA)
            merge = self._failures.merge_insert("key").when_matched_update_all()
            merge.when_not_matched_insert_all().execute(table)

    def forget_failures(self, keys: Sequence[str]) -> None:
        """Removes keys from the failure ledger."""
        if keys:
            self._failures.delete(f"key IN ({quoted(keys)})")


def _small_fragments(table: Any) -> int:
    stats: Any = table.stats()
    return int(stats["fragment_stats"]["num_small_fragments"])


def _forms(row: Mapping[str, Any], names: Sequence[str]) -> str:
    return indexed_forms(text_of(row[name]) for name in names if row.get(name) is not None)
