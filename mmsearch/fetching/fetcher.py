"""Downloads URLs in threads, each into a file of the store, unless it is there already."""

import random
import threading
import time
from collections import Counter
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx2

from mmsearch.config import Settings
from mmsearch.fetching.client import Client, FetchedImage, Validators, web_url
from mmsearch.fetching.errors import FetchError
from mmsearch.fetching.host_queues import HostQueues
from mmsearch.fetching.network import Network
from mmsearch.fetching.url_table import KnownUrl, UrlTable
from mmsearch.sources.picture_files import PictureFiles

TABLE_NAME = "urls.sqlite"
TRIES = 3
FIRST_DELAY_SECONDS = 1.0
# Where a server asks for more, its URLs are left to a later run.
LONGEST_DELAY_SECONDS = 120.0
# A host that could not be reached so often in succession is not asked again in this run.
UNREACHED_LIMIT = 8
_DAY_SECONDS = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchOptions:
    """What is asked again.

    retry: URLs that failed before. refetch: all URLs, whose images are downloaded if they have
    changed. offline: none; only what was fetched before is used.
    """

    retry: bool = False
    refetch: bool = False
    offline: bool = False


@dataclass(frozen=True, slots=True)
class _Download:
    """A URL that is to be requested. tries: requests so far."""

    url: str
    result: Future[Path]
    known: KnownUrl | None
    validators: Validators | None
    tries: int = 0


