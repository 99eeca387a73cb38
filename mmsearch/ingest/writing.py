"""Commits rows in large batches, and finishes every commit that has begun."""

import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from mmsearch.store import Store

# Lance commits cost the same for one row as for thousands, and each leaves a version behind.
ROWS_PER_COMMIT = 4096


class RowWriter:
    """Collects rows and commits them in large batches."""

    def __init__(self, store: Store, commit_seconds: float) -> None:
        self._store, self._commit_seconds = store, commit_seconds
        self._rows: list[dict[str, Any]] = []
        self._parts = 0
        self._drops: list[int] = []
        self._last = time.monotonic()

    def add(self, rows: Sequence[dict[str, Any]], drops: Sequence[int]) -> None:
        """Adds rows, and uids of rows that they replace; commits when there are many."""
        self._rows += rows
        self._parts += sum(len(row["parts"]) for row in rows)
        self._drops += drops
        waited = time.monotonic() - self._last
        many = len(self._rows) + self._parts >= ROWS_PER_COMMIT
        if many or waited >= self._commit_seconds:
            self.flush()

    def flush(self) -> None:
        """Commits the rows collected so far."""
        with uninterrupted():
            if self._rows:
                self._store.write_rows(self._rows, drops=self._drops)
            self._rows, self._drops, self._parts = [], [], 0
            self._last = time.monotonic()


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Delays Ctrl-C until the end of the block.

    LanceDB finishes a commit whose caller was interrupted, so writing the rows again on the way
    out would write them twice.
    """
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or before is None:
        yield
        return
    pressed = threading.Event()
    signal.signal(signal.SIGINT, lambda number, frame: pressed.set())
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if pressed.is_set():
        raise KeyboardInterrupt
