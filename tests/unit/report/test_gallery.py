"""The gallery page as text: bounded, self-contained, escaped, whole or not written at all."""

import base64
import io
import re
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmsearch.errors import InputError
from mmsearch.records import Hit, printable_path
from mmsearch.report.gallery import render_gallery, write_gallery
from mmsearch.report.images import inline_images

IMAGE_SOURCE = re.compile(r'<img[^>]* src="data:image/webp;base64,([^"]+)"')


def hit(rank: int, uri: object = "", **record: object) -> Hit:
    return Hit(rank, f"a/{rank}", str(uri), 1 / rank, "image", record)  # type: ignore[arg-type]


def page_of(*hits: Hit, **options: object) -> str:
    asked = {"title": "t", "query_text": "q", "query_image": None, "details": {}, **options}
    return render_gallery(hits, **asked)  # type: ignore[arg-type]


@pytest.fixture
def noise(tmp_path: Path) -> Path:
    """What compresses worst."""
    pixels = np.random.default_rng(7).integers(0, 256, (350, 450, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "noise.png")
    return tmp_path / "noise.png"


def test_pictures_are_inside_and_small(tmp_path: Path) -> None:
    Image.linear_gradient("L").resize((1600, 800)).save(tmp_path / "large.png")
    (source,) = IMAGE_SOURCE.findall(page_of(hit(1, tmp_path / "large.png")))
    with Image.open(io.BytesIO(base64.b64decode(source))) as image:
        assert (image.format, image.size) == ("WEBP", (640, 320))


def test_nothing_in_the_page_points_outside(noise: Path) -> None:
    page = page_of(hit(1, noise, site="https://example.org/x"), query_image=noise)
    addresses = re.findall(
        r"""(?:src|href|url|action|data|srcset)\s*[=(]\s*["']?([^"'\s>)]+)""", page
    )
    assert addresses
    assert {a.split(":")[0] for a in addresses if not a.startswith("#")} == {"data"}


def test_the_pictures_together_stay_within_the_bound(noise: Path) -> None:
    bound = 60_000
    pictures = inline_images([noise] * 12, max_bytes=bound)
    sizes = [len(base64.b64decode(p.source.partition(",")[2])) for p in pictures if p]
    assert len(sizes) == 12
    assert sum(sizes) <= bound


def test_a_picture_that_fits_no_bound_is_left_out(noise: Path) -> None:
    assert inline_images([noise], max_bytes=50) == [None]


@pytest.mark.parametrize(
    ("size", "ground", "fit"),
    [
        ((90, 100), "#ffffff", "inset"),
        ((90, 100), "#1e1e1e", "inset"),
        ((90, 100), None, "cover"),
        ((90, 200), None, "contain"),
    ],
)
def test_tile_by_the_frame_of_the_picture(
    tmp_path: Path, size: tuple[int, int], ground: str | None, fit: str
) -> None:
    if ground:
        image = Image.new("RGB", size, ground)
    else:
        pixels = np.random.default_rng(1).integers(0, 256, (*reversed(size), 3), dtype=np.uint8)
        image = Image.fromarray(pixels)
    image.save(tmp_path / "a.png")
    (picture,) = inline_images([tmp_path / "a.png"])
    assert picture is not None
    assert picture.fit == fit
    if ground:
        assert picture.mat == ground


def test_text_from_the_catalog_is_escaped_everywhere() -> None:
    evil = "</script><script>x</script>\"'><img onerror=x>"
    page = page_of(
        hit(1, evil, title=evil, text=evil, **{evil: evil}),
        title=evil,
        query_text=evil,
        details={evil: evil},
    )
    assert evil not in page
    assert page.count("<script>") == 1
    assert "<img onerror" not in page
    assert page.count("&lt;script&gt;x&lt;/script&gt;") >= 7


def test_control_and_reordering_characters_are_spelt_out() -> None:
    page = page_of(hit(1, text="one\u202etwo\x1b[2J\x00\nthree \ud800"))
    assert "one\\u202etwo\\x1b[2J\\x00\nthree \\ud800" in page
    page.encode("utf-8")


def test_no_hits_is_a_friendly_page() -> None:
    page = page_of()
    assert "Nothing matched" in page
    assert "<dialog" not in page
    assert 'class="cards"' not in page


def test_a_document_is_shown_as_its_text_without_its_heading() -> None:
    page = page_of(hit(1, "/nowhere/a.md", text="# Heading\n\nThe body."))
    assert 'class="tile document short" dir="auto">The body.</span>' in page
    assert '<span class="title" dir="auto">Heading</span>' in page


def test_a_file_that_went_away_keeps_its_card() -> None:
    page = page_of(hit(1, "/nowhere/a.png", title="Red bag"))
    assert "Picture not available" in page
    assert "Red bag" in page


def test_metadata_becomes_chips_where_it_is_short() -> None:
    page = page_of(
        hit(1, brand="Acme", price=4.5, new=True, old=False, seen=datetime(2026, 3, 1), none=None)
    )
    chips = re.findall(r'<li title="[^"]*">([^<]+)</li>', page)
    assert chips == ["price 4.5", "Acme", "new"]
    facts = re.findall(r'<dt>([^<]+)</dt><dd dir="auto">([^<]+)</dd>', page)
    assert facts[-2:] == [("old", "no"), ("seen", "2026-03-01")]


def test_a_photo_says_nothing_of_its_file_on_the_card() -> None:
    facts = {"folder": "2024", "filename": "a.jpg", "modified": datetime(2026, 3, 1, 9, 5)}
    page = page_of(hit(1, "/nowhere/a.jpg", bytes=12345, seconds=3.5, **facts))
    assert re.findall(r'<li title="[^"]*">([^<]+)</li>', page) == []
    assert "12345" in page


def test_what_the_store_and_the_title_say_is_no_chip() -> None:
    record = {"key": "shop/7", "source": "shop", "uri": "/p/im/7.png", "format": "png"}
    record |= {"id": "7", "image": "im/7.png", "name": "Red bag", "label": "Red bag"}
    page = page_of(Hit(1, "shop/7", "/p/im/7.png", 0.5, "image", {**record, "width": 4, "x": "y"}))
    assert re.findall(r'<li title="[^"]*">([^<]+)</li>', page) == ["y"]
    facts = re.findall(r"<dt>([^<]+)</dt>", page)
    assert facts == ["rank", "matched", "id", "image", "label", "x", "source", "format", "width"]


def test_bars_are_shares_of_the_best_and_never_negative() -> None:
    hits = [Hit(n, "k", "", s, "text", {}) for n, s in enumerate([0.4, 0.1, -0.2], 1)]
    widths = re.findall(r'class="fill" width="(-?\d+)%"', page_of(*hits))
    assert widths == ["100", "100", "25", "25", "0", "0"]  # once on the card, once enlarged


def test_a_thousand_hits(noise: Path, tmp_path: Path) -> None:
    small = tmp_path / "small.png"
    Image.new("RGB", (24, 24), "red").save(small)
    page = page_of(*(hit(rank, small) for rank in range(1, 1001)))
    assert len(IMAGE_SOURCE.findall(page)) == 1000
    assert "1,000" in page


def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    name = tmp_path / "caf\udce9.png"
    try:
        Image.new("RGB", (8, 8)).save(name)
    except (OSError, UnicodeError):
        pytest.skip("this file system keeps names in UTF-8 only")
    page = page_of(hit(1, printable_path(name)))
    assert len(IMAGE_SOURCE.findall(page)) == 1
    assert "caf\\udce9.png" in page


def test_writing_replaces_the_file_at_once(tmp_path: Path) -> None:
    path = tmp_path / "gallery.html"
    path.write_text("old")
    write_gallery([hit(1)], path, title="t", query_text="q", query_image=None, details={})
    assert path.read_text("utf-8").startswith("<!doctype html>")
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("place", ["missing/gallery.html", "."])
def test_a_place_that_cannot_be_written_is_said(tmp_path: Path, place: str) -> None:
    with pytest.raises(InputError, match="cannot write the gallery"):
        write_gallery([], tmp_path / place, title="t", query_text="q", query_image=None, details={})
    assert list(tmp_path.iterdir()) == []
