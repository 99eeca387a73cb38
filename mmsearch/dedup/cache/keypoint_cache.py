"""Cache of keypoints by content hash."""

import sqlite3
from collections.abc import Sequence
from contextlib import suppress

from mmsearch.dedup.cache.database import CacheDatabase
from mmsearch.dedup.comparison.pool import FileOf, keypoints_of, on_every_core
from mmsearch.dedup.keypoints import Keypoints
from mmsearch.errors import InputError
from mmsearch.media import MediaBounds
from mmsearch.progress import ProgressListener

# Changes whenever other keypoints are found in the same image.
_VERSION = 2
_BATCH = 1024


class KeypointCache:
    """Keypoints by content hash; missing ones are extracted and added."""

    def __init__(self, database: CacheDatabase) -> None:
        self._database = database

    def of(
        self, files: Sequence[FileOf], bounds: MediaBounds, progress: ProgressListener
    ) -> list[Keypoints | None]:
        """Keypoints of each file; None if it cannot be read as indexed."""
        names = [file.image_hash for file in files]
        known = self._database.run(lambda connection: _read(connection, names))
        missing = [file for file in files if file.image_hash not in known]
        progress.start("reading keypoints", len(missing))
        for start in range(0, len(missing), _BATCH):
            part = missing[start : start + _BATCH]
            extracted = on_every_core(keypoints_of, part, bounds, progress)
            found = {
                file.image_hash: points
                for file, points in zip(part, extracted, strict=True)
                if points is not None
            }
            known.update(found)
            rows = [(name, _VERSION, points.to_bytes()) for name, points in found.items()]
            self._database.write("INSERT OR REPLACE INTO keypoints VALUES (?, ?, ?)", rows)
        return [known.get(name) for name in names]


def _read(connection: sqlite3.Connection, names: Sequence[str]) -> dict[str, Keypoints]:
    query = "SELECT found FROM keypoints WHERE hash = ? AND version = ?"
    known = {}
    for name in names:
        row = connection.execute(query, (name, _VERSION)).fetchone()
        if row is not None:
            with suppress(InputError):
                known[name] = Keypoints.from_bytes(row[0])
    return known
