"""Cache of alignments of two whole files, all frames or two backgrounds, by content hashes."""

import sqlite3
from collections.abc import Mapping, Set
from typing import NamedTuple, TypeAlias

from mmsearch.dedup.cache.database import CacheDatabase

# Two content hashes, the smaller first.
HashPair: TypeAlias = tuple[str, str]


class Verdict(NamedTuple):
    """Result of a comparison.

    agreement: of the images.
    orientation: index into ORIENTATIONS that turns the second image onto the first.
    """

    agreement: float
    orientation: int


class Verdicts:
    """Verdicts by two content hashes, held in memory; `save` writes new ones."""

    def __init__(self, database: CacheDatabase) -> None:
        self._database = database
        rows = database.run(
            lambda connection: connection.execute("SELECT * FROM alignment").fetchall()
        )
        self._known = {
            (first, second): Verdict(agreement, orientation)
            for first, second, agreement, orientation in rows
        }
        self._new: dict[HashPair, Verdict] = {}

    def get(self, pair: HashPair) -> Verdict | None:
        """The verdict of a pair; None if it is not cached."""
        return self._known.get(pair)

    def add(self, verdicts: Mapping[HashPair, Verdict]) -> None:
        """Adds verdicts."""
        self._known.update(verdicts)
        self._new.update(verdicts)

    def save(self, present: Set[str] | None) -> None:
        """Writes new verdicts, if any, and then drops those of files that are gone.

        present: hashes of the files that exist, None to keep every verdict.
        """
        if not self._new:
            return
        new = [(*pair, *verdict) for pair, verdict in self._new.items()]
        gone = [pair for pair in self._known if present is not None and not present >= set(pair)]

        def write(connection: sqlite3.Connection) -> None:
            connection.executemany("INSERT OR REPLACE INTO alignment VALUES (?, ?, ?, ?)", new)
            connection.executemany("DELETE FROM alignment WHERE first = ? AND second = ?", gone)

        self._database.run(write)
        self._new.clear()
