"""Real headless Chromium for tests of pages, driven over the DevTools pipe."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-dev-shm-usage", "--hide-scrollbars", "--remote-debugging-pipe"),
)
# Chromium's pipe is descriptors 3 and 4 by definition.
TAKE_PIPES = (
    "import os, sys; aside = [os.dup2(int(sys.argv[n]), 30 + n) for n in (1, 2)];"
    "[os.dup2(end, number) for number, end in enumerate(aside, 3)];"
    "os.execv(sys.argv[3], sys.argv[3:])"
)
NEEDS_CHROMIUM = [
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium"),
    pytest.mark.skipif(os.name == "nt", reason="speaks to Chromium through inherited pipes"),
]


class Browser:
    """One page in headless Chromium, driven over the DevTools pipe.

    troubles: all that the console and the log said; policy violations are among it.
    requests: every address that the page asked for.
    """

    def __init__(self, to_chromium: int, from_chromium: int) -> None:
        self._out = os.fdopen(to_chromium, "wb", buffering=0)
        self._in = os.fdopen(from_chromium, "rb")
        self._last_id = 0
        self._session: str | None = None
        self._loaded = False
        self.troubles: list[str] = []
        self.requests: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> Any:
        self._last_id += 1
        message: dict[str, Any] = {"id": self._last_id, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        self._out.write(json.dumps(message).encode() + b"\0")
        while (answer := self._read()).get("id") != self._last_id:
            self._note(answer)
        assert "error" not in answer, answer
        return answer["result"]

    def open(self, page: Path) -> None:
        self._loaded = False
        self.call("Page.navigate", url=page.as_uri())
        while not self._loaded:
            self._note(self._read())

    def run(self, script: str) -> Any:
        answer = self.call(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def becomes(self, script: str, expected: Any) -> bool:
        """Whether the script gives `expected` soon: a dialog tells of its closing a bit later."""
        for _ in range(100):
            if self.run(script) == expected:
                return True
            time.sleep(0.05)
        return False

    def press(self, key: str) -> None:
        # Enter activates a button only where the key also types its character.
        text = {"text": "\r"} if key == "Enter" else {}
        code = {"Enter": 13, "Escape": 27, "Tab": 9, "ArrowRight": 39, "ArrowLeft": 37}[key]
        for kind in ("keyDown", "keyUp"):
            self.call(
                "Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code, **text
            )

    def _read(self) -> dict[str, Any]:
        message = bytearray()
        while (byte := self._in.read(1)) != b"\0":
            assert byte, "Chromium ended"
            message += byte
        answer: dict[str, Any] = json.loads(message)
        return answer

    def _note(self, event: dict[str, Any]) -> None:
        method, params = event.get("method"), event.get("params", {})
        if method == "Page.loadEventFired":
            self._loaded = True
        elif method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif method in ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded"):
            self.troubles.append(json.dumps(params))


@contextlib.contextmanager
def chromium(profile: Path) -> Iterator[Browser]:
    """profile: an empty folder for the browser's own files."""
    assert CHROMIUM is not None
    chromium_reads, we_write = os.pipe()
    we_read, chromium_writes = os.pipe()
    ends = (chromium_reads, chromium_writes)
    process = subprocess.Popen(
        [
            *(sys.executable, "-c", TAKE_PIPES, *map(str, ends)),
            *(CHROMIUM, *FLAGS, f"--user-data-dir={profile}"),
        ],
        pass_fds=ends,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(chromium_reads)
    os.close(chromium_writes)
    driver = Browser(we_write, we_read)
    try:
        yield driver
    finally:
        with contextlib.suppress(AssertionError, BrokenPipeError):
            driver._session = None
            driver.call("Browser.close")
        process.wait(timeout=30)
