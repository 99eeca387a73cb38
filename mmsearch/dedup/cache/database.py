"""The SQLite database of what earlier runs found: derived data that can be deleted."""

import json
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

NAME = "cache.sqlite"
# Files of earlier versions, which the database replaces.
_FORMER_FILES = (
    *("comparisons.sqlite", "keypoints.sqlite", "whole.npz", "contents.npz", "texts.npz"),
    *("pairs.npz", "pairs-*.npz", "similar.npz", "nearest.npz"),
)
_SCHEMA = """
CREATE TABLE IF NOT EXISTS alignment (
    first TEXT, second TEXT, agreement REAL NOT NULL, orientation INTEGER NOT NULL,
    PRIMARY KEY (first, second)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS comparison (
    first TEXT, second TEXT, version INTEGER NOT NULL, found TEXT NOT NULL,
    PRIMARY KEY (first, second)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS original (
    files TEXT PRIMARY KEY, version INTEGER NOT NULL, choice TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS keypoints (
    hash TEXT PRIMARY KEY, version INTEGER NOT NULL, found BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS array (
    search TEXT, name TEXT, block INTEGER, setting TEXT NOT NULL, dtype TEXT NOT NULL,
    shape TEXT NOT NULL, data BLOB NOT NULL, PRIMARY KEY (search, name, block)
);
"""
# SQLite holds at most 1 GB in a value.
_BLOCK_BYTES = 1 << 26

Answer = TypeVar("Answer")


class CacheDatabase:
    """The database in a folder; if it is damaged, it is replaced by an empty one."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME
        for pattern in _FORMER_FILES:
            for path in folder.glob(pattern):
                path.unlink(missing_ok=True)

    def run(self, work: Callable[[sqlite3.Connection], Answer]) -> Answer:
        """Calls a function with a connection and commits; calls it again if there is damage."""
        try:
            return self._connected(work)
        except sqlite3.OperationalError:
            # A full disk or a folder without permission, not damage.
            raise
        except sqlite3.DatabaseError:
            self._path.unlink(missing_ok=True)
            return self._connected(work)

    def write(self, statement: str, rows: Sequence[Sequence[Any]]) -> None:
        """Executes a statement for each of the rows, in one transaction."""
        self.run(lambda connection: connection.executemany(statement, rows))

    def _connected(self, work: Callable[[sqlite3.Connection], Answer]) -> Answer:
        with closing(sqlite3.connect(self._path)) as database, database:
            database.executescript(_SCHEMA)
            return work(database)


@dataclass(frozen=True, slots=True)
class CachedArrays:
    """The arrays that describe the result of one search.

    search: its name, such as 'texts'.
    """

    database: CacheDatabase
    search: str

    def load(self, setting: str) -> Mapping[str, NDArray[Any]] | None:
        """Reads the arrays by name, not writable; None if there are none with this setting.

        Without them everything is computed again, with the same result.
        """
        query = """
            SELECT name, dtype, shape, data FROM array WHERE search = ? AND setting = ?
            ORDER BY name, block
        """
        rows = self.database.run(
            lambda database: database.execute(query, (self.search, setting)).fetchall()
        )
        blocks: dict[tuple[str, str, str], list[bytes]] = {}
        for *described, data in rows:
            blocks.setdefault(tuple(described), []).append(data)
        return {
            name: np.frombuffer(b"".join(parts), dtype).reshape(json.loads(shape))
            for (name, dtype, shape), parts in blocks.items()
        } or None

    def save(self, setting: str, **arrays: NDArray[Any]) -> None:
        """Replaces the arrays. setting: what they depend on besides the content of the store."""
        rows = []
        for name, array in arrays.items():
            data, described = array.tobytes(), (array.dtype.str, json.dumps(array.shape))
            for block, start in enumerate(range(0, max(len(data), 1), _BLOCK_BYTES)):
                part = data[start : start + _BLOCK_BYTES]
                rows.append((self.search, name, block, setting, *described, part))

        def replace(database: sqlite3.Connection) -> None:
            database.execute("DELETE FROM array WHERE search = ?", (self.search,))
            database.executemany("INSERT INTO array VALUES (?, ?, ?, ?, ?, ?, ?)", rows)

        self.database.run(replace)
