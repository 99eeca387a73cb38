"""What the store holds of earlier runs: rows and images, by key, file state and content."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from mmsearch.ingest.embedded import StoredMetadata
from mmsearch.store.rows import EMBEDDED

# Begins the row hash of a record with vectors made elsewhere, which it covers too.
GIVEN = "given-"
KNOWN_PART_COLUMNS = ["_uid", "item", "number", "uri", "_size", "_mtime", "_ctime", "_hash"]


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

    @classmethod
    def of_columns(cls, row: Mapping[str, Any]) -> "FileState | None":
        """Returns the state in columns of the store; None where they are null."""
        return cls(row["_size"], row["_mtime"], row["_ctime"]) if row["_size"] is not None else None

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

    @property
    def image(self) -> "KnownImage | None":
        """The image of an item with one; None without."""
        if self.image_hash is None:
            return None
        return KnownImage(self.uid, self.uid, 1, self.uri, self.state, self.image_hash)


@dataclass(frozen=True, slots=True)
class KnownImage:
    """An image whose vector is in the store.

    uid: of the part, or of the row of an item with one image. item: the uid of the item's row.
    """

    uid: int
    item: int
    number: int
    uri: str
    state: FileState | None
    content_hash: str


class KnownRows:
    """The rows of the store by key, content and text, and which of them this run has seen."""

    def __init__(
        self, table: pa.Table, failures: list[dict[str, Any]], parts: pa.Table | None = None
    ) -> None:
        """Prepares the look-ups.

        table: `snapshot.FILE_COLUMNS` of all rows. failures: the ledger. parts: KNOWN_PART_COLUMNS
        of all images of items with several.
        """
        self._columns = {name: table.column(name) for name in table.schema.names}
        keys = self._columns["key"].to_pylist()
        self._by_key = {key: position for position, key in enumerate(keys)}
        self._sizes = set(self._columns["_size"].to_pylist()) - {None}
        self._parts = None if parts is None or not parts.num_rows else _KnownParts(parts)
        self._by_uid: dict[int, int] | None = None
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

    def images_of(self, row: KnownRow | None) -> list[KnownImage]:
        """Returns the images that an item has vectors of, by number."""
        if row is None:
            return []
        if self._parts is not None and (images := self._parts.of(row.uid)):
            return images
        return [] if row.image is None else [row.image]

    def has_several(self, row: KnownRow) -> bool:
        """Whether the images of an item are parts."""
        return self._parts is not None and bool(self._parts.of(row.uid))

    def with_size(self, size: int) -> bool:
        """Whether any file has this size in bytes."""
        return size in self._sizes or (self._parts is not None and self._parts.with_size(size))

    def with_content(self, image_hash: str) -> KnownImage | None:
        """Returns an image that has this content."""
        if self._by_content is None:
            hashes = self._columns["_image_hash"].to_pylist()
            self._by_content = {h: i for i, h in enumerate(hashes) if h is not None}
        position = self._by_content.get(image_hash)
        if position is not None:
            return self._row(position).image
        return None if self._parts is None else self._parts.with_content(image_hash)

    def row(self, uid: int) -> KnownRow | None:
        """Returns the row of a uid."""
        if self._by_uid is None:
            uids = self._columns["_uid"].to_pylist()
            self._by_uid = {uid: position for position, uid in enumerate(uids)}
        position = self._by_uid.get(uid)
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
        return KnownRow(
            uid=value["_uid"],
            key=value["key"],
            uri=value["uri"],
            state=FileState.of_columns(value),
            image_hash=value["_image_hash"],
            text_hash=value["_text_hash"],
            row_hash=value["_row_hash"],
            missing=value["_missing"] is not None,
            # Stores from before lack the column.
            embedded=StoredMetadata.from_column(value.get(EMBEDDED)),
        )


class _KnownParts:
    """The images of the items with several, by item and content."""

    def __init__(self, table: pa.Table) -> None:
        table = table.sort_by([("item", "ascending"), ("number", "ascending")])
        self._columns = {name: table.column(name) for name in KNOWN_PART_COLUMNS}
        self._items = self._columns["item"].to_numpy()
        self._sizes = set(self._columns["_size"].unique().to_pylist())
        self._by_content: dict[str, int] | None = None

    def of(self, item: int) -> list[KnownImage]:
        start, end = np.searchsorted(self._items, [item, item + 1])
        return [self._image(place) for place in range(start, end)]

    def with_size(self, size: int) -> bool:
        return size in self._sizes

    def with_content(self, image_hash: str) -> KnownImage | None:
        if self._by_content is None:
            hashes = self._columns["_hash"].to_pylist()
            self._by_content = {value: place for place, value in enumerate(hashes)}
        place = self._by_content.get(image_hash)
        return None if place is None else self._image(place)

    def _image(self, place: int) -> KnownImage:
        value = {name: column[place].as_py() for name, column in self._columns.items()}
        return KnownImage(
            uid=value["_uid"],
            item=value["item"],
            number=value["number"],
            uri=value["uri"],
            state=FileState.of_columns(value),
            content_hash=value["_hash"],
        )
