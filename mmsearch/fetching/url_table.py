"""What is known of each URL that was fetched: its file, its version, and why it failed."""

import sqlite3
import threading
from dataclasses import astuple, dataclass
from pathlib import Path

_COLUMNS = "file, etag, last_modified, asked, failure"


@dataclass(frozen=True, slots=True)
class KnownUrl:
    """The last answer of a URL.

    file: of its image, relative to the folder of pictures; None if there never was one. etag,
    last_modified: of the file, as the server gave them. asked: when, in seconds since 1970.
    failure: why the last request gave no image; None if it did.
    """

    file: str | None
    etag: str | None
    last_modified: str | None
    asked: float
    failure: str | None


class UrlTable:
    """A SQLite file of URLs, written through at once; may be used by several threads."""

    def __init__(self, file: Path | None) -> None:
        """Opens the table, or makes one; None: in memory."""
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._rows = sqlite3.connect(
            file or ":memory:", check_same_thread=False, isolation_level=None
        )
        # Writing does not wait for the disk; after a power failure the last URLs are asked again.
        self._rows.execute("PRAGMA journal_mode=WAL")
        self._rows.execute("PRAGMA synchronous=NORMAL")
        self._rows.execute(
            "CREATE TABLE IF NOT EXISTS urls (url TEXT PRIMARY KEY, file TEXT, etag TEXT, "
            "last_modified TEXT, asked REAL NOT NULL, failure TEXT) WITHOUT ROWID"
        )

    def get(self, url: str) -> KnownUrl | None:
        """Returns what is known of a URL; None if it was never asked."""
        with self._lock:
            row = self._rows.execute(
                f"SELECT {_COLUMNS} FROM urls WHERE url = ?",  # noqa: S608  constant columns
                (url,),
            ).fetchone()
        return KnownUrl(*row) if row else None

    def put(self, url: str, known: KnownUrl) -> None:
        """Replaces what is known of a URL."""
        with self._lock:
            self._rows.execute(
                f"INSERT OR REPLACE INTO urls (url, {_COLUMNS}) "  # noqa: S608  constant columns
                "VALUES (?, ?, ?, ?, ?, ?)",
                (url, *astuple(known)),
            )

    def close(self) -> None:
        """Closes the file."""
        with self._lock:
            self._rows.close()
