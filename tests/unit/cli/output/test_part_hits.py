"""Hits of items with several images and of long texts, in every output."""

import json
from pathlib import Path

import pytest
from rich.console import Console

from mmsearch.catalog.results import Hits
from mmsearch.cli.output.render import hits_csv, hits_json, hits_paths
from mmsearch.cli.search.hits_table import hits_table
from mmsearch.records import Hit, Part
from mmsearch.report.gallery import render_gallery

PASSAGE = "The shoes are red.\nThey last for years, whatever the weather is like on the way home."
SHOE = Hit(
    1, "shop/shoe", "/shop/shoe-1.jpg", 0.31, "image", {"title": "Red shoe"},
    part=Part("image", 3, uri="/shop/shoe-3.jpg", of=5),
)  # fmt: skip
STORY = Hit(
    2, "docs/story", "/docs/story.txt", 0.2, "text", {"title": "A story"},
    part=Part("passage", 2, text=PASSAGE, start=40, end=40 + len(PASSAGE), of=7), excerpt=PASSAGE,
)  # fmt: skip
HAT = Hit(3, "shop/hat", "/shop/hat.jpg", 0.1, "image", {"title": "Hat"})
HITS = [SHOE, STORY, HAT]


@pytest.mark.parametrize("width", [60, 100])
def test_the_table_names_parts_and_shows_passages(width: int) -> None:
    console = Console(width=width, record=True, file=None, highlight=False)
    columns = ["rank", "similarity", "part", "title", "key", "path"]
    with console.capture() as shown:
        console.print(hits_table(HITS, columns=columns, base=Path("/"), width=width))
    lines = shown.get().splitlines()
    assert any("image 3 of 5" in line and "Red shoe" in line for line in lines)
    assert any("passage 2 of 7" in line and "A story" in line for line in lines)
    (excerpt,) = [line for line in lines if "The shoes are red." in line]
    assert "They last" in excerpt
    assert "shoe-3.jpg" in shown.get()
    assert max(map(len, lines)) <= width


def test_json_csv_and_paths_have_the_part() -> None:
    shoe, story, hat = json.loads(hits_json(HITS, {}))["hits"]
    assert shoe["part"] == {
        "kind": "image", "number": 3, "of": 5, "uri": "/shop/shoe-3.jpg",
        "text": None, "start": None, "end": None,
    }  # fmt: skip
    assert (story["part"]["start"], story["excerpt"]) == (40, PASSAGE)
    assert (hat["part"], hat["excerpt"]) == (None, None)
    header, first, *_ = hits_csv(HITS).splitlines()
    assert header == "rank,key,uri,similarity,matched,part,excerpt,title"
    assert first == "1,shop/shoe,/shop/shoe-1.jpg,0.31,image,image=3,,Red shoe"
    assert hits_csv([HAT]).splitlines()[0] == "rank,key,uri,similarity,matched,title"
    assert hits_paths(HITS) == b"/shop/shoe-3.jpg\n/docs/story.txt\n/shop/hat.jpg\n"
    assert Hits(HITS).to_arrow()["part"].to_pylist() == ["image=3", "passage=2", None]


def test_the_gallery_shows_the_part() -> None:
    page = render_gallery(HITS, title="shoe", query_text="shoe", query_image=None, details={})
    assert "image 3 of 5" in page
    assert "/shop/shoe-3.jpg" in page
    assert "They last for years" in page
