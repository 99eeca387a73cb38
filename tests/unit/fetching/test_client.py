"""One request against a server with every kind of fault."""

import io
from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image

from mmsearch.fetching.client import Client, Validators, web_url
from mmsearch.fetching.errors import FetchError
from mmsearch.fetching.network import Network
from tests.support.faulty_server import HOST, Site, serving


def png(colour: tuple[int, int, int] = (200, 30, 30), size: int = 64) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (size, size), colour).save(stream, "PNG")
    return stream.getvalue()


RED = png()


@pytest.fixture
def site() -> Iterator[Site]:
    with serving(Site(images={"/red.png": RED}, etags={"/red.png": '"v1"'})) as running:
        yield running


@pytest.fixture
def client() -> Iterator[Client]:
    made = Client(Network([HOST]), max_bytes=100_000, seconds=1.5)
    yield made
    made.close()


def test_an_image(site: Site, client: Client) -> None:
    image = client.get(f"{site.url}/red.png")
    assert image is not None
    assert image.content == RED
    assert image.format == "png"
    assert image.validators.etag == '"v1"'
    assert [agent.split("/")[0] for agent in site.agents] == ["mmsearch"]


def test_the_known_version_is_not_sent_again(site: Site, client: Client) -> None:
    assert client.get(f"{site.url}/red.png", Validators('"v1"')) is None
    assert client.get(f"{site.url}/red.png", Validators('"v0"')) is not None


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("missing.png", "HTTP 404 (Not Found)"),
        ("page", "not an image: text/html"),
        ("page-called-image", "not an image: a PDF document"),
        ("nothing", "the answer is empty"),
        ("loop", "redirected more than 5 times"),
        ("to-private", "127.0.0.2 is not a public address"),
        ("to-file", "only http and https are fetched, not 'file'"),
        ("endless", "larger than 100,000 bytes"),
        ("announced-large", "larger than 100,000 bytes"),
        ("bomb", "larger than 100,000 bytes"),
        ("brotli", "compressed with 'br'"),
    ],
)
def test_lasting_faults(site: Site, client: Client, path: str, reason: str) -> None:
    with pytest.raises(FetchError) as caught:
        client.get(f"{site.url}/{path}")
    assert reason in str(caught.value)
    assert not caught.value.again


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("always-500", "HTTP 500"),
        ("drip", "timed out"),
        ("drip-headers", "timed out"),
        ("truncated", "the connection broke"),
        ("reset", "the connection broke"),
        ("not-http", "the connection broke"),
    ],
)
def test_passing_faults(site: Site, client: Client, path: str, reason: str) -> None:
    with pytest.raises(FetchError) as caught:
        client.get(f"{site.url}/{path}")
    assert reason in str(caught.value)
    assert caught.value.again
    assert caught.value.reached


def test_what_the_server_asks_to_wait(site: Site, client: Client) -> None:
    site.waits = ["7", "Wed, 21 Oct 2015 07:28:00 GMT", "soon"]
    waits = []
    for _ in range(3):
        with pytest.raises(FetchError) as caught:
            client.get(f"{site.url}/busy")
        waits.append(caught.value.wait)
    assert waits == [7.0, 0.0, None]


def test_redirects_and_compressed_answers(site: Site, client: Client) -> None:
    for path in ("moved", "gzip"):
        image = client.get(f"{site.url}/{path}")
        assert image is not None
        assert image.content == RED


def test_a_length_that_is_too_small_cuts_the_image(site: Site, client: Client) -> None:
    image = client.get(f"{site.url}/cut-short-unnoticed")
    assert image is not None
    assert image.content == RED[: len(RED) // 2]


def test_no_server(client: Client) -> None:
    with serving(Site()) as gone:
        url = gone.url
    with pytest.raises(FetchError, match="no connection") as caught:
        client.get(f"{url}/red.png")
    assert not caught.value.reached


def test_a_host_that_does_not_exist(client: Client) -> None:
    with pytest.raises(FetchError, match="there is no host 'nosuch") as caught:
        client.get("http://nosuch.invalid/red.png")
    assert not caught.value.reached


def test_ipv6() -> None:
    try:
        running = serving(Site(images={"/red.png": RED}), host="::1")
        with running as site:
            client = Client(Network(["::1"]), max_bytes=100_000, seconds=5)
            image = client.get(f"{site.url}/red.png")
            refused = Client(Network(), max_bytes=100_000, seconds=5)
            with pytest.raises(FetchError, match="::1 is not a public address"):
                refused.get(f"{site.url}/red.png")
    except OSError:
        pytest.skip("IPv6 on the loopback interface")
    assert image is not None


@pytest.mark.parametrize(
    ("url", "host", "target"),
    [
        ("http://münchen.example/ä ö.jpg", b"xn--mnchen-3ya.example", b"/%C3%A4%20%C3%B6.jpg"),
        ("https://a.example/x%20y.png?w=1#top", b"a.example", b"/x%20y.png?w=1"),
        ("HTTP://A.EXAMPLE/B", b"a.example", b"/B"),
        ("http://[2001:DB8::1]:8080/x", b"2001:DB8::1", b"/x"),
    ],
)
def test_urls(url: str, host: bytes, target: bytes) -> None:
    parsed = web_url(url)
    assert (parsed.raw_host, parsed.raw_path) == (host, target)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://a.example/x.png", "s3://bucket/x.png", "data:image/png;base64,AAAA",
        "http://user:secret@a.example/x.png", "http:///x.png", "http://a\0.example/x",
        "http://a.example:99999/x", "http://☃.example/x", "//a.example/x.png", "",
    ],
)  # fmt: skip
def test_urls_that_are_not_fetched(url: str) -> None:
    with pytest.raises(FetchError) as caught:
        web_url(url)
    assert "secret" not in str(caught.value)


def test_a_proxy_gets_all_requests(site: Site) -> None:
    # The site stands in for the proxy: it is asked for a whole URL of a host that does not exist.
    client = Client(Network(proxied=True), max_bytes=100_000, seconds=5, proxy=site.url)
    with pytest.raises(FetchError, match="HTTP 404"):
        client.get("http://shop.invalid/red.png")
    assert site.asked["http://shop.invalid/red.png"] == 1


def test_a_proxy_is_not_asked_for_private_addresses(site: Site) -> None:
    client = Client(Network(proxied=True), max_bytes=100_000, seconds=5, proxy=site.url)
    with pytest.raises(FetchError, match=r"10\.0\.0\.1 is not a public address"):
        client.get("http://10.0.0.1/red.png")
    assert not site.asked


def test_proxies_of_the_environment_are_not_used(
    site: Site, client: Client, monkeypatch: Any
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    assert client.get(f"{site.url}/red.png") is not None
