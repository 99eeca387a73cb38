"""Connections to public addresses only, under a deadline per request.

A table is untrusted: its URLs, or what they redirect to, may name services inside the network that
mmsearch runs in. Each host is resolved here, its addresses are checked, and the connection is made
to the address that was checked, so that a second answer of the name server cannot change it.
"""

import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Collection, Iterable, Iterator
from typing import Any, TypeAlias

import httpcore2

from mmsearch.fetching.errors import FetchError

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
SocketOption: TypeAlias = (
    tuple[int, int, int] | tuple[int, int, bytes | bytearray] | tuple[int, int, None, int]
)

# Unicast addresses of the internet (RFC 4291), and IPv4 addresses behind NAT64 (RFC 6052).
_UNICAST = ipaddress.IPv6Network("2000::/3")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def is_public(address: Address) -> bool:
    """Whether an address is of the internet: not private, local, shared, multicast or reserved."""
    if isinstance(address, ipaddress.IPv4Address):
        return address.is_global and not (address.is_multicast or address.is_reserved)
    if address in _NAT64:
        return is_public(ipaddress.IPv4Address(address.packed[-4:]))
    # Tunnels carry IPv4 addresses, which may be private.
    tunnelled = address.ipv4_mapped or address.sixtofour or address.teredo
    return address in _UNICAST and address.is_global and not tunnelled


class Network(httpcore2.NetworkBackend):
    """Connects to public addresses and to the hosts that are allowed by name.

    private_hosts: host names or addresses that may be private, in lower case. proxied: connections
    go to the user's own proxy, which resolves the hosts and decides what can be reached.
    """

    def __init__(self, private_hosts: Collection[str] = (), *, proxied: bool = False) -> None:
        self._private_hosts, self._proxied = frozenset(private_hosts), proxied
        self._backend = httpcore2.SyncBackend()
        self._deadline = threading.local()

    def allow_seconds(self, seconds: float) -> None:
        """Sets the time that this thread's next request may take in all, redirects included."""
        self._deadline.at = time.monotonic() + seconds

    def remaining(self, timeout: float | None) -> float:
        """Returns the seconds left, at most `timeout`. Raises httpcore2.ReadTimeout if none are."""
        left: float = self._deadline.at - time.monotonic()
        if left <= 0:
            raise httpcore2.ReadTimeout("the deadline of the request has passed")
        return left if timeout is None else min(left, timeout)

    def require_public(self, host: str) -> None:
        """Raises FetchError for a private address in place of a host name."""
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return
        if not is_public(address) and host not in self._private_hosts:
            raise _private(host, str(address))

    def connect_tcp(  # noqa: PLR0917  the signature of httpcore
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[SocketOption] | None = None,
    ) -> httpcore2.NetworkStream:
        """Connects to the first address of a host that may be used and answers.

        Raises FetchError, httpcore2.ConnectError, httpcore2.ConnectTimeout.
        """
        failure: Exception | None = None
        for address in self._addresses(host, port):
            try:
                stream = self._backend.connect_tcp(
                    address, port, self.remaining(timeout), local_address, socket_options
                )
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failure = error
            else:
                return _TimedStream(stream, self)
        raise failure or httpcore2.ConnectError("the host has no address")

    def _addresses(self, host: str, port: int) -> Iterator[str]:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise FetchError(f"there is no host '{host}'", reached=False) from error
        addresses = list(dict.fromkeys(str(each[4][0]) for each in found))
        if self._proxied or host.lower() in self._private_hosts:
            yield from addresses
            return
        public = [each for each in addresses if is_public(ipaddress.ip_address(each))]
        if not public:
            raise _private(host, addresses[0])
        yield from public


def _private(host: str, address: str) -> FetchError:
    shown = host if host == address else f"{host} ({address})"
    return FetchError(
        f"{shown} is not a public address; allow it with `fetch_from` if it is a server of yours",
        lasting=False,
    )


class _TimedStream(httpcore2.NetworkStream):
    """A connection whose reads and writes end with the request's deadline."""

    def __init__(self, stream: httpcore2.NetworkStream, network: Network) -> None:
        self._stream, self._network = stream, network

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._network.remaining(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._network.remaining(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore2.NetworkStream:
        remaining = self._network.remaining(timeout)
        stream = self._stream.start_tls(ssl_context, server_hostname, remaining)
        return _TimedStream(stream, self._network)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
