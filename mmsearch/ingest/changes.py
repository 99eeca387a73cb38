"""Compares records with the rows in the store and plans what each needs.

That is nothing, new metadata, a copied vector, or decoding and encoding. Size, mtime and ctime are
compared first (ctime catches an edit that keeps the mtime); a file is hashed only where they
differ, and decoded only where the hash is new.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import pyarrow as pa

from mmsearch.digests import digest_of_text
from mmsearch.errors import InputError
from mmsearch.media import content_hash
from mmsearch.records import Failure, Record, real_path

Change: TypeAlias = Literal["added", "updated", "moved", "restored", "unchanged"]


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


@dataclass(frozen=True, slots=True)
class Work:
    """What has to be done for one record.

    read: decode and encode the image. image_from, text_from: uid of the row whose vector is copied.
    encode_text: encode the record's text. uid: of the previous row if the vectors stay, else None.
    previous: the row that the record had before, perhaps under another key.
    """

    record: Record
    change: Change
    state: FileState | None = None
    image_hash: str | None = None
    text_hash: str | None = None
    read: bool = False
    image_from: int | None = None
    encode_text: bool = False
    text_from: int | None = None
    uid: int | None = None
    previous: KnownRow | None = None

    @property
    def drops(self) -> int | None:
        """The uid of a row under another key that the new row replaces."""
        if self.change == "moved" and self.uid is None and self.previous is not None:
            return self.previous.uid
        return None


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
        )


def plan(record: Record, known: KnownRows, *, retry: bool) -> Work | Failure:
    """Plans what a record needs; returns a Failure if its image cannot be read."""
    previous = known.find(record.key)
    state: FileState | None = None
    problem: str | None = None
    if record.image is not None:
        try:
            state = FileState.of(record.image)
            problem = None if retry else known.failed_before(record.key, state)
        except OSError as error:
            problem = f"cannot be read ({error.strerror}); check that it is still there"
    if problem is not None:
        return Failure(record.key, record.uri, "decode", problem)
    return _plan_readable(record, state, previous, known)


def text_only(record: Record, known: KnownRows) -> Work:
    """Plans a record by its text alone, since its image cannot be read."""
    return _plan_readable(record, None, known.find(record.key), known)


def _plan_readable(
    record: Record, state: FileState | None, previous: KnownRow | None, known: KnownRows
) -> Work:
    image_hash, image_owner = _find_image(record, state, previous, known)
    text_hash = digest_of_text(record.text) if record.text else None
    source = image_owner or previous
    if source is None and record.image is None and record.uri and text_hash:
        source = known.document(text_hash)
    moved = _moved_from(record, previous, source, known)
    base = previous or moved
    text_from = base.uid if base and text_hash and base.text_hash == text_hash else None
    work = Work(
        record=record,
        change=_change(record, previous, moved),
        state=state,
        image_hash=image_hash,
        text_hash=text_hash,
        read=record.image is not None and state is not None and image_owner is None,
        image_from=image_owner.uid if image_owner else None,
        encode_text=text_hash is not None and text_from is None,
        text_from=text_from,
        previous=base,
    )
    return _settle(work)


def _find_image(
    record: Record, state: FileState | None, previous: KnownRow | None, known: KnownRows
) -> tuple[str | None, KnownRow | None]:
    """Returns the hash of the image if it is known already, and the row that has its vector."""
    if record.image is None or state is None:
        return None, None
    if previous and previous.image_hash and previous.state == state:
        return previous.image_hash, previous
    if not known.with_size(state.size):
        return None, None
    try:
        image_hash = content_hash(record.image)
    except InputError:
        return None, None
    if previous and previous.image_hash == image_hash:
        return image_hash, previous
    return image_hash, known.with_content(image_hash)


def _moved_from(
    record: Record, previous: KnownRow | None, source: KnownRow | None, known: KnownRows
) -> KnownRow | None:
    """Returns the row that the content had under another key, if that file no longer exists."""
    if previous is not None or source is None or not source.uri or known.taken(source):
        return None
    return None if _may_exist(real_path(source.uri)) else source


def _may_exist(path: Path) -> bool:
    """Whether a file is there, or lies in a folder that cannot be read."""
    try:
        return path.exists()
    except OSError:
        return True


def _change(record: Record, previous: KnownRow | None, moved: KnownRow | None) -> Change:
    if moved is not None:
        return "moved"
    if previous is None:
        return "added"
    return "restored" if previous.missing else "updated"


def _settle(work: Work) -> Work:
    """Keeps the uid where the vectors stay, and detects records that have not changed."""
    base = work.previous
    if base is None or work.read or work.encode_text:
        return work
    kept_image = work.image_from == (base.uid if base.image_hash else None)
    kept_text = work.text_from == (base.uid if base.text_hash else None)
    if not (kept_image and kept_text):
        return work
    if base.missing:
        # The live index may have been built without the row, so it counts as new there.
        return work
    same_row = row_hash(work.record) == base.row_hash and work.state == base.state
    change: Change = "unchanged" if same_row and work.change == "updated" else work.change
    return replace(work, uid=base.uid, change=change)


def row_hash(record: Record) -> str:
    """Returns a hash of key, path, text and metadata, without the image's content."""
    return digest_of_text(
        repr((record.key, record.uri, record.text, sorted(_plain(record.metadata))))
    )


def _plain(metadata: Mapping[str, Any]) -> list[tuple[str, str]]:
    # 4 and 4.0 are equal: a column of integers becomes one of floats when another row needs it.
    return [
        (name, repr(int(value) if isinstance(value, float) and value.is_integer() else value))
        for name, value in metadata.items()
    ]
