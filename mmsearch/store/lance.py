"""LanceDB holds the truth: one row per item with its vectors and metadata, and what failed.

Rows come in as Arrow tables in large batches, each batch one atomic commit; a Store object that
only reads stays at the version it opened.
"""

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import filelock
import pyarrow as pa

from mmsearch.arrays import blocks
from mmsearch.errors import BadFilter, BadQuery, CorruptIndex, StoreLocked
from mmsearch.records import Floats, Ids, Scalar
from mmsearch.store.filters import LIVE, filter_fault, live_and, quoted
from mmsearch.store.lookups import (
    add_word_indexes,
    has_word_index,
    keep_up_indexes,
    word_columns,
)
from mmsearch.store.manifest import Manifest, read_manifest, write_manifest
from mmsearch.store.rows import (
    FAILURES_SCHEMA,
    PUBLIC_COLUMNS,
    common_type,
    items_schema,
    rows_to_arrow,
    scalar_types,
    vectors_to_numpy,
)
from mmsearch.store.snapshot import MAX_BYTES, MAX_ROWS, Snapshot, write_snapshot
from mmsearch.store.spaces import is_live, root_of

FOLDER_NAME = ".mmsearch"
ITEMS, FAILURES, PRUNED = "items", "failures", "pruned"
CONVERTED = "_converted_"
# A version may be pinned by a reader that started before a write; none runs for a day.
VERSIONS_KEPT = timedelta(days=1)
# Rows read at a time with their vectors.
SCAN_ROWS = 8192
# And without: by itself LanceDB hands over 1,024, and 200,000 uids took five times as long.
READ_ROWS = 65_536
# Each commit leaves a fragment; a few cost nothing, hundreds slow every scan.
FRAGMENTS_KEPT = 16


