"""Cache of keypoints by content hash in an SQLite table; derived data that can be deleted."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from mmsearch.dedup.comparison.pool import FileOf, keypoints_of, on_every_core
from mmsearch.dedup.keypoints import Keypoints
from mmsearch.errors import InputError
from mmsearch.media import MediaBounds
from mmsearch.progress import ProgressListener

# Changes whenever other keypoints are found in the same image.
_VERSION = 2
_SCHEMA = """
CREATE TABLE IF NOT EXISTS keypoints (
    hash TEXT NOT NULL, version INTEGER NOT NULL, found BLOB NOT NULL, PRIMARY KEY (hash)
) WITHOUT ROWID
"""
_BATCH = 1024


class KeypointCache:
    """A cache file; missing keypoints are extracted and added."""

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
        self, files: Sequence[FileOf], bounds: MediaBounds, progress: ProgressListener
    ) -> list[Keypoints | None]:
        """Keypoints of each file; None if it cannot be read as indexed."""
        with closing(sqlite3.connect(self._path)) as table:
            known = {name for (name,) in table.execute("SELECT hash FROM keypoints")}
            missing = [file for file in files if file.image_hash not in known]
            progress.start("reading keypoints", len(missing))
            for start in range(0, len(missing), _BATCH):
                part = missing[start : start + _BATCH]
                found = on_every_core(keypoints_of, part, bounds, progress)
                rows = [
                    (file.image_hash, _VERSION, points.to_bytes())
                    for file, points in zip(part, found, strict=True)
                    if points is not None
                ]
                table.executemany("INSERT OR REPLACE INTO keypoints VALUES (?, ?, ?)", rows)
                table.commit()
            return [self._read(table, file.image_hash) for file in files]

    def _read(self, table: sqlite3.Connection, image_hash: str) -> Keypoints | None:
        row = table.execute("SELECT found FROM keypoints WHERE hash = ?", (image_hash,)).fetchone()
        try:
            return None if row is None else Keypoints.from_bytes(row[0])
        except InputError:
            return None
