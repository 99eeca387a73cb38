"""The gallery in a real browser: pictures load, keys work, the policy holds, nothing is fetched."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from mmsearch.records import Hit
from mmsearch.report.gallery import write_gallery
from tests.support.browser import NEEDS_CHROMIUM, Browser, chromium

HOSTILE = "<script>document.title = 'taken'</script><img src=x onerror=\"document.title='taken'\">"

pytestmark = NEEDS_CHROMIUM


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


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
