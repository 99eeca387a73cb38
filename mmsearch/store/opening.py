"""Opens a store: its folder, its manifest and its LanceDB tables, one row per item.

LanceDB is the source of truth. An object that only reads stays at the version it opened.
"""

from functools import cached_property
from pathlib import Path
from typing import Any, Self

import pyarrow as pa

from mmsearch.errors import CorruptIndex
from mmsearch.store.manifest import Manifest, read_manifest, write_manifest
from mmsearch.store.rows import FAILURES_SCHEMA, PUBLIC_COLUMNS, items_schema
from mmsearch.store.snapshot import Snapshot
from mmsearch.system_errors import refused_by_system

FOLDER_NAME = ".mmsearch"
ITEMS, FAILURES, PRUNED, PARTS = "items", "failures", "pruned", "parts"


class StoreTables:
    """The manifest and tables of a `.mmsearch` folder, opened when first needed."""

    def __init__(
        self,
        folder: Path,
        manifest: Manifest,
        snapshot: Snapshot | None = None,
        files: Snapshot | None = None,
    ) -> None:
        self.folder = folder
        self.manifest = manifest
        self._snapshot, self._files = snapshot, files
        if snapshot is None:
            self._open_tables()

    @classmethod
    def create(cls, folder: Path, manifest: Manifest) -> Self:
        """Creates an empty store, or completes one whose creation was interrupted."""
        folder.mkdir(parents=True, exist_ok=True)
        db = connect(folder)
        dim = manifest.space.dim
        db.create_table(ITEMS, schema=items_schema(dim), exist_ok=True)
        db.create_table(FAILURES, schema=FAILURES_SCHEMA, exist_ok=True)
        write_manifest(manifest, folder)
        return cls(folder, manifest)

    @classmethod
    def open(
        cls, folder: Path, *, snapshot: Snapshot | None = None, files: Snapshot | None = None
    ) -> Self:
        """Opens an existing store.

        snapshot: answers what it can; LanceDB is opened, at its version, for the rest. files: the
        FILE_COLUMNS of all rows at that version. Raises StoreNotFound, CorruptIndex.
        """
        return cls(folder, read_manifest(folder), snapshot, files)

    @classmethod
    def empty(cls, folder: Path, manifest: Manifest) -> Self:
        """Returns a store without rows, to read from; nothing is written."""
        counts = dict.fromkeys(("items", "image", "text", "both", "missing", "failures"), 0)
        rows = Snapshot(0, counts, pa.Table.from_batches([], items_schema(manifest.space.dim)))
        return cls(folder, manifest, rows, rows)

    def _open_tables(self) -> None:
        """Opens the newest versions of the tables."""
        self._failures = self.open_table(FAILURES)
        while True:
            self._items, self._parts = self.open_table(ITEMS), self._newest_parts()
            # A writer deletes the parts of former rows only after it has committed the new rows:
            # where the items are still the same, these are their parts.
            if self._parts is None or self.open_table(ITEMS).version == self._items.version:
                return

    def _newest_parts(self) -> Any:
        exists = (self.folder / "lance" / f"{PARTS}.lance").exists()
        return self.open_table(PARTS) if exists else None

    @cached_property
    def _db(self) -> Any:
        return connect(self.folder)

    @cached_property
    def _items(self) -> Any:
        table = self.open_table(ITEMS)
        if self._snapshot is not None:
            table.checkout(self._snapshot.version)
        return table

    @cached_property
    def _failures(self) -> Any:
        return self.open_table(FAILURES)

    @cached_property
    def _parts(self) -> Any:
        """The table of the parts; None where no item has parts."""
        if self.parts_version is None:
            return None
        table = self.open_table(PARTS)
        table.checkout(self.parts_version)
        return table

    @property
    def parts_version(self) -> int | None:
        """The version of the parts table that belongs to `version`; None without one."""
        if self._snapshot is not None:
            return self._snapshot.parts_version
        return None if self._parts is None else int(self._parts.version)

    @property
    def has_parts(self) -> bool:
        """Whether there may be items with several images or passages."""
        return self.parts_version is not None

    @property
    def items(self) -> Any:
        """The LanceDB table of the items, for an index that Lance itself maintains."""
        return self._items

    def open_table(self, name: str) -> Any:
        """Opens a table of this store by name. Raises CorruptIndex."""
        try:
            return self._db.open_table(name)
        except (ValueError, RuntimeError, OSError) as error:
            if refused := refused_by_system(error):
                raise refused from error
            raise CorruptIndex(
                f"{self.folder} has a manifest but its table cannot be opened "
                f"({_first_line(error)}); restore the folder from a copy, or move it away and "
                "index again"
            ) from error

    def replace_table(self, name: str, schema: pa.Schema) -> Any:
        """Creates an empty table for data derived from the items, replacing any of that name."""
        return self._db.create_table(name, schema=schema, mode="overwrite")

    @property
    def _schema(self) -> pa.Schema:
        """The schema of the public and metadata columns at least."""
        return self._snapshot.rows.schema if self._snapshot else self._items.schema

    @property
    def dim(self) -> int:
        """The number of dimensions of its vectors."""
        return self.manifest.space.dim

    @property
    def version(self) -> int:
        """The Lance version that this object reads."""
        return self._snapshot.version if self._snapshot else int(self._items.version)

    @property
    def metadata_columns(self) -> dict[str, pa.DataType]:
        """The columns that come from the sources, with their types."""
        fixed = set(items_schema(self.dim).names)
        return {f.name: f.type for f in self._schema if f.name not in fixed}

    @property
    def public_columns(self) -> list[str]:
        """The columns that a user may see and filter by."""
        return [*PUBLIC_COLUMNS, *self.metadata_columns]

    def column_types(self) -> dict[str, pa.DataType]:
        """The types of the public columns."""
        return {name: self._schema.field(name).type for name in self.public_columns}


def connect(folder: Path) -> Any:
    """Connects to the LanceDB of a store."""
    # Takes a second to import, which a search that a snapshot answers does without.
    import lancedb

    return lancedb.connect(str(folder / "lance"))


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
