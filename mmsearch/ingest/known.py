"""What the store holds of earlier runs: rows by key, file state, content and text."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from mmsearch.ingest.embedded import StoredMetadata
from mmsearch.store.rows import EMBEDDED

# Begins the row hash of a record with vectors made elsewhere, which it covers too.
GIVEN = "given-"
KNOWN_COLUMNS = [
    "_uid", "key", "source", "uri", "_size", "_mtime", "_ctime",
    "_image_hash", "_text_hash", "_row_hash", "_missing",
    EMBEDDED,
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class FileState:
    """The state of a file in the file system: size in bytes, times in ns."""

    size: int
    mtime: int
    ctime: int

    @classmethod
    def of(cls, path: Path) -> "FileState":
        """Reads the state of a file. Raises OSError."""
        status = path.stat()
        return cls(status.st_size, status.st_mtime_ns, status.st_ctime_ns)

    @staticmethod
    def columns(state: "FileState | None") -> dict[str, int | None]:
        """Returns the state as columns of the store, which are null for None."""
        size, mtime, ctime = (state.size, state.mtime, state.ctime) if state else (None,) * 3
        return {"_size": size, "_mtime": mtime, "_ctime": ctime}


@dataclass(frozen=True, slots=True)
class KnownRow:
    """A row of the store, without its vectors."""

    uid: int
    key: str
    uri: str
    state: FileState | None
    image_hash: str | None
    text_hash: str | None
    row_hash: str
    missing: bool
    embedded: StoredMetadata | None = None

    @property
    def has_given_vectors(self) -> bool:
        """Whether any of its vectors was made elsewhere, and not from its image and text."""
        return self.row_hash.startswith(GIVEN)


class KnownRows:
    """The rows of the store by key, content and text, and which of them this run has seen."""

    def __init__(self, table: pa.Table, failures: list[dict[str, Any]]) -> None:
        self._columns = {name: table.column(name) for name in table.schema.names}
        keys = self._columns["key"].to_pylist()
        self._by_key = {key: position for position, key in enumerate(keys)}
        self._sizes = set(self._columns["_size"].to_pylist()) - {None}
        self._by_content: dict[str, int] | None = None
        self._by_text: dict[str, int] | None = None
        self._seen = np.zeros(len(keys), dtype=bool)
        self._failed = {row["key"]: row for row in failures}

    def find(self, key: str) -> KnownRow | None:
        """Returns the row of a key and marks it as seen."""
        position = self._by_key.get(key)
        if position is None:
            return None
        self._seen[position] = True
        return self._row(position)

    def with_size(self, size: int) -> bool:
        """Whether any row's file has this size in bytes."""
        return size in self._sizes

    def with_content(self, image_hash: str) -> KnownRow | None:
        """Returns a row whose file has this content."""
        if self._by_content is None:
            hashes = self._columns["_image_hash"].to_pylist()
            self._by_content = {h: i for i, h in enumerate(hashes) if h is not None}
        position = self._by_content.get(image_hash)
        return None if position is None else self._row(position)

    def document(self, text_hash: str) -> KnownRow | None:
        """Returns a row that has this text and no image."""
        if self._by_text is None:
            texts = self._columns["_text_hash"].to_pylist()
            images = self._columns["_image_hash"].to_pylist()
            self._by_text = {
                text: i
                for i, (text, image) in enumerate(zip(texts, images, strict=True))
                if text is not None and image is None
            }
        position = self._by_text.get(text_hash)
        return None if position is None else self._row(position)

    def failed_before(self, key: str, state: FileState) -> str | None:
        """Returns why this file failed in an earlier run; None if it did not or has changed."""
        row = self._failed.get(key)
        if row is None or row["stage"] == "source":
            return None
        before = FileState(row["_size"], row["_mtime"], row["_ctime"])
        return str(row["reason"]) if before == state else None

    def lost(self, key: str) -> None:
        """Marks the row of a key as not seen, since its content can no longer be read."""
        position = self._by_key.get(key)
        if position is not None:
            self._seen[position] = False

    def take(self, row: KnownRow) -> None:
        """Marks a row as seen that a record continues under another key."""
        self._seen[self._by_key[row.key]] = True

    def taken(self, row: KnownRow) -> bool:
        """Whether this run has seen the row."""
        return bool(self._seen[self._by_key[row.key]])

    def unseen(self, source: str) -> list[KnownRow]:
        """Returns the rows of the source that this run has not seen."""
        names = self._columns["source"].to_pylist()
        return [
            self._row(int(position))
            for position in np.flatnonzero(~self._seen)
            if names[position] == source
        ]

    def count(self, source: str) -> int:
        """Returns the number of the source's rows."""
        return int(self._columns["source"].to_pylist().count(source))

    def stale_failures(self, source: str, failed_now: set[str]) -> list[str]:
        """Returns the source's keys in the failure ledger that did not fail in this run."""
        return [
            key
            for key, row in self._failed.items()
            if row["source"] == source and key not in failed_now
        ]

    def _row(self, position: int) -> KnownRow:
        value = {name: column[position].as_py() for name, column in self._columns.items()}
        state = None
        if value["_size"] is not None:
            state = FileState(value["_size"], value["_mtime"], value["_ctime"])
        return KnownRow(
            uid=value["_uid"],
            key=value["key"],
            uri=value["uri"],
            state=state,
            image_hash=value["_image_hash"],
            text_hash=value["_text_hash"],
            row_hash=value["_row_hash"],
            missing=value["_missing"] is not None,
            # Stores from before lack the column.
            embedded=StoredMetadata.from_column(value.get(EMBEDDED)),
        )
