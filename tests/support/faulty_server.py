"""A local HTTP server for tests of fetching, with every kind of fault as a path of its own."""

import gzip
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

HOST = "127.0.0.1"


@dataclass
class Site:
    """What a server serves and has seen.

    images: content by path. etags: by path, for answers with 304. waits: values of Retry-After that
    '/busy' sends before it answers. asked: number of requests by path. agents: User-Agents.
    """

    url: str = ""
    images: dict[str, bytes] = field(default_factory=dict)
    etags: dict[str, str] = field(default_factory=dict)
    waits: list[str] = field(default_factory=list)
    asked: Counter[str] = field(default_factory=Counter)
    agents: set[str] = field(default_factory=set)
    at_once: int = 0
    most_at_once: int = 0


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    site: Site

    def handle_error(self, request: object, client_address: object) -> None:
        """Says nothing: clients that give up are what is tested."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server
    lock = threading.Lock()

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        site = self.server.site
        with self.lock:
            site.asked[self.path] += 1
            site.agents.add(self.headers.get("User-Agent", ""))
            site.at_once += 1
            site.most_at_once = max(site.most_at_once, site.at_once)
        try:
            self.answer(site)
        finally:
            with self.lock:
                site.at_once -= 1

    def answer(self, site: Site) -> None:
        path = self.path.split("?")[0]
        special = getattr(self, f"answer_{path[1:].replace('-', '_')}", None)
        if special is not None:
            special(site)
        elif path.startswith("/slow/"):
            time.sleep(0.05)
            self.send(site.images[path.removeprefix("/slow")])
        elif path in site.images:
            etag = site.etags.get(path)
            if etag and self.headers.get("If-None-Match") == etag:
                self.send(b"", status=304)
            else:
                headers: dict[str, Any] = {"ETag": etag} if etag else {}
                self.send(site.images[path], **headers)
        else:
            self.send(b"<html>not here</html>", status=404, content_type="text/html")

    def send(
        self, body: bytes, status: int = 200, content_type: str = "image/png", **headers: str
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if "Content_Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def image(self) -> bytes:
        return next(iter(self.server.site.images.values()))

    def answer_error_then_image(self, site: Site) -> None:
        if site.asked[self.path] == 1:
            self.send(b"", status=500)
        else:
            self.send(self.image())

    def answer_always_500(self, site: Site) -> None:
        self.send(b"", status=500)

    def answer_busy(self, site: Site) -> None:
        if site.waits:
            self.send(b"", status=429, Retry_After=site.waits.pop(0))
        else:
            self.send(self.image())

    def answer_drip(self, site: Site) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        for byte in self.image():
            self.wfile.write(bytes([byte]))
            self.wfile.flush()
            time.sleep(0.1)

    def answer_drip_headers(self, site: Site) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
        for _ in range(200):
            self.wfile.write(b"x")
            self.wfile.flush()
            time.sleep(0.1)

    def answer_endless(self, site: Site) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        head = self.image()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(head), head))
        while True:
            self.wfile.write(b"%x\r\n%s\r\n" % (65536, b"\0" * 65536))

    def answer_page(self, site: Site) -> None:
        self.send(b"<html>" + b"no image " * 50, content_type="text/html; charset=utf-8")

    def answer_page_called_image(self, site: Site) -> None:
        self.send(b"%PDF-1.7 " + b"x" * 100, content_type="image/jpeg")

    def answer_nothing(self, site: Site) -> None:
        self.send(b"")

    def answer_loop(self, site: Site) -> None:
        self.send(b"", status=302, Location="/loop")

    def answer_moved(self, site: Site) -> None:
        self.send(b"", status=301, Location=next(iter(site.images)))

    def answer_to_private(self, site: Site) -> None:
        port = site.url.rsplit(":", 1)[1]
        self.send(b"", status=302, Location=f"http://127.0.0.2:{port}{next(iter(site.images))}")

    def answer_to_file(self, site: Site) -> None:
        self.send(b"", status=302, Location="file:///etc/passwd")

    def answer_truncated(self, site: Site) -> None:
        image = self.image()
        self.send(image[: len(image) // 2], Content_Length=str(len(image)))
        self.close_connection = True

    def answer_cut_short_unnoticed(self, site: Site) -> None:
        """The length that is announced is wrong, and so is what arrives."""
        image = self.image()
        self.send(image, Content_Length=str(len(image) // 2))
        self.close_connection = True

    def answer_announced_large(self, site: Site) -> None:
        self.send(self.image(), Content_Length=str(10**12))
        self.close_connection = True

    def answer_gzip(self, site: Site) -> None:
        self.send(gzip.compress(self.image()), Content_Encoding="gzip")

    def answer_bomb(self, site: Site) -> None:
        bomb = gzip.compress(self.image() + b"\0" * 2_000_000, compresslevel=1)
        self.send(bomb, Content_Encoding="gzip")

    def answer_brotli(self, site: Site) -> None:
        self.send(self.image(), Content_Encoding="br")

    def answer_reset(self, site: Site) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "100000")
        self.end_headers()
        self.wfile.write(self.image()[:20])
        self.wfile.flush()
        # A linger time of zero sends RST in place of FIN.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.rfile.close()
        self.wfile.close()
        self.connection.close()

    def answer_not_http(self, site: Site) -> None:
        self.wfile.write(b"SSH-2.0-OpenSSH_9.6\r\n")
        self.close_connection = True


@contextmanager
def serving(site: Site, *, host: str = HOST) -> Iterator[Site]:
    """Serves a site until the end of the block; sets its `url`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    server_class = type("_FamilyServer", (_Server,), {"address_family": family})
    server = server_class((host, 0), _Handler)
    server.site = site
    name = f"[{host}]" if ":" in host else host
    site.url = f"http://{name}:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
