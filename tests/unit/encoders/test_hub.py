"""A named model is downloaded once, from a real server that speaks as the hub does."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(ThreadingHTTPServer):
    """Serves the files of one folder as 'org/model' and remembers what was asked for."""

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), HubHandler)
        self.folder = folder
        self.sent: list[str] = []


class HubHandler(BaseHTTPRequestHandler):
    server: Hub

    def do_HEAD(self) -> None:
        self.answer()

    def do_GET(self) -> None:
        content = self.answer()
        if content is not None:
            self.server.sent.append(Path(self.path).name)
            self.wfile.write(content)

    def answer(self) -> bytes | None:
        """The headers by which huggingface_hub recognises a file, or its absence."""
        start = "/org/model/resolve/main/", f"/org/model/resolve/{COMMIT}/"
        known = next((s for s in start if self.path.startswith(s)), None)
        file = self.server.folder / self.path.removeprefix(known or "")
        if known is None or not file.is_file():
            self.send_response(404)
            self.send_header("X-Error-Code", "EntryNotFound" if known else "RepoNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return None
        content = file.read_bytes()
        self.send_response(200)
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", f'"{len(content):040x}"')
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        return content

    def log_message(self, format: str, *arguments: object) -> None:
        """Quiet: pytest shows what matters."""


@pytest.fixture
def hub(tiny_model: Path) -> Iterator[Hub]:
    server = Hub(tiny_model)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def load(name: str, hub: Hub, cache: Path) -> subprocess.CompletedProcess[str]:
    """In its own process, since the address of the hub is read once."""
    script = (
        "import sys\n"
        "from mmsearch.encoders.registry import load_text_encoder\n"
        "from mmsearch.errors import MMSearchError\n"
        "try:\n"
        "    encoder = load_text_encoder(sys.argv[1])\n"
        "    print(encoder.space.model, encoder.encode_texts(['an apple']).shape)\n"
        "except MMSearchError as error:\n"
        "    print(type(error).__name__, error)\n"
    )
    environment = {
        **os.environ,
        "HF_HOME": str(cache),
        "HF_ENDPOINT": f"http://127.0.0.1:{hub.server_port}",
    }
    for name_of_setting in ("HF_HUB_OFFLINE", "HF_HUB_CACHE"):
        environment.pop(name_of_setting, None)
    return subprocess.run(
        [sys.executable, "-c", script, name],
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )


def test_a_named_model_is_downloaded_once(hub: Hub, tmp_path: Path) -> None:
    first = load("hf-hub:org/model", hub, tmp_path)
    assert first.stdout == "hf-hub:org/model (1, 24)\n"
    assert sorted(hub.sent) == ["open_clip_config.json", "open_clip_model.safetensors"]
    again = load("hf-hub:org/model", hub, tmp_path)
    assert again.stdout == first.stdout
    assert len(hub.sent) == 2


def test_a_model_that_the_hub_lacks_is_said(hub: Hub, tmp_path: Path) -> None:
    outcome = load("hf-hub:org/other", hub, tmp_path)
    assert outcome.stdout.startswith("InputError the hub has no public model org/other")


def test_a_model_without_weights_is_said(hub: Hub, tmp_path: Path) -> None:
    weightless = tmp_path / "weightless"
    weightless.mkdir()
    config = (hub.folder / "open_clip_config.json").read_bytes()
    (weightless / "open_clip_config.json").write_bytes(config)
    hub.folder = weightless
    outcome = load("hf-hub:org/model", hub, tmp_path / "cache")
    assert outcome.stdout.startswith(
        "InputError org/model holds none of open_clip_model.safetensors"
    )
