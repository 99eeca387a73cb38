"""Keypoints by content hash, kept in one SQLite table; derived, and can be deleted."""

import sqlite3
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from os import cpu_count
from pathlib import Path

from threadpoolctl import threadpool_limits

from mmsearch.dedup.items import Item
from mmsearch.dedup.keypoints import Keypoints
from mmsearch.dedup.verifying import Comparer
from mmsearch.errors import InputError
from mmsearch.progress import ProgressListener

# Another one where other keypoints are found in the same picture.
_VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS keypoints (
    hash TEXT NOT NULL, version INTEGER NOT NULL, found BLOB NOT NULL, PRIMARY KEY (hash)
) WITHOUT ROWID
"""
_BATCH = 256


class KeypointCache:
    """One file; what is not in it is extracted and added."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            with closing(sqlite3.connect(path)) as table:
                table.execute(_SCHEMA)
                table.execute("DELETE FROM keypoints WHERE version != ?", (_VERSION,))
                table.commit()
        except sqlite3.DatabaseError:
            path.unlink(missing_ok=True)
            with closing(sqlite3.connect(path)) as table:
                table.execute(_SCHEMA)

    def of(
        self, items: Sequence[Item], comparer: Comparer, progress: ProgressListener
    ) -> list[Keypoints | None]:
        """For each item its keypoints, None where its file cannot be read as indexed."""
        with closing(sqlite3.connect(self._path)) as table:
            known = {name for (name,) in table.execute("SELECT hash FROM keypoints")}
            missing = [item for item in items if item.image_hash not in known]
            progress.start("reading keypoints", len(missing))
            with threadpool_limits(limits=1), ThreadPoolExecutor(cpu_count() or 1) as threads:
                for start in range(0, len(missing), _BATCH):
                    part = missing[start : start + _BATCH]
                    found = list(threads.map(comparer.keypoints, part))
                    rows = [
                        (item.image_hash, _VERSION, points.to_bytes())
                        for item, points in zip(part, found, strict=True)
                        if points is not None
                    ]
                    table.executemany("INSERT OR REPLACE INTO keypoints VALUES (?, ?, ?)", rows)
                    table.commit()
                    progress.advance(len(part))
            return [self._read(table, item.image_hash) for item in items]

    def _read(self, table: sqlite3.Connection, image_hash: str) -> Keypoints | None:
        row = table.execute("SELECT found FROM keypoints WHERE hash = ?", (image_hash,)).fetchone()
        try:
            return None if row is None else Keypoints.from_bytes(row[0])
        except InputError:
            return None