class Fetcher:
    """Fetches URLs into a folder of pictures, as a context manager.

    images, size: files and bytes downloaded so far. kept: images that could not be asked again and
    stay as they were.
    """

    def __init__(self, folder: Path, settings: Settings, options: FetchOptions) -> None:
        """Prepares fetching; threads start with the first URL that has to be requested."""
        self.images, self.size, self.kept = 0, 0, 0
        self._settings, self._options = settings, options
        self._folder, self._pictures = folder, PictureFiles(folder)
        table = folder / TABLE_NAME
        self._table = UrlTable(table if table.exists() or not options.offline else None)
        self._started = time.time()
        self._queues = HostQueues[_Download](settings.fetch_per_host)
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._unreached: Counter[str] = Counter()
        self._in_flight: dict[str, Future[Path]] = {}
        self._stopping = False
        allowed = settings.fetch_from
        self._client = Client(
            Network(
                [httpx2.URL(scheme="http", host=host).raw_host.decode() for host in allowed],
                proxied=settings.fetch_proxy is not None,
            ),
            max_bytes=settings.fetch_bytes,
            seconds=settings.fetch_timeout,
            proxy=settings.fetch_proxy,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._lock:
            self._stopping = True
        self._queues.close()
        self._client.close()
        for thread in self._threads:
            # One that waits for a host ends by itself, at the latest after its deadline.
            thread.join(timeout=0.2)
        self._table.close()

    def fetch(self, url: str, *, damaged: bool = False) -> "Future[Path]":
        """Returns the file of a URL's image, once it is there; the future may raise FetchError.

        damaged: the file that is there cannot be used, so that it is downloaded again.
        """
        with self._lock:
            running = self._in_flight.get(url)
        if running is not None:
            return running
        result: Future[Path] = Future()
        known = self._table.get(url)
        file = self._file(known)
        failure = self._remembered_failure(known, file)
        if file is not None and not self._is_due(known, damaged=damaged):
            result.set_result(file)
        elif failure is not None:
            result.set_exception(FetchError(failure))
        else:
            self._request(url, result, known if file else None, damaged=damaged)
        return result

    def _file(self, known: KnownUrl | None) -> Path | None:
        if known is None or known.file is None:
            return None
        path = self._folder / known.file
        return path if path.is_file() else None

    def _remembered_failure(self, known: KnownUrl | None, file: Path | None) -> str | None:
        """Returns why the URL is not asked in this run; None if it is."""
        if self._options.offline:
            return "not fetched yet"
        if known is None or known.failure is None or file is not None:
            return None
        repeat = self._options.retry or self._options.refetch
        return None if repeat and known.asked < self._started else known.failure

    def _is_due(self, known: KnownUrl | None, *, damaged: bool) -> bool:
        """Whether a URL is asked again whose image is there."""
        if known is None or self._options.offline or known.asked >= self._started:
            return False
        days = self._settings.fetch_refresh
        old = days is not None and known.asked < self._started - days * _DAY_SECONDS
        return damaged or self._options.refetch or old

    def _request(
        self, url: str, result: "Future[Path]", known: KnownUrl | None, *, damaged: bool
    ) -> None:
        try:
            host = web_url(url).host
        except FetchError as error:
            result.set_exception(error)
            return
        validators = Validators(known.etag, known.last_modified) if known and not damaged else None
        with self._lock:
            self._in_flight[url] = result
        if len(self._threads) < self._settings.fetch_connections:
            thread = threading.Thread(target=self._work, daemon=True)
            self._threads.append(thread)
            thread.start()
        self._queues.add(host, _Download(url, result, known, validators))

    def _work(self) -> None:
        while (taken := self._queues.take()) is not None:
            host, download = taken
            try:
                file = self._download(host, download)
            except FetchError as error:
                self._finish(download, error)
            except Exception as error:  # such as a full disk: it reaches who waits for the file
                self._finish(download, error)
            else:
                if file is not None:
                    self._finish(download, file)
            finally:
                self._queues.done(host)

    def _download(self, host: str, download: _Download) -> Path | None:
        """Requests a URL; None if it will be requested again. Raises FetchError, OSError."""
        if self._unreached[host] >= UNREACHED_LIMIT:
            raise FetchError(f"{host} could not be reached; the next run tries again")
        try:
            image = self._client.get(download.url, download.validators)
        except FetchError as error:
            with self._lock:
                self._unreached[host] = 0 if error.reached else self._unreached[host] + 1
            if self._ask_later(host, download, error):
                return None
            return self._settle_failure(download, error)
        with self._lock:
            self._unreached[host] = 0
        return self._keep(download, image)

    def _ask_later(self, host: str, download: _Download, error: FetchError) -> bool:
        """Queues a request again after a failure that may pass; returns whether it has."""
        wait = error.wait or 0.0
        if not error.again or download.tries + 1 >= TRIES or wait > LONGEST_DELAY_SECONDS:
            return False
        if wait:
            self._queues.pause(host, wait)
        # Spread, so that requests that failed together do not come back together.
        spread = 1 + random.random()  # noqa: S311
        delay = max(wait, FIRST_DELAY_SECONDS * 2**download.tries * spread / 2)
        self._queues.add(host, replace(download, tries=download.tries + 1), delay=delay)
        return True

    def _settle_failure(self, download: _Download, error: FetchError) -> Path:
        """Returns the image of an earlier request if there is one. Raises FetchError otherwise."""
        known, file = download.known, self._file(download.known)
        if known is not None and file is not None:
            with self._lock:
                self.kept += 1
            self._remember(download.url, replace(known, failure=str(error)))
            return file
        wait = error.wait or 0.0
        if error.lasting and wait <= LONGEST_DELAY_SECONDS:
            self._remember(download.url, KnownUrl(None, None, None, time.time(), str(error)))
        raise error

    def _keep(self, download: _Download, image: FetchedImage | None) -> Path | None:
        """Writes an image and returns its file; that of before if the server has no other."""
        now = time.time()
        if image is None:
            known = download.known
            file = self._file(known)
            if known is None or file is None:
                raise FetchError("the image was removed from the store while it was asked for")
            self._remember(download.url, replace(known, asked=now, failure=None))
            return file
        path = self._pictures.add(image.content, image.format)
        name = path.relative_to(self._folder).as_posix()
        self._remember(
            download.url,
            KnownUrl(name, image.validators.etag, image.validators.last_modified, now, None),
        )
        with self._lock:
            self.images += 1
            self.size += len(image.content)
        return path

    def _remember(self, url: str, known: KnownUrl) -> None:
        with self._lock:
            if not self._stopping:
                self._table.put(url, known)

    def _finish(self, download: _Download, outcome: Path | Exception) -> None:
        with self._lock:
            self._in_flight.pop(download.url, None)
        if isinstance(outcome, Path):
            download.result.set_result(outcome)
        else:
            download.result.set_exception(outcome)
