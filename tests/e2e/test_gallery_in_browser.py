"""The gallery in a real browser: pictures load, keys work, the policy holds, nothing is fetched."""

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
from PIL import Image

from mmsearch.records import Hit
from mmsearch.report.gallery import write_gallery

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
HOSTILE = "<script>document.title = 'taken'</script><img src=x onerror=\"document.title='taken'\">"

pytestmark = [
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


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    assert CHROMIUM is not None
    profile = tmp_path_factory.mktemp("profile")
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


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gallery")
    hits = []
    for rank in range(1, 27):
        picture = folder / f"{rank}.png"
        Image.new("RGB", (120, 40 + 10 * rank), (9 * rank, 80, 160)).save(picture)
        record = {"title": f"Tile {rank}", "colour": "blue" if rank % 2 else "red"}
        hits.append(Hit(rank, f"a/{rank}", str(picture), 1 / rank, "image", record))
    hits.append(Hit(27, "a/27", "", 0.01, "text", {"text": HOSTILE, HOSTILE: HOSTILE}))
    hits.append(Hit(28, "a/28", str(folder / "gone.png"), 0.0, "image", {"title": HOSTILE}))
    write_gallery(
        hits,
        folder / "gallery.html",
        title=HOSTILE,
        query_text=HOSTILE,
        query_image=folder / "1.png",
        details={HOSTILE: HOSTILE},
    )
    return folder / "gallery.html"


@pytest.fixture
def opened(browser: Browser, page: Path) -> Browser:
    browser.troubles.clear()
    browser.requests.clear()
    browser.open(page)
    return browser


def test_pictures_load_and_nothing_else_is_fetched(opened: Browser, page: Path) -> None:
    widths = opened.run(
        "Promise.all([...document.images].map(i => i.decode().then(() => i.naturalWidth)))"
    )
    assert widths == [120] * 27  # 26 hits and the query
    assert {url for url in opened.requests if not url.startswith("data:")} == {page.as_uri()}
    assert opened.troubles == []


def test_hostile_text_is_shown_and_not_run(opened: Browser) -> None:
    assert opened.run("document.querySelector('h1').textContent") == HOSTILE
    assert opened.run("document.querySelectorAll('.card')[27].querySelector('.title').textContent")
    assert opened.run("document.scripts.length") == 1
    assert "taken" not in opened.run("document.title").removeprefix(HOSTILE)
    assert opened.run("document.querySelectorAll('[onerror]').length") == 0


def test_the_policy_stops_a_script_that_came_in_after_all(opened: Browser) -> None:
    opened.run(
        "const s = document.createElement('script'); s.textContent = 'window.ran = 1';"
        "document.body.append(s)"
    )
    assert opened.run("window.ran") is None
    assert any("Content Security Policy" in trouble for trouble in opened.troubles)


def test_keyboard_alone_opens_walks_and_closes(opened: Browser) -> None:
    heading = "document.querySelector('dialog[open] h2')?.textContent"
    opened.run("document.querySelector('.card button').focus()")
    opened.press("Enter")
    assert opened.becomes(heading, "Tile 1")
    opened.press("ArrowRight")
    assert opened.becomes(heading, "Tile 2")
    opened.press("ArrowLeft")
    opened.press("ArrowLeft")
    assert opened.becomes(heading, "Tile 1")
    opened.press("ArrowRight")
    opened.press("Escape")
    assert opened.becomes(heading, None)
    focused = "document.activeElement.closest('.card').querySelector('.title').textContent"
    assert opened.becomes(focused, "Tile 2")


def test_filter_hides_what_does_not_contain_the_words(opened: Browser) -> None:
    opened.run(
        "const box = document.querySelector('.filter input'); box.value = 'BLUE';"
        "box.dispatchEvent(new Event('input'))"
    )
    assert opened.run("[...document.querySelectorAll('.card')].filter(c => !c.hidden).length") == 13


@pytest.mark.parametrize("width", [320, 390, 1280])
def test_no_width_scrolls_sideways(opened: Browser, width: int) -> None:
    opened.call(
        "Emulation.setDeviceMetricsOverride",
        width=width,
        height=800,
        deviceScaleFactor=1,
        mobile=width < 800,
    )
    assert opened.run("document.documentElement.scrollWidth") <= width
