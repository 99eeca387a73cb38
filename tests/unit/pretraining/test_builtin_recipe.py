"""The built-in model's recipe: its readers on folders laid out as the packages, and its texts."""

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mmsearch.errors import InputError
from mmsearch.pretraining import CaptionedImage, CorpusInputs
from mmsearch.pretraining.images.views import decode_rgba
from mmsearch.pretraining.readers import load_corpus_function, load_function, read_images
from mmsearch.pretraining.recipe import read_recipe

RECIPE = read_recipe(Path(__file__).parents[3] / "recipes" / "builtin")

SVG = """<svg><metadata><rdf:RDF><dc:title>{title}</dc:title>
<dc:description>{description}</dc:description>
<dc:subject><rdf:Bag><rdf:li>animal</rdf:li><rdf:li>hash(0x8a)</rdf:li></rdf:Bag></dc:subject>
<dc:creator><cc:Agent><dc:title>Nora Poe</dc:title></cc:Agent></dc:creator>
</rdf:RDF></metadata></svg>"""


def reader(source: str) -> Callable[..., Iterator[CaptionedImage]]:
    return load_function(RECIPE, RECIPE.readers[source])


def function(name: str) -> Any:
    """A function of the recipe's texts.py."""
    return load_function(RECIPE, f"texts.py:{name}")


def test_every_named_function_is_there() -> None:
    assert load_corpus_function(RECIPE) is not None
    assert len(RECIPE.readers) == 10
    for name in RECIPE.readers.values():
        assert callable(load_function(RECIPE, name))
    unread = set(RECIPE.sources) - set(RECIPE.readers)
    assert unread == {"emojilib", "wordnet"}


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
    root = openclipart(tmp_path, drawings)
    read = {i.key: i for i in reader("openclipart")("openclipart", {"openclipart": root})}
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
    data = {"emojilib": names, "noto": icons, "emoji-3d": files}
    drawn = list(reader("noto")("noto", data))
    assert [p.captions[0] for p in drawn] == ["alarm clock", "pear"]
    modelled = list(reader("emoji-3d")("emoji-3d", data))
    assert [(p.concept, p.keywords) for p in modelled] == [("pear", ("fruit",))]
    assert decode_rgba(drawn[1]).getpixel((144, 144)) == (0, 255, 0, 255)


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
    iconic, shelf = reader("grocery")("grocery", {"grocery": shop})
    assert iconic.captions == ("Royal Gala", "Royal Gala Apple", "A sweet red apple from far away.")
    assert (shelf.path, shelf.photo) == (shop / "train/gala_1.jpg", True)
    (jacket,) = reader("clothing")("clothing", {"clothing": clothes})
    assert jacket.captions[0] == "jacket"


def test_a_wrong_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no classes\.csv in"):
        read_images(RECIPE.model_copy(update={"sources": ("grocery",)}), {"grocery": tmp_path})


NOUNS = """  1 This software and database is being provided
00001740 05 n 02 tabby 0 house_cat 0 001 @ 00001930 n 0000 | a cat with stripes; "the tabby slept"
00001930 07 n 01 stripiness 0 000 | the quality of being striped
"""
ADJECTIVES = (
    '00003131 00 s 01 galore(ip) 0 000 | (used of things) in great numbers; "cats galore"\n'
)


@pytest.fixture
def wordnet(tmp_path: Path) -> Path:
    (tmp_path / "data.noun").write_text(NOUNS, "utf-8")
    (tmp_path / "data.adj").write_text(ADJECTIVES, "utf-8")
    for name in ("data.verb", "data.adv"):
        (tmp_path / name).write_text("", "utf-8")
    return tmp_path


def test_wordnet_gives_words_definitions_and_examples(wordnet: Path) -> None:
    synsets = function("read_wordnet")(wordnet)
    assert [s.words for s in synsets] == [("tabby", "house cat"), ("stripiness",), ("galore",)]
    assert function("lexical_texts")(synsets) == [
        *("tabby", "house cat", "a cat with stripes", "the tabby slept"),
        *("stripiness", "the quality of being striped"),
        *("galore", "in great numbers", "cats galore"),
    ]
    assert function("visible_nouns")(synsets) == ["tabby", "house cat"]


def test_a_folder_without_wordnet_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no data\.noun in"):
        function("read_wordnet")(tmp_path)


def test_phrases_hold_the_nouns_and_depend_on_the_seed() -> None:
    texts = function("noun_phrases")(["kettle", "owl"], 300, np.random.default_rng(0))
    assert texts == function("noun_phrases")(["kettle", "owl"], 300, np.random.default_rng(0))
    assert len(texts) == 300
    assert sum("kettle" in text or "owl" in text for text in texts) > 150
    assert not any("{" in text or " a owl" in text for text in texts)


def test_photo_captions_are_sentences_with_the_nouns_in_some() -> None:
    texts = function("photo_captions")(["samovar"], 400, np.random.default_rng(3))
    assert texts == function("photo_captions")(["samovar"], 400, np.random.default_rng(3))
    assert len(texts) == 400
    assert 20 < sum("samovar" in text.lower() for text in texts) < 200
    assert not any("{" in text or "}" in text for text in texts)
    assert np.mean([len(text.split()) for text in texts]) > 6


def test_the_corpus_has_the_requested_number_of_texts_of_each_kind(wordnet: Path) -> None:
    owl = CaptionedImage("owl", "x", "owl", ("owl",))
    inputs = CorpusInputs([owl], ["tench"], {"wordnet": wordnet}, set(), np.random.default_rng(0))
    texts = function("corpus_texts")(inputs, lexical=3, phrases=20, captions=10)
    assert len(texts) == 3 + 20 + 3 + 10
    assert "a drawing of an owl" in texts
