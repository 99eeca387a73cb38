"""The readers on small folders laid out as the packages are."""

import csv
import json
import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image

from mmsearch.errors import InputError, MediaTooLarge, UnreadableMedia
from mmsearch.pretraining.pictures.data import (
    Picture,
    TextMix,
    TextSampler,
    concept_of,
    hold_out,
    with_article,
)
from mmsearch.pretraining.pictures.data_sets import read_all
from mmsearch.pretraining.pictures.emoji import emoji_3d_reader, iconify_reader
from mmsearch.pretraining.pictures.openclipart import read_openclipart
from mmsearch.pretraining.pictures.photos import read_clothing, read_grocery
from mmsearch.pretraining.pictures.views import decode

SVG = """<svg><metadata><rdf:RDF><dc:title>{title}</dc:title>
<dc:description>{description}</dc:description>
<dc:subject><rdf:Bag><rdf:li>animal</rdf:li><rdf:li>hash(0x8a)</rdf:li></rdf:Bag></dc:subject>
<dc:creator><cc:Agent><dc:title>Nora Poe</dc:title></cc:Agent></dc:creator>
</rdf:RDF></metadata></svg>"""


def picture(concept: str, **more: object) -> Picture:
    return Picture(concept, "x", concept, (concept,), **more)  # type: ignore[arg-type]


def openclipart(folder: Path, drawings: dict[str, tuple[str, str]]) -> Path:
    for name, (title, description) in drawings.items():
        for kind in ("png", "svg"):
            (folder / kind / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGBA", (20, 10), "red").save(folder / "png" / f"{name}.png")
        sheet = SVG.format(title=title, description=description)
        (folder / "svg" / f"{name}.svg").write_text(sheet, "utf-8")
    return folder


def test_openclipart_takes_titles_and_drops_what_says_nothing(tmp_path: Path) -> None:
    drawings = {
        "animals/tabby_nora_poe_01": ("Tabby Cat (B and W)", "A cat that sleeps."),
        **{f"food/pear_{i}": ("Clipart by Nora - collection", "HASH(0x8a)") for i in range(5)},
    }
    read = {p.key: p for p in read_openclipart(openclipart(tmp_path, drawings))}
    assert len(read) == 6
    cat = read["openclipart/animals/tabby_nora_poe_01.png"]
    assert cat.captions == ("Tabby Cat", "tabby", "A cat that sleeps.")
    assert cat.keywords == ("animal", "animals")
    assert read["openclipart/food/pear_3.png"].captions == ("pear",)


def test_renderings_of_one_emoji_are_one_concept(tmp_path: Path) -> None:
    names, icons, files = tmp_path / "lib", tmp_path / "icons", tmp_path / "files"
    for folder in (names / "dist", icons, files / "assets"):
        folder.mkdir(parents=True)
    table = {"🍐": ["pear", "fruit"], "⏰": ["alarm_clock", "time"]}
    (names / "dist/emoji-en-US.json").write_text(json.dumps(table), "utf-8")
    body = {"body": '<circle cx="8" cy="8" r="8" fill="#00ff00"/>'}
    sheet = {"prefix": "set", "icons": {"alarmclock": body, "pear": body, "other": body}}
    (icons / "icons.json").write_text(json.dumps(sheet), "utf-8")
    Image.new("RGBA", (16, 16), "green").save(files / "assets" / "1f350.webp")
    Image.new("RGBA", (16, 16), "green").save(files / "assets" / "1f350-1f3fb.webp")
    drawn = list(iconify_reader(names)(icons))
    assert [p.captions[0] for p in drawn] == ["alarm clock", "pear"]
    modelled = list(emoji_3d_reader(names)(files))
    assert [(p.concept, p.keywords) for p in modelled] == [("pear", ("fruit",))]
    assert decode(drawn[1]).getpixel((144, 144)) == (0, 255, 0, 255)


def test_an_image_beyond_the_bounds_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    chunks = (b"IHDR" + struct.pack(">IIBBBBB", 15_000, 15_000, 8, 2, 0, 0, 0), b"IDAT")
    huge = tmp_path / "huge.png"
    huge.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + b"".join(
            struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in chunks
        )
    )
    with pytest.raises(MediaTooLarge, match=r"huge\.png: more pixels than"):
        decode(Picture("k", "x", "cat", ("cat",), path=huge))
    (tmp_path / "page.png").write_text("<html>not found</html>")
    with pytest.raises(UnreadableMedia, match=r"page\.png: not a picture"):
        decode(Picture("k", "x", "cat", ("cat",), path=tmp_path / "page.png"))


def test_transparency_is_kept(tmp_path: Path) -> None:
    Image.new("RGBA", (8, 8), (255, 0, 0, 64)).save(tmp_path / "red.png")
    image = decode(Picture("k", "x", "cat", ("cat",), path=tmp_path / "red.png"))
    assert image.getpixel((4, 4)) == (255, 0, 0, 64)


def test_grocery_and_clothing_keep_what_their_tables_say(tmp_path: Path) -> None:
    shop, clothes = tmp_path / "shop", tmp_path / "clothes"
    (shop / "about").mkdir(parents=True)
    (clothes / "images").mkdir(parents=True)
    with (shop / "classes.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["name", "id", "coarse", "coarse id", "iconic", "description"])
        table.writerow(["Royal-Gala", 0, "Apple", 0, "/about/gala.jpg", "/about/gala.txt"])
    (shop / "about/gala.txt").write_text("A sweet red apple from far away. It keeps.", "utf-8")
    (shop / "train.txt").write_text("train/gala_1.jpg, 0, 0\n", "utf-8")
    (clothes / "images.csv").write_text(
        "image,label,kids\nimages/a.jpg,Outwear,False\nimages/b.jpg,Not sure,False\n", "utf-8"
    )
    iconic, builder = read_grocery(shop)
    assert iconic.captions == ("Royal Gala", "Royal Gala Apple", "A sweet red apple from far away.")
    assert (builder.path, builder.photo) == (shop / "train/gala_1.jpg", True)
    (jacket,) = read_clothing(clothes)
    assert jacket.captions[0] == "jacket"


def test_a_wrong_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no classes\.csv in"):
        read_all({"grocery": tmp_path})


def test_no_concept_lies_on_both_sides_of_the_split() -> None:
    pictures = [picture(f"thing {i % 200}") for i in range(600)]
    kept, held = hold_out(pictures, fraction=0.2, seed=1)
    assert len(kept) + len(held) == 600
    assert 60 < len(held) < 180
    assert not {p.concept for p in kept} & {p.concept for p in held}
    assert hold_out(pictures[:50], fraction=0.2, seed=1)[1] == [
        p for p in pictures[:50] if p in held
    ]


def test_concepts_and_articles() -> None:
    assert concept_of("Crawfish 2 (B and W)") == concept_of("crawfish")
    assert with_article("red apple") == "a red apple"
    assert with_article("orange") == "an orange"
    assert with_article("the moon") == "the moon"
    assert with_article("scissors") == "scissors"


def test_texts_are_drawn_from_what_is_known_of_the_picture() -> None:
    import numpy as np

    cat = Picture("k", "x", "cat", ("Cat", "tabby"), keywords=("animal", "pet"))
    sample = TextSampler(TextMix())
    first = [sample(cat, np.random.default_rng(i)) for i in range(80)]
    assert first == [sample(cat, np.random.default_rng(i)) for i in range(80)]
    assert {"Cat", "tabby"} <= set(first)
    assert any(text.startswith("a drawing of a") for text in first)
    assert any("animal" in text for text in first)
