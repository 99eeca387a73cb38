"""Decodes images in worker processes, with bounded look-ahead and results in order.

A codec that crashes ends its worker; the images in flight are then decoded again one at a time, so
that only the one that crashed it fails.
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

ImageOrError: TypeAlias = PreparedImage | InputError
Item = TypeVar("Item")

PARENT_CHECK_SECONDS = 1.0


class ImageReader:
    """A pool of decoding processes, as a context manager; they start with the first image."""

    def __init__(self, *, bounds: MediaBounds, spec: Preprocessing, workers: int | None) -> None:
        """Prepares the pool. workers: processes; all cores but one if None."""
        self._bounds, self._spec = bounds, spec
        self._workers = workers or max(1, (os.cpu_count() or 2) - 1)
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
    ) -> Iterator[tuple[Item, ImageOrError | None]]:
        """Yields the items in order, each with its image, or None where `path_of` gives None.

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

    def read(self, path: Path) -> ImageOrError:
        """Decodes one image; returns UnreadableMedia if it crashes its worker."""
        try:
            return self._submit(path).result()
        except InputError as error:
            return error
        except BrokenProcessPool:
            self._stop()
            return UnreadableMedia(
                f"{path.name}: the decoder crashed on it; convert the image to another format"
            )

    def _collect(
        self, item: Item, path: Path | None, future: Future[PreparedImage] | None
    ) -> tuple[Item, ImageOrError | None]:
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
    """Ignores Ctrl-C, which the parent handles, and ends the worker if the parent is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(PARENT_CHECK_SECONDS)
    os._exit(1)
