"""Which addresses count as public, and that only these are connected to."""

import ipaddress
import socket

import httpcore2
import pytest

from mmsearch.fetching.errors import FetchError
from mmsearch.fetching.network import Network, is_public


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0", "10.1.2.3", "100.64.0.1", "127.0.0.1", "127.255.255.254", "169.254.169.254",
        "172.16.0.1", "172.31.255.255", "192.0.2.1", "192.168.1.1", "198.18.0.1", "224.0.0.1",
        "239.255.255.255", "240.0.0.1", "255.255.255.255",
        "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "64:ff9b::10.0.0.1",
        "64:ff9b:1::1", "100::1", "2001:db8::1", "2001:0:7f00:1::1", "2002:7f00:1::", "fc00::1",
        "fd12:3456::1", "fe80::1", "fec0::1", "ff02::1",
    ],
)  # fmt: skip
def test_not_public(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "93.184.216.34", "172.32.0.1", "2606:4700::1111", "64:ff9b::8.8.8.8"]
)
def test_public(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


# Writings of loopback addresses that name services resolve.
@pytest.mark.parametrize("host", ["localhost", "127.1", "2130706433", "0x7f000001", "0177.0.0.1"])
def test_names_of_private_addresses_are_refused(host: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)
        network = Network()
        network.allow_seconds(5)
        with pytest.raises(FetchError, match="not a public address"):
            network.connect_tcp(host, server.getsockname()[1])
        with pytest.raises(TimeoutError):
            server.accept()


def test_the_address_that_was_checked_is_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name server that answers differently the second time changes nothing."""
    answers = iter(["93.184.216.34", "127.0.0.1"])
    resolve = socket.getaddrinfo

    def answer(host: str, *arguments: object, **options: object) -> object:
        known = next(answers) if host == "rebinding.example" else host
        return resolve(known, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    connected: list[str] = []

    def connect(address: tuple[str, int], *_: object, **__: object) -> socket.socket:
        connected.append(address[0])
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "create_connection", connect)
    network = Network()
    network.allow_seconds(5)
    with pytest.raises(httpcore2.ConnectError):
        network.connect_tcp("rebinding.example", 80)
    assert connected == ["93.184.216.34"]


def test_the_deadline_ends_all() -> None:
    network = Network(["127.0.0.1"])
    network.allow_seconds(0)
    with pytest.raises(httpcore2.ReadTimeout):
        network.connect_tcp("127.0.0.1", 80)
