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
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Generic, Self, TypeAlias, TypeVar

import loky

from mmsearch.errors import InputError, UnreadableMedia
from mmsearch.media import MediaBounds, PreparedImage, Preprocessing, read_image
from mmsearch.media.metadata import ImageMetadata, MetadataRequest, read_metadata_of_file

ImageOrError: TypeAlias = PreparedImage | ImageMetadata | InputError
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
        self,
        items: Iterable[Item],
        path_of: Callable[[Item], Path | None],
        look_ahead: int,
        *,
        metadata_of: Callable[[Item], MetadataRequest | None] = lambda item: None,
    ) -> Iterator[tuple[Item, ImageOrError | None]]:
        """Yields the items in order, each with its image, or None where `path_of` gives None.

        At most `look_ahead` items are taken before the first is yielded. metadata_of: which
        metadata to read with an item's image, or instead of it.
        """
        window: deque[_Pending[Item]] = deque()
        for item in items:
            path, request = path_of(item), metadata_of(item)
            future = self._submit(path, request) if path is not None else None
            window.append(_Pending(item, path, request, future))
            if len(window) >= look_ahead:
                yield self._collect(window.popleft())
        while window:
            yield self._collect(window.popleft())

    def read(self, path: Path, metadata: MetadataRequest | None = None) -> ImageOrError:
        """Decodes one image; returns UnreadableMedia if it crashes its worker."""
        try:
            return self._submit(path, metadata).result()
        except InputError as error:
            return error
        except BrokenProcessPool:
            self._stop()
            return UnreadableMedia(
                f"{path.name}: the decoder crashed on it; convert the image to another format"
            )

    def _collect(self, pending: "_Pending[Item]") -> tuple[Item, ImageOrError | None]:
        if pending.path is None or pending.future is None:
            return pending.item, None
        try:
            return pending.item, pending.future.result()
        except InputError as error:
            return pending.item, error
        except BrokenProcessPool:
            self._stop()
            return pending.item, self.read(pending.path, pending.metadata)

    def _submit(self, path: Path, metadata: MetadataRequest | None) -> Future[ImageOrError]:
        if self._pool is None:
            self._pool = loky.ProcessPoolExecutor(
                self._workers, initializer=_start_worker, initargs=(os.getpid(),)
            )
        try:
            future: Future[ImageOrError] = (
                self._pool.submit(read_metadata_of_file, path, metadata)
                if metadata is not None and metadata.alone
                else self._pool.submit(
                    read_image, path, bounds=self._bounds, spec=self._spec, metadata=metadata
                )
            )
            return future
        except BrokenProcessPool:
            broken: Future[ImageOrError] = Future()
            broken.set_exception(BrokenProcessPool())
            return broken

    def _stop(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=False, kill_workers=True)
            self._pool = None


@dataclass(frozen=True, slots=True)
class _Pending(Generic[Item]):
    """An item whose image is being read."""

    item: Item
    path: Path | None
    metadata: MetadataRequest | None
    future: Future[ImageOrError] | None


def _start_worker(parent: int) -> None:
    """Ignores Ctrl-C, which the parent handles, and ends the worker if the parent is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(PARENT_CHECK_SECONDS)
    os._exit(1)