class Store:
    """A `.mmsearch` folder. Open it with `Store.open`, make one with `Store.create`."""

    def __init__(self, folder: Path, manifest: Manifest, snapshot: Snapshot | None = None) -> None:
        self.folder = folder
        self.manifest = manifest
        self._snapshot = snapshot
        if snapshot is None:
            self._items, self._failures = self._open_table(ITEMS), self._open_table(FAILURES)

    @classmethod
    def create(cls, folder: Path, manifest: Manifest) -> Self:
        """An empty store; one that stopped half-way through its creation is completed."""
        folder.mkdir(parents=True, exist_ok=True)
        db = _connect(folder)
        dim = manifest.space.dim
        db.create_table(ITEMS, schema=items_schema(dim), exist_ok=True)
        db.create_table(FAILURES, schema=FAILURES_SCHEMA, exist_ok=True)
        write_manifest(manifest, folder)
        return cls(folder, manifest)

    @classmethod
    def open(cls, folder: Path, *, snapshot: Snapshot | None = None) -> Self:
        """snapshot: answers what it can; LanceDB is opened, at its version, for the rest.

        Raises StoreNotFound, CorruptIndex.
        """
        return cls(folder, read_manifest(folder), snapshot)

    @cached_property
    def _db(self) -> Any:
        return _connect(self.folder)

    @cached_property
    def _items(self) -> Any:
        table = self._open_table(ITEMS)
        if self._snapshot is not None:
            table.checkout(self._snapshot.version)
        return table

    @cached_property
    def _failures(self) -> Any:
        return self._open_table(FAILURES)

    @property
    def items(self) -> Any:
        """LanceDB's table of the items, for an index that Lance itself keeps."""
        return self._items

    def open_table(self, name: str) -> Any:
        """Another table of this store. Raises CorruptIndex."""
        return self._open_table(name)

    def replace_table(self, name: str, schema: pa.Schema) -> Any:
        """A table for what is derived from the items, empty."""
        return self._db.create_table(name, schema=schema, mode="overwrite")

    def _open_table(self, name: str) -> Any:
        try:
            return self._db.open_table(name)
        except (ValueError, RuntimeError, OSError) as error:
            raise CorruptIndex(
                f"{self.folder} has a manifest but its table cannot be opened "
                f"({_first_line(error)}); restore the folder from a copy, or move it away and "
                "index again"
            ) from error

    @property
    def _schema(self) -> pa.Schema:
        """Of the public columns and metadata at least."""
        return self._snapshot.rows.schema if self._snapshot else self._items.schema

    def __len__(self) -> int:
        return int(self._items.count_rows(LIVE))

    @property
    def dim(self) -> int:
        return self.manifest.space.dim

    @property
    def version(self) -> int:
        """The Lance version that this object reads."""
        return self._snapshot.version if self._snapshot else int(self._items.version)

    @property
    def metadata_columns(self) -> dict[str, pa.DataType]:
        fixed = set(items_schema(self.dim).names)
        return {f.name: f.type for f in self._schema if f.name not in fixed}

    @property
    def public_columns(self) -> list[str]:
        return [*PUBLIC_COLUMNS, *self.metadata_columns]

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Holds the store's only write lock. Raises StoreLocked if another process does."""
        lock = filelock.FileLock(self.folder / "lock")
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            raise StoreLocked(
                f"another process is writing to {self.folder}; wait for it to end (readers "
                "need not wait)"
            ) from None
        try:
            if not is_live(self.folder):
                raise StoreLocked(
                    f"the model of {root_of(self.folder)} was changed meanwhile; run it again"
                )
            self.manifest = read_manifest(self.folder)
            self._snapshot = None
            self._items, self._failures = self._open_table(ITEMS), self._open_table(FAILURES)
            self._finish_conversions()
            yield
        finally:
            lock.release()

    def update_manifest(self, **changes: Any) -> None:
        self.manifest = replace(self.manifest, **changes)
        write_manifest(self.manifest, self.folder)

    # --- rows in ---

    def ensure_columns(self, wanted: Mapping[str, pa.DataType]) -> None:
        """Adds metadata columns; one of another type is widened, to text if nothing else fits."""
        present = self.metadata_columns
        new = [pa.field(name, kind) for name, kind in wanted.items() if name not in present]
        if new:
            self._items.add_columns(new)
        for name in wanted.keys() & present.keys():
            kind = common_type(present[name], wanted[name])
            if kind != present[name]:
                self._convert_column(name, kind)
        if has_word_index(self._items):
            add_word_indexes(self._items, self.metadata_columns)

    def _convert_column(self, name: str, kind: pa.DataType) -> None:
        sql_type = "DOUBLE" if pa.types.is_floating(kind) else "STRING"
        self._items.add_columns({f"{CONVERTED}{name}": f"CAST(`{name}` AS {sql_type})"})
        self._finish_conversions(replaced={name})

    def _finish_conversions(self, replaced: AbstractSet[str] = frozenset()) -> None:
        """Completes or takes back column conversions, also those that a crash left half-way."""
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
        """Writes rows for `rows.items_schema`, their metadata under 'metadata'.

        A row with a uid replaces the row of that uid (and may rename it), one without replaces
        the row of its key under a new uid. Each kind is one commit, all or none. drops: uids of
        rows that others now stand for.
        """
        metadata: dict[str, pa.DataType] = {}
        for row in rows:
            for name, kind in scalar_types(row["metadata"]).items():
                metadata[name] = common_type(metadata.get(name, kind), kind)
        self.ensure_columns(metadata)
        kept = [row for row in rows if row["_uid"] is not None]
        new = [row for row in rows if row["_uid"] is None]
        self._merge(kept, on="_uid")
        first = self.manifest.next_uid
        # Taken before they are used: after a crash they are skipped, never given out twice.
        self.update_manifest(next_uid=first + len(new))
        self._merge([{**row, "_uid": first + i} for i, row in enumerate(new)], on="key")
        if drops:
            self._items.delete(f"_uid IN ({', '.join(str(uid) for uid in drops)})")

    def _merge(self, rows: Sequence[Mapping[str, Any]], *, on: str) -> None:
        if rows:
            merge = self._items.merge_insert(on).when_matched_update_all()
            table = rows_to_arrow(rows, self._items.schema)
            # LanceDB takes a missing vector for a bad one; 'null' leaves it missing.
            merge.when_not_matched_insert_all().execute(table, on_bad_vectors="null")

    def mark_missing(self, keys: Sequence[str], when: datetime | None) -> None:
        """Marks rows as missing since `when`, or, with None, as present again."""
        for block in blocks(len(keys), SCAN_ROWS):
            where = f"key IN ({quoted(keys[block])})"
            values: dict[str, Any] = {"_missing": when}
            self._items.update(where=where, values=values)

    def mark_source_missing(self, source: str) -> None:
        where = f"source = {quoted([source])} AND {LIVE}"
        values: dict[str, Any] = {"_missing": datetime.now(UTC)}
        self._items.update(where=where, values=values)

    def prune(self, source: str) -> int:
        """Moves the source's missing rows out of the catalog; `undo_prune` brings them back."""
        where = f"source = {quoted([source])} AND _missing IS NOT NULL"
        rows = self._items.search().where(where).to_arrow()
        if rows.num_rows:
            # Kept first, deleted second: a crash between the two duplicates and loses nothing.
            self._db.create_table(PRUNED, rows, mode="overwrite", on_bad_vectors="null")
            self._items.delete(where)
        return int(rows.num_rows)

    def undo_prune(self) -> int:
        """Brings back what the last prune took out, marked as missing."""
        if PRUNED not in self._db.list_tables().tables:
            return 0
        rows = self._db.open_table(PRUNED).to_arrow()
        merge = self._items.merge_insert("key").when_not_matched_insert_all()
        names = [name for name in self._items.schema.names if name in rows.schema.names]
        merge.execute(rows.select(names), on_bad_vectors="null")
        self._db.drop_table(PRUNED)
        return int(rows.num_rows)

    def tidy(self) -> None:
        """Compacts small fragments, drops old versions, keeps lookups quick; where it pays."""
        if _small_fragments(self._items) >= FRAGMENTS_KEPT:
            self._items.optimize(cleanup_older_than=VERSIONS_KEPT)
            self._failures.optimize(cleanup_older_than=VERSIONS_KEPT)
        keep_up_indexes(self._items, self.metadata_columns)

    def save_snapshot(self, path: Path, counts: Mapping[str, int]) -> None:
        """Writes the rows as they are now, unless too large, for `Store.open(snapshot=…)`.

        counts: of the store as it is now.
        """
        if counts["items"] > MAX_ROWS:
            return
        names = ["_uid", *self.public_columns]
        query = self._items.search().where(LIVE).select(names)
        batches, size_bytes = [], 0
        for batch in query.to_batches(batch_size=READ_ROWS):
            batches.append(batch)
            size_bytes += batch.nbytes
            if size_bytes > MAX_BYTES:
                return
        schema = pa.schema([self._schema.field(name) for name in names])
        rows = pa.Table.from_batches(batches, schema)
        write_snapshot(path, self.folder, Snapshot(self.version, counts, rows))

    # --- rows out ---

    def scan(self, columns: Sequence[str], where: str | None = None) -> pa.Table:
        query = self._items.search().select(list(columns))
        return _read(query.where(where) if where else query)

    def vectors(
        self, columns: Sequence[str], where: str = LIVE
    ) -> Iterator[tuple[Ids, list[Floats]]]:
        """Batches of uids int64 (n,) and, per column, float32 (n, dim); missing ones are zeros."""
        query = self._items.search().where(where).select(["_uid", *columns])
        for batch in query.to_batches(batch_size=SCAN_ROWS):
            if batch.num_rows:
                uids = batch.column("_uid").to_numpy(zero_copy_only=False)
                yield uids, [vectors_to_numpy(batch.column(name), self.dim) for name in columns]

    def uids(self, where: str | None = None) -> Ids:
        """int64 (n,): the uids of the live rows that match. Raises BadFilter."""
        query = self._items.search().where(live_and(where)).select(["_uid"])
        try:
            table = _read(query)
        except (ValueError, RuntimeError) as error:
            reason = filter_fault(error, where or LIVE)
            raise BadFilter(
                f"the filter {where!r} cannot be run: {reason}; "
                f"columns: {', '.join(sorted(self.public_columns))}"
            ) from error
        uids: Ids = table.column("_uid").to_numpy()
        return uids

    def rows(self, uids: Sequence[int], columns: Sequence[str] | None = None) -> pa.Table:
        """The rows of these uids, in no particular order."""
        if columns and self._snapshot and set(columns) <= set(self._snapshot.rows.column_names):
            return self._snapshot.rows_of(uids, columns)
        names = list(columns) if columns else self._items.schema.names
        if not uids:
            return self._items.schema.empty_table().select(names)
        listed = ", ".join(str(int(uid)) for uid in uids)
        return self.scan(names, f"_uid IN ({listed})")

    def rows_of_keys(self, keys: Sequence[str], columns: Sequence[str]) -> list[dict[str, Any]]:
        """The rows of those keys that are there, in no particular order."""
        return list(self.scan(columns, f"key IN ({quoted(keys)})").to_pylist()) if keys else []

    def keyword_matches(self, words: str, limit: int, where: str | None) -> tuple[Floats, Ids]:
        """BM25 scores float32 and uids int64, (≤ limit,), of the live rows that hold the words.

        Rows newer than the word index are found too. Raises BadFilter, BadQuery.
        """
        if not has_word_index(self._items):
            raise BadQuery(
                f"{self.folder} has no word index yet; run 'mmsearch index --rebuild' once"
            )
        from lancedb.query import MultiMatchQuery

        columns = word_columns(self.metadata_columns)
        match = MultiMatchQuery(words, columns)  # type: ignore[call-arg]
        query = self._items.search(match, query_type="fts").where(live_and(where), prefilter=True)
        found = query.select(["_uid", "_score"]).limit(limit).to_arrow()
        found = found.sort_by([("_score", "descending"), ("_uid", "ascending")])
        return found.column("_score").to_numpy(), found.column("_uid").to_numpy()

    def example_key(self) -> str:
        keys = self._items.search().where(LIVE).select(["key"]).limit(1).to_arrow().column("key")
        return str(keys[0]) if len(keys) else "source/path.jpg"

    def public_record(self, row: Mapping[str, Any]) -> dict[str, Scalar]:
        """What a user may see of a row: without the store's own columns and empty cells."""
        return {
            name: value
            for name, value in row.items()
            if not name.startswith("_") and value is not None
        }

    def counts(self) -> dict[str, int]:
        """Live rows by what they have, and missing rows."""
        if self._snapshot is not None:
            return dict(self._snapshot.counts)
        has = {"image": "_image_vector IS NOT NULL", "text": "_text_vector IS NOT NULL"}
        found = dict.fromkeys(("items", "image", "text", "both"), 0)
        # Lance reads a vector to tell whether there is one, so all is counted in one pass.
        for batch in self._items.search().where(LIVE).select(has).to_batches(batch_size=SCAN_ROWS):
            image, text = (column.to_numpy(zero_copy_only=False) for column in batch.columns)
            found["items"] += batch.num_rows
            found["image"] += int(image.sum())
            found["text"] += int(text.sum())
            found["both"] += int((image & text).sum())
        missing, failures = len(self._items) - found["items"], len(self._failures)
        return {**found, "missing": missing, "failures": failures}

    def count(self, where: str) -> int:
        """Live rows that match."""
        return int(self._items.count_rows(f"{LIVE} AND {where}"))

    def count_source(self, name: str) -> int:
        return int(self._items.count_rows(f"{LIVE} AND source = {quoted([name])}"))

    def column_types(self) -> dict[str, pa.DataType]:
        return {name: self._schema.field(name).type for name in self.public_columns}

    # --- failures ---

    def record_failures(self, failures: Sequence[Mapping[str, Any]]) -> None:
        if failures:
            table = pa.Table.from_pylist(list(failures), schema=FAILURES_SCHEMA)
            merge = self._failures.merge_insert("key").when_matched_update_all()
            merge.when_not_matched_insert_all().execute(table)

    def forget_failures(self, keys: Sequence[str]) -> None:
        if keys:
            self._failures.delete(f"key IN ({quoted(keys)})")

    def failures(self) -> list[dict[str, Any]]:
        return list(self._failures.to_arrow().sort_by("key").to_pylist())


def _connect(folder: Path) -> Any:
    # Takes a second to import, which a search that a snapshot answers does without.
    import lancedb

    return lancedb.connect(str(folder / "lance"))


def _read(query: Any) -> pa.Table:
    return query.to_batches(batch_size=READ_ROWS).read_all()


def _small_fragments(table: Any) -> int:
    stats: Any = table.stats()
    return int(stats["fragment_stats"]["num_small_fragments"])


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
