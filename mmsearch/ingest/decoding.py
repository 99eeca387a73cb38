"""Pictures are read and decoded in worker processes: bounded look-ahead, results in order.

A codec that crashes takes its worker with it, so what was in flight is then read again one by one,
and only the culprit fails.
"""

import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from types import TracebackType
from typing import Self, TypeAlias, TypeVar

import loky

from mmsearch.errors import InputError, UnreadableMedia
from mmsearch.media import MediaBounds, PreparedImage, Preprocessing, read_image

Outcome: TypeAlias = PreparedImage | InputError
Item = TypeVar("Item")

PARENT_CHECK_SECONDS = 1.0


class PictureReader:
    """Use as a context manager; workers start with the first picture."""

    def __init__(self, *, bounds: MediaBounds, spec: Preprocessing, workers: int) -> None:
        self._bounds, self._spec, self._workers = bounds, spec, workers
        self._pool: loky.ProcessPoolExecutor | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop()

    def read_ahead(
        self, items: Iterable[Item], path_of: Callable[[Item], Path | None], look_ahead: int
    ) -> Iterator[tuple[Item, Outcome | None]]:
        """Yields the items in order, each with its picture, or None where `path_of` gives None.

        At most `look_ahead` items are taken before the first is yielded.
        """
        window: deque[tuple[Item, Path | None, Future[PreparedImage] | None]] = deque()
        for item in items:
            path = path_of(item)
            window.append((item, path, self._submit(path) if path is not None else None))
            if len(window) >= look_ahead:
                yield self._collect(*window.popleft())
        while window:
            yield self._collect(*window.popleft())

    def read(self, path: Path) -> Outcome:
        """One picture, now; a worker that dies over it makes it an UnreadableMedia."""
        try:
            return self._submit(path).result()
        except InputError as error:
            return error
        except BrokenProcessPool:
            self._stop()
            return UnreadableMedia(
                f"{path.name}: the decoder crashed on it; convert the picture to another format"
            )

    def _collect(
        self, item: Item, path: Path | None, future: Future[PreparedImage] | None
    ) -> tuple[Item, Outcome | None]:
        if path is None or future is None:
            return item, None
        try:
            return item, future.result()
        except InputError as error:
            return item, error
        except BrokenProcessPool:
            self._stop()
            return item, self.read(path)

    def _submit(self, path: Path) -> Future[PreparedImage]:
        if self._pool is None:
            self._pool = loky.ProcessPoolExecutor(
                self._workers, initializer=_start_worker, initargs=(os.getpid(),)
            )
        try:
            future: Future[PreparedImage] = self._pool.submit(
                read_image, path, bounds=self._bounds, spec=self._spec
            )
            return future
        except BrokenProcessPool:
            broken: Future[PreparedImage] = Future()
            broken.set_exception(BrokenProcessPool())
            return broken

    def _stop(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=False, kill_workers=True)
            self._pool = None


def _start_worker(parent: int) -> None:
    """Ctrl-C is the parent's to handle; a worker whose parent was killed ends with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(PARENT_CHECK_SECONDS)
    os._exit(1)
