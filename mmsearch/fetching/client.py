"""One request: a URL becomes the bytes of an image, or a reason why not.

Bounded are the bytes (also of what a compressed answer unfolds to), the time in all, and the
redirects. What counts as an image is decided by the first bytes, not by the server's word.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.client import NOT_MODIFIED, OK, responses
from importlib.metadata import version

import httpcore2
import httpx2

from mmsearch.fetching.errors import FetchError
from mmsearch.fetching.network import Network
from mmsearch.media import SNIFF_BYTES, sniff
from mmsearch.media.formats import describe
from mmsearch.text import one_line

MAX_REDIRECTS = 5
CONNECT_SECONDS, READ_SECONDS = 10.0, 20.0
MAX_PORT = 65_535
_REDIRECTS = (301, 302, 303, 307, 308)
_BUSY = (408, 425, 429, 500, 502, 503, 504)
# zlib reads both the header of gzip and its own.
_GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS
_ENCODINGS = ("gzip", "x-gzip", "deflate")


@dataclass(frozen=True, slots=True)
class Validators:
    """What a server said of a version of an image, to ask later whether it has changed."""

    etag: str | None = None
    last_modified: str | None = None


@dataclass(frozen=True, slots=True)
class FetchedImage:
    """The content of an image file. format: a key of `media.FORMATS`."""

    content: bytes
    format: str
    validators: Validators


class Client:
    """Requests images over HTTP; may be used by several threads at once.

    max_bytes: of an image. seconds: of a request in all. proxy: URL of the user's own proxy.
    """

    def __init__(
        self, network: Network, *, max_bytes: int, seconds: float, proxy: str | None = None
    ) -> None:
        self._network, self._max_bytes, self._seconds = network, max_bytes, seconds
        self._pool = httpcore2.ConnectionPool(
            network_backend=network,
            proxy=_proxy(proxy) if proxy else None,
            max_connections=None,
            keepalive_expiry=READ_SECONDS,
        )

    def close(self) -> None:
        """Closes all connections."""
        self._pool.close()

    def get(self, url: str, known: Validators | None = None) -> FetchedImage | None:
        """Fetches an image; None if it is still the known version. Raises FetchError."""
        self._network.allow_seconds(self._seconds)
        place = web_url(url)
        try:
            for _ in range(MAX_REDIRECTS + 1):
                outcome = self._ask(place, known or Validators())
                if not isinstance(outcome, httpx2.URL):
                    return outcome
                place = outcome
        except httpcore2.ConnectTimeout as error:
            raise FetchError("the host does not answer", again=True, reached=False) from error
        except httpcore2.TimeoutException as error:
            raise FetchError(f"timed out ({error})", again=True) from error
        except httpcore2.ConnectError as error:
            raise FetchError(f"no connection ({error})", again=True, reached=False) from error
        except (httpcore2.NetworkError, httpcore2.ProtocolError, httpcore2.ProxyError) as error:
            raise FetchError(
                f"the connection broke before the image was complete ({error})", again=True
            ) from error
        raise FetchError(f"redirected more than {MAX_REDIRECTS} times")

    def _ask(self, url: httpx2.URL, known: Validators) -> FetchedImage | httpx2.URL | None:
        """Sends a request; returns the image, where the server redirects to, or None for a 304."""
        self._network.require_public(url.host)
        place = httpcore2.URL(
            scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
        )
        timeouts = {"connect": CONNECT_SECONDS, "read": READ_SECONDS, "write": READ_SECONDS}
        with self._pool.stream(
            "GET", place, headers=_request_headers(known), extensions={"timeout": timeouts}
        ) as response:
            headers = httpx2.Headers(response.headers)
            status = response.status
            if status in _REDIRECTS and "location" in headers:
                return web_url(headers["location"], base=url)
            if status == NOT_MODIFIED and known != Validators():
                return None
            if status != OK:
                raise FetchError(
                    f"HTTP {status} ({responses.get(status, 'unknown')})",
                    again=status in _BUSY,
                    wait=_retry_after(headers.get("retry-after")),
                )
            return self._read(response, headers)

    def _read(self, response: httpcore2.Response, headers: httpx2.Headers) -> FetchedImage:
        announced = headers.get("content-length", "")
        if announced.isdecimal() and int(announced) > self._max_bytes:
            raise self._too_large()
        content, kind = bytearray(), None
        for chunk in self._decoded(response, headers.get("content-encoding", "identity")):
            content += chunk
            if len(content) > self._max_bytes:
                raise self._too_large()
            if kind is None and len(content) >= SNIFF_BYTES:
                kind = _require_image(content, headers)
        return FetchedImage(
            bytes(content),
            kind or _require_image(content, headers),
            Validators(headers.get("etag"), headers.get("last-modified")),
        )

    def _decoded(self, response: httpcore2.Response, encoding: str) -> Iterator[bytes]:
        """Yields the body, at most one byte more of a compressed one than is allowed."""
        encoding = encoding.strip().lower()
        if encoding == "identity":
            yield from response.iter_stream()
            return
        if encoding not in _ENCODINGS:
            raise FetchError(f"compressed with '{one_line(encoding)}', which was not asked for")
        decoder, room = zlib.decompressobj(_GZIP_OR_ZLIB), self._max_bytes + 1
        try:
            for chunk in response.iter_stream():
                part = decoder.decompress(chunk, room)
                room -= len(part)
                yield part
                if room <= 0:
                    return
        except zlib.error as error:
            raise FetchError(f"damaged compressed answer ({error})") from error

    def _too_large(self) -> FetchError:
        return FetchError(f"larger than {self._max_bytes:,} bytes; raise fetch_bytes to fetch it")


def web_url(text: str, base: httpx2.URL | None = None) -> httpx2.URL:
    """Parses a URL that may be fetched, relative to `base` if there is one. Raises FetchError."""
    try:
        url = base.join(text.strip()) if base is not None else httpx2.URL(text.strip())
        host = url.host
    except (httpx2.InvalidURL, ValueError, TypeError) as error:
        raise FetchError(f"not a valid URL ({error})") from error
    if url.scheme not in ("http", "https"):
        raise FetchError(f"only http and https are fetched, not '{one_line(url.scheme)}'")
    if not host or (url.port or 0) > MAX_PORT:
        raise FetchError("names no host, or a port that does not exist")
    if url.userinfo:
        raise FetchError("has a user name or password in it, which mmsearch does not send")
    return url


def _proxy(address: str) -> httpcore2.Proxy:
    given = httpx2.Proxy(address)
    return httpcore2.Proxy(str(given.url), auth=given.raw_auth)


def _request_headers(known: Validators) -> list[tuple[str, str]]:
    headers = [
        ("User-Agent", f"mmsearch/{version('mmsearch')}"),
        ("Accept", "image/*, */*;q=0.1"),
        # Images are compressed already.
        ("Accept-Encoding", "identity"),
    ]
    if known.etag:
        headers.append(("If-None-Match", known.etag))
    elif known.last_modified:
        headers.append(("If-Modified-Since", known.last_modified))
    return headers


def _require_image(head: bytes | bytearray, headers: httpx2.Headers) -> str:
    """Returns the format of an image by its first bytes. Raises FetchError."""
    kind = sniff(bytes(head[:SNIFF_BYTES]))
    if kind is not None:
        return kind
    if not head:
        raise FetchError("the answer is empty")
    named = headers.get("content-type", "").split(";")[0].strip()
    if not named or named.startswith("image/"):
        # The server's word is worth nothing here.
        named = describe(bytes(head[:SNIFF_BYTES]))
    raise FetchError(f"not an image: {one_line(named)}")


def _retry_after(value: str | None) -> float | None:
    """Reads a number of seconds or a date; returns seconds, None without either."""
    if value is None:
        return None
    if value.strip().isdecimal():
        return float(value)
    try:
        when = parsedate_to_datetime(value)
    except ValueError:
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return max(0.0, (when - datetime.now(UTC)).total_seconds())
