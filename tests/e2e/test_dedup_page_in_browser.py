"""The page of duplicates in a real browser: fifty thousand groups, filters, paging, no script."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from mmsearch.dedup.items import Item
from mmsearch.dedup.page import write_dedup_page
from mmsearch.dedup.results import Box, DedupReport, Finding, Group, Member, Thresholds, Tier
from tests.support.browser import NEEDS_CHROMIUM, Browser, chromium

pytestmark = NEEDS_CHROMIUM
HOSTILE = "</script><script>document.title = 'taken'</script><img src=x onerror=\"alert(1)\">"
MANY = 50_000


def item(key: str, uri: str = "", text: str = "") -> Item:
    return Item(1, key, "s", uri, text, 40, 30, 2_000_000, 1, "h")


def group(number: int, kept: Item, copy: Item, tier: Tier = "edited") -> Group:
    change = (Box(0.5, 0.0, 1.0, 0.5),) if tier == "pixels" else ()
    member = Member(copy, tier, 0.912, "upright", "", "edited version", change)
    return Group(f"{number:010x}", "picture", tier, kept, (member,), "whole picture")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("duplicates")
    paths = [folder / name for name in ("one.png", "two.png")]
    for path, colour in zip(paths, ("teal", "orange"), strict=True):
        Image.new("RGB", (40, 30), colour).save(path)
    seen = [item(f"shop/{path.name}", str(path), HOSTILE) for path in paths]
    groups = [group(0, seen[0], seen[1], "pixels")]
    groups += [group(n, item(f"a/{n}"), item(f"b/{n}")) for n in range(1, MANY)]
    finding = Finding.of("text on the wrong picture", seen, HOSTILE)
    thresholds = Thresholds(0.72, 0.92, 0.7, "fixed", {})
    report = DedupReport(9, tuple(groups), (finding,), thresholds, (), 1.0)
    write_dedup_page(report, folder / "report.html", store=Path("/it's a store"))
    return folder / "report.html"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory, page: Path) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("profile")) as driver:
        driver.open(page)
        yield driver


def choose(browser: Browser, value: str) -> None:
    browser.run(f"show.value = {value!r}; show.dispatchEvent(new Event('change'))")


def filter_by(browser: Browser, words: str) -> None:
    browser.run(f"words.value = {words!r}; words.dispatchEvent(new Event('input'))")


def test_only_one_page_of_many_groups_is_drawn_and_all_can_be_reached(browser: Browser) -> None:
    assert browser.run("document.querySelectorAll('.group').length") == 20
    assert browser.run("pages.textContent") == "of 2,500"
    browser.run("page.value = 2500; page.dispatchEvent(new Event('change'))")
    assert browser.run("[...document.querySelectorAll('.key')].at(-1).textContent") == "b/49999"
    assert browser.run("document.getElementById('next').disabled") is True
    browser.run("previous.click()")
    assert browser.run("page.value") == "2499"


def test_filters_by_tier_finding_and_words(browser: Browser) -> None:
    choose(browser, "tier pixels")
    assert browser.run("count.textContent") == "1 shown"
    choose(browser, "finding text on the wrong picture")
    assert browser.run("document.querySelector('.group h2').textContent").startswith("text on")
    assert browser.run("document.querySelectorAll('.item img').length") == 2
    choose(browser, "all")
    filter_by(browser, f"{4711:010x}")
    assert browser.becomes("count.textContent", "1 shown")
    filter_by(browser, "nowhere")
    assert browser.becomes("nothing.hidden", False)
    filter_by(browser, "")
    assert browser.becomes("count.textContent", "50,000 shown")


def test_pictures_load_hostile_text_is_text_and_nothing_is_fetched(
    browser: Browser, page: Path
) -> None:
    choose(browser, "tier pixels")
    loaded = "[...document.querySelectorAll('.tile img')].every(i => i.naturalWidth > 0)"
    assert browser.becomes(loaded, True)
    assert browser.run("document.querySelector('.text').textContent") == HOSTILE
    assert browser.run("document.title") == "Duplicates"
    assert browser.troubles == []
    others = [r for r in browser.requests if not r.startswith("data:")]
    assert others == [page.as_uri()]


def test_changes_are_drawn_where_the_kept_picture_is_and_its_reason_is_shown(
    browser: Browser,
) -> None:
    choose(browser, "tier pixels")
    assert browser.becomes("document.querySelectorAll('.item.kept .box').length", 1)
    # 40 x 30 pixels stand in the middle of a square tile: the box is its upper right quarter.
    style = "document.querySelector('.box').style"
    sides = f"['left', 'top', 'width', 'height'].map((side) => parseFloat({style}[side]))"
    assert browser.run(sides) == pytest.approx([50, 12.5, 50, 37.5])
    assert browser.run("document.querySelector('.kept .reason').textContent") == "whole picture"
    assert browser.run("document.querySelector('.item:not(.kept) .mark').textContent").startswith(
        "edited version"
    )


def test_not_duplicates_become_commands_by_keyboard_and_are_taken_back(browser: Browser) -> None:
    choose(browser, "tier pixels")
    assert browser.run("commands.hidden") is True
    browser.run("document.querySelector('.item .not').focus()")
    browser.press("Enter")
    expected = "mmsearch dedup ignore --store '/it'\\''s a store' -- shop/one.png shop/two.png"
    assert browser.run("document.getElementById('lines').value") == expected
    assert browser.run("document.querySelector('.not').getAttribute('aria-pressed')") == "true"
    choose(browser, "all")
    choose(browser, "tier pixels")
    assert browser.run("document.querySelector('.not').getAttribute('aria-pressed')") == "true"
    browser.run("document.querySelector('.item .not').click()")
    assert browser.run("document.getElementById('commands').hidden") is True


@pytest.mark.parametrize("width", [320, 390, 1280])
def test_no_width_scrolls_sideways(browser: Browser, width: int) -> None:
    choose(browser, "all")
    browser.call(
        "Emulation.setDeviceMetricsOverride",
        width=width,
        height=800,
        deviceScaleFactor=1,
        mobile=False,
    )
    wide = "document.documentElement.scrollWidth"
    assert browser.run(wide) == width
