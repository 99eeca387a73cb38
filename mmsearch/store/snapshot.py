"""Copies of columns in Arrow files beside the index, for commands that do without LanceDB.

Importing LanceDB takes longer than the rest of a cold search, and reading ten rows from it longer
than finding them. One file has the public columns of the live rows, for searches; another what is
known of the files of all rows, for finding changes. They are written under the write lock, and are
valid only while the table's folder lists the versions that it listed then: any commit adds one.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from mmsearch.files import replaced_file
from mmsearch.records import Ids

VERSIONS = Path("lance") / "items.lance" / "_versions"
FAILURE_VERSIONS = Path("lance") / "failures.lance" / "_versions"
# Beyond this, writing the file would take longer than updating the index.
MAX_ROWS, MAX_BYTES = 2_000_000, 2**29
_META = b"mmsearch"
# What is compared with a source to find changes.
FILE_COLUMNS = (
    "_uid", "key", "source", "uri", "_size", "_mtime", "_ctime",
    "_image_hash", "_text_hash", "_row_hash", "_missing", "_embedded",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Rows at a table version, by ascending _uid, memory-mapped.

    counts: as `Store.counts`. parts_version: of the table of their parts, None without one.
    parts: their parts by item, kind and number, None where none are kept.
    """

    version: int
    counts: Mapping[str, int]
    rows: pa.Table
    parts_version: int | None = None
    parts: pa.Table | None = None

    @property
    def uids(self) -> Ids:
        """The uids of the rows, int64 (n,), ascending."""
        # Arrow's `to_numpy` and `array` would import pandas where it is installed: half a second.
        uids = np.from_dlpack(self.rows.column("_uid").combine_chunks())
        return uids.astype(np.int64, copy=False)

    def rows_of(self, uids: Sequence[int], columns: Sequence[str]) -> pa.Table:
        """Returns the rows among these uids."""
        known = self.uids
        requested = np.unique(np.asarray(uids, dtype=np.int64))
        places = np.searchsorted(known, requested)
        places, requested = places[places < len(known)], requested[places < len(known)]
        found = places[known[places] == requested].astype(np.int64)
        indices = pa.Array.from_buffers(pa.int64(), len(found), [None, pa.py_buffer(found)])
        return self.rows.select(list(columns)).take(indices)


def parts_of(parts: pa.Table, items: Sequence[int]) -> pa.Table:
    """Returns the parts of these items. parts: of a snapshot."""
    owners = parts.column("item").combine_chunks().to_numpy()
    requested = np.unique(np.asarray(items, dtype=np.int64))
    starts, ends = (np.searchsorted(owners, requested, side) for side in ("left", "right"))
    ranges = [np.arange(start, end) for start, end in zip(starts, ends, strict=True)]
    return parts.take(np.concatenate([np.zeros(0, np.int64), *ranges]))


def parts_path(path: Path) -> Path:
    """Returns the file of the parts of a snapshot. path: of the snapshot."""
    return path.with_suffix(".parts.arrow")


def write_parts(path: Path, parts: pa.Table) -> None:
    """Writes the parts of a snapshot, before the snapshot itself."""
    with replaced_file(parts_path(path)) as stream:
        rows = parts.combine_chunks()
        with pa.ipc.new_file(stream, rows.schema) as writer:
            writer.write_table(rows)


def _read_parts(path: Path) -> pa.Table | None:
    try:
        return pa.ipc.open_file(pa.memory_map(str(parts_path(path)))).read_all()
    except (OSError, ValueError):
        return None


def write_snapshot(path: Path, folder: Path, snapshot: Snapshot) -> None:
    """Writes a snapshot. Call it under the write lock, after the last commit of the run."""
    about = {
        "version": snapshot.version,
        "counts": dict(snapshot.counts),
        "parts_version": snapshot.parts_version,
        "versions": _versions(folder / VERSIONS),
        "failure_versions": _versions(folder / FAILURE_VERSIONS),
    }
    # As one chunk, since taking rows from several makes Arrow concatenate them first.
    rows = snapshot.rows.sort_by("_uid").combine_chunks()
    rows = rows.replace_schema_metadata({_META: json.dumps(about)})
    with replaced_file(path) as stream, pa.ipc.new_file(stream, rows.schema) as writer:
        writer.write_table(rows)


def read_snapshot(path: Path, folder: Path, *, with_failures: bool = False) -> Snapshot | None:
    """Reads a snapshot; returns None where it is missing, unreadable or out of date.

    with_failures: also where failures have been recorded since, which only `counts` tells.
    """
    try:
        rows = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
        about = json.loads(rows.schema.metadata[_META])
        fresh = about["versions"] == _versions(folder / VERSIONS)
        if with_failures:
            fresh &= about["failure_versions"] == _versions(folder / FAILURE_VERSIONS)
        if not fresh:
            return None
        parts_version = about.get("parts_version")
        parts = None if parts_version is None else _read_parts(path)
        return Snapshot(about["version"], about["counts"], rows, parts_version, parts)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _versions(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())
