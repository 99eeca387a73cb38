"""Rows of a store as items of deduplication: metadata and fingerprints, without vectors."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import repeat
from os import cpu_count
from pathlib import Path
from typing import Any

import filelock
import numpy as np
import pyarrow as pa

from mmsearch.dedup.thumbnails.fingerprints import SIDE, Print, read_print
from mmsearch.errors import InputError
from mmsearch.media import MediaBounds, content_hash
from mmsearch.media.bounds import read_bytes
from mmsearch.progress import ProgressListener
from mmsearch.records import Part, Pixels, Scalar, printable_path, real_path
from mmsearch.store import Store
from mmsearch.store.filters import LIVE
from mmsearch.store.hidden import read_hidden

# The name changes with the record format: old files are removed, never misread.
CACHE_NAME, _OLD_CACHE_NAMES = "prints-2.bin", ("prints.bin",)
_COLUMNS = (
    "_uid", "key", "source", "uri", "text", "width", "height", "_size", "_mtime", "_image_hash",
)  # fmt: skip
RECORD = np.dtype(
    [
        ("hash", "S32"),
        ("sharpness", "<f4"),
        ("frames", "<u2"),
        ("transparent", "?"),
        ("content", "S32"),
        ("thumbnail", "u1", (SIDE, SIDE)),
    ]
)
_BATCH = 256


@dataclass(frozen=True, slots=True)
class Item:
    """An item of a store, or one of the images of an item with several.

    An item with several images has no `image_hash`, and its images have no text.
    sharpness: of its fingerprint, 0 without one.
    modified: in ns since the epoch.
    protected: never removed.
    part_of: the uid of the item whose image it is; None for an item.
    """

    uid: int
    key: str
    source: str
    uri: str
    text: str
    width: int
    height: int
    size: int
    modified: int
    image_hash: str
    sharpness: float = 0.0
    protected: bool = False
    metadata: Mapping[str, Scalar] = field(default_factory=dict)
    part_of: int | None = None

    @property
    def whole(self) -> int:
        """The uid of the item that it is or belongs to."""
        return self.uid if self.part_of is None else self.part_of


def read_items(store: Store, where: str | None, references: Sequence[Path]) -> list[Item]:
    """Reads the items that match the filter and are not hidden, by uid. Raises BadFilter.

    The images of items with several are among them.
    """
    table = store.scan([*_COLUMNS, *store.metadata_columns], LIVE)
    uids = table.column("_uid").to_numpy()
    hidden = read_hidden(store.folder)
    kept = ~np.isin(uids, np.fromiter(hidden, np.int64, len(hidden)))
    if where is not None:
        kept &= np.isin(uids, store.uids(where))
    rows = np.flatnonzero(kept)
    table = table.take(rows[np.argsort(uids[rows])])
    # Column by column: a million dictionaries would take gigabytes.
    columns = (table.column(name).to_pylist() for name in _COLUMNS)
    facts = _metadata(table, [*store.metadata_columns])
    items = [
        _item(values, metadata, references)
        for *values, metadata in zip(*columns, facts, strict=True)
    ]
    return _with_images(items, store, references) if store.has_parts else items


def _with_images(items: Sequence[Item], store: Store, references: Sequence[Path]) -> list[Item]:
    """Adds the images of items with several, by uid."""
    by_uid = {item.uid: item for item in items}
    names = ["_uid", "item", "number", "uri", "width", "height", "_size", "_mtime", "_hash"]
    rows = store.known_images(names)
    images: list[Item] = []
    for row in rows.to_pylist() if rows is not None else []:
        item = by_uid.get(row["item"])
        if item is None:
            continue
        image = replace(
            item,
            uid=row["_uid"],
            key=f"{item.key}#{Part('image', row['number']).locator}",
            uri=row["uri"] or "",
            text="",
            width=row["width"] or 0,
            height=row["height"] or 0,
            size=row["_size"] or 0,
            modified=row["_mtime"] or 0,
            image_hash=row["_hash"] or "",
            protected=_is_protected(row["uri"], references),
            part_of=item.uid,
        )
        images.append(image)
    several = {image.whole for image in images}
    whole = (replace(item, image_hash="") if item.uid in several else item for item in items)
    return sorted([*whole, *images], key=lambda item: item.uid)


def _metadata(table: pa.Table, names: Sequence[str]) -> Iterator[dict[str, Scalar]]:
    if not names:
        return repeat({}, len(table))
    return (
        {name: value for name, value in row.items() if not isinstance(value, datetime)}
        for row in table.select(names).to_pylist()
    )


def _item(
    values: Sequence[Any], metadata: Mapping[str, Scalar], references: Sequence[Path]
) -> Item:
    """Creates an item from values in the order of _COLUMNS."""
    uid, key, source, uri, text, width, height, size, modified, image_hash = values
    return Item(
        uid,
        key,
        source,
        uri or "",
        text or "",
        width or 0,
        height or 0,
        size or 0,
        modified or 0,
        image_hash or "",
        protected=_is_protected(uri, references),
        metadata=metadata,
    )


def _is_protected(uri: str | None, references: Sequence[Path]) -> bool:
    return bool(uri) and any(real_path(str(uri)).is_relative_to(place) for place in references)


class PrintCache:
    """Append-only cache of fingerprints by content hash, in fixed-size records.

    It is derived data and can be deleted; a record truncated by a crash is dropped.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        for name in _OLD_CACHE_NAMES:
            path.with_name(name).unlink(missing_ok=True)
        whole = path.stat().st_size // RECORD.itemsize
        with path.open("r+b") as file:
            file.truncate(whole * RECORD.itemsize)
        self._reload()

    @staticmethod
    @contextmanager
    def locked(folder: Path, progress: ProgressListener) -> Iterator[None]:
        """Locks the caches of a store: a second run waits until the first has finished.

        Raises InputError if the folder is not writable.
        """
        lock = filelock.FileLock(folder / "lock")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            try:
                lock.acquire(timeout=0)
            except filelock.Timeout:
                progress.start("waiting for another run of dedup", None)
                lock.acquire()
        except OSError as fault:
            raise InputError(
                f"cannot write to {printable_path(folder)} ({fault.strerror}), where what was "
                "compared is kept; allow it for this user, or copy the store"
            ) from fault
        try:
            yield
        finally:
            lock.release()

    def _reload(self) -> None:
        empty = self._path.stat().st_size == 0
        self._records = (
            np.zeros(0, RECORD) if empty else np.memmap(self._path, dtype=RECORD, mode="r")
        )
        self._rows = {name.decode(): row for row, name in enumerate(self._records["hash"])}

    def row(self, image_hash: str) -> int | None:
        """Index of a fingerprint; None if it is not cached."""
        return self._rows.get(image_hash)

    def frames(self, row: int) -> int:
        """Number of frames or pages of the file."""
        return int(self._records["frames"][row])

    def transparent(self, row: int) -> bool:
        """Whether any pixel is not opaque."""
        return bool(self._records["transparent"][row])

    def content(self, row: int) -> str:
        """Digest of the decoded content; '' if not known."""
        return bytes(self._records["content"][row]).decode()

    def measured(self, item: Item) -> Item:
        """The item with the sharpness of its fingerprint, if there is one."""
        row = self.row(item.image_hash)
        if row is None:
            return item
        return replace(item, sharpness=float(self._records["sharpness"][row]))

    def thumbnails(self, rows: Sequence[int]) -> Pixels:
        """Thumbnails, uint8 (n, SIDE, SIDE); not copied if they are contiguous in the file."""
        stored: Pixels = self._records["thumbnail"]
        if len(rows) and np.array_equal(rows, np.arange(rows[0], rows[0] + len(rows))):
            return stored[rows[0] : rows[0] + len(rows)]
        return stored[list(rows)]

    def complete(
        self, wanted: Mapping[str, str], bounds: MediaBounds, progress: ProgressListener
    ) -> None:
        """Computes missing fingerprints; unreadable images stay missing.

        wanted: printable path of a file for each content hash.
        """
        missing = [(name, real_path(uri)) for name, uri in wanted.items() if name not in self._rows]
        progress.start("reading fingerprints", len(missing))
        # One thread per core: decoding releases the interpreter lock, more threads only contend.
        with ThreadPoolExecutor(cpu_count() or 1) as threads, self._path.open("ab") as file:
            for start in range(0, len(missing), _BATCH):
                part = missing[start : start + _BATCH]
                prints = list(threads.map(lambda each: _read(each[0], each[1], bounds), part))
                found = [
                    (name, print_)
                    for (name, _), print_ in zip(part, prints, strict=True)
                    if print_ is not None
                ]
                records = np.zeros(len(found), RECORD)
                for record, (name, print_) in zip(records, found, strict=True):
                    record["hash"] = name.encode()
                    record["sharpness"] = print_.sharpness
                    record["frames"] = print_.frames
                    record["transparent"] = print_.transparent
                    record["content"] = print_.content.encode()
                    record["thumbnail"] = print_.thumbnail
                file.write(records.tobytes())
                progress.advance(len(part))
        self._reload()


def _read(image_hash: str, path: Path, bounds: MediaBounds) -> Print | None:
    """Reads a fingerprint; None if the file is missing, unreadable or changed since indexing."""
    try:
        data = read_indexed(image_hash, path, bounds)
        return read_print(data, bounds) if data is not None else None
    except InputError:
        return None


def read_indexed(image_hash: str, path: Path, bounds: MediaBounds) -> bytes | None:
    """Reads a file; None if it has changed since indexing. Raises InputError."""
    data = read_bytes(path, max_bytes=bounds.max_bytes, setting="max_image_bytes")
    return data if content_hash(data) == image_hash else None
