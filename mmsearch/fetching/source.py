"""A source whose records name images by URL: they get files before they are decoded."""

import re
from collections import deque
from collections.abc import Container, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mmsearch.fetching.errors import FetchError
from mmsearch.progress import ProgressListener
from mmsearch.records import Failure, ImageFile, Record, printable_path
from mmsearch.sources.base import Source

if TYPE_CHECKING:
    from mmsearch.fetching.fetcher import Fetcher

# Enough to keep all connections busy while a batch is encoded.
RECORDS_AHEAD = 512
URL_COLUMN = "image_url"
_STATUS_SECONDS = 1.0
_USER_INFO = re.compile("(?<=//)[^/@]*@")


class FetchingSource:
    """Wraps a source; iterating it is iterating the source, `with_files` fetches.

    failed: keys of items that failed in an earlier run and are tried again.
    """

    def __init__(self, source: Source, fetcher: "Fetcher", failed: Container[str] = ()) -> None:
        self._source, self._fetcher, self._failed = source, fetcher, failed

    @property
    def name(self) -> str:
        """The name of the source."""
        return self._source.name

    @property
    def root(self) -> Path:
        """The root of the source."""
        return self._source.root

    @property
    def notes(self) -> tuple[str, ...]:
        """The notes of the source."""
        return self._source.notes

    def __iter__(self) -> Iterator[Record | Failure]:
        return iter(self._source)

    def with_files(
        self, records: Iterable[Record | Failure], progress: ProgressListener
    ) -> Iterator[Record | Failure]:
        """Yields the records in order, with files in place of URLs, and what could not be fetched.

        Up to RECORDS_AHEAD records are fetched ahead of the one that is yielded.
        """
        window: deque[tuple[Record | Failure, list[Future[Path]]]] = deque()
        for record in records:
            window.append((record, self._requested(record)))
            if len(window) >= RECORDS_AHEAD:
                yield from self._settled(*window.popleft(), progress)
        while window:
            yield from self._settled(*window.popleft(), progress)

    def _requested(self, record: Record | Failure) -> list[Future[Path]]:
        if isinstance(record, Failure):
            return []
        damaged = record.key in self._failed
        return [self._fetcher.fetch(url, damaged=damaged) for url in record.urls]

    def _settled(
        self, record: Record | Failure, files: list[Future[Path]], progress: ProgressListener
    ) -> Iterator[Record | Failure]:
        if isinstance(record, Failure) or not files:
            yield record
            return
        images = [ImageFile(record.uri, record.image)] if record.image else []
        images += record.more_images
        failures: list[Failure] = []
        for url, file in zip(record.urls, files, strict=True):
            try:
                path = self._waited(file, progress)
                images.append(ImageFile(printable_path(path), path))
            except FetchError as error:
                number = len(images) + len(failures) + 1
                key = record.key if len(files) == 1 else f"{record.key}#image={number}"
                failures.append(Failure(key, _without_password(url), "fetch", str(error)))
        if not images and not record.text and len(files) > 1:
            # Nothing is left of the item, so it is the item that failed.
            failures.append(replace(failures[0], key=record.key))
        yield from failures
        if images or record.text:
            yield _with_images(record, images)

    def _waited(self, file: "Future[Path]", progress: ProgressListener) -> Path:
        """Waits for a file; shows meanwhile what has been fetched. Raises FetchError."""
        while not file.done():
            if self._fetcher.images:
                progress.status(
                    f"fetched {self._fetcher.images:,} images, {self._fetcher.size / 1e6:,.1f} MB"
                )
            try:
                return file.result(timeout=_STATUS_SECONDS)
            except TimeoutError:
                continue
        return file.result()


def _without_password(url: str) -> str:
    return printable_path(_USER_INFO.sub("", url))


def _with_images(record: Record, images: Sequence[ImageFile]) -> Record:
    """Returns the record with these images; its first URL is metadata, unless there is such."""
    metadata = {URL_COLUMN: printable_path(record.urls[0]), **record.metadata}
    if not images:
        return replace(record, metadata=metadata, urls=())
    first, *more = images
    return replace(
        record,
        uri=first.uri,
        image=first.path,
        more_images=tuple(more),
        metadata=metadata,
        urls=(),
    )
