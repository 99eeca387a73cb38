"""The texts that the text tower is taught: WordNet, class names, composed phrases, their table."""

from pathlib import Path

import numpy as np
import pytest

from mmsearch.errors import InputError, MissingDependency
from mmsearch.extras import package_folder
from mmsearch.pretraining.card import Measures, write_card
from mmsearch.pretraining.pictures.data import Picture
from mmsearch.pretraining.recipe import ImageTower, Recipe
from mmsearch.pretraining.text.captions import photo_captions
from mmsearch.pretraining.text.corpus import (
    imagenet_names,
    lexical_texts,
    read_wordnet,
    visible_nouns,
)
from mmsearch.pretraining.text.scenes import article, compose
from mmsearch.pretraining.text.table import TextTable, class_rows, picture_rows

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
    synsets = read_wordnet(wordnet)
    assert [s.words for s in synsets] == [("tabby", "house cat"), ("stripiness",), ("galore",)]
    assert lexical_texts(synsets) == [
        *("tabby", "house cat", "a cat with stripes", "the tabby slept"),
        *("stripiness", "the quality of being striped"),
        *("galore", "in great numbers", "cats galore"),
    ]
    assert visible_nouns(synsets) == ["tabby", "house cat"]


def test_a_folder_without_wordnet_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no data\.noun in"):
        read_wordnet(tmp_path)


def test_class_names_follow_the_classifiers_order() -> None:
    classes = imagenet_names()
    assert len(classes.names) == len(classes.definitions) == 1000
    assert "tench" in classes.names[0]
    assert "toilet paper" in classes.names[999]
    table = TextTable()
    rows = class_rows(table, classes)
    texts = table.texts()
    assert texts[rows[1, 0]] == "a photo of a tench."
    assert rows.shape == (len(rows), 1000)


def test_composed_texts_hold_the_nouns_and_hang_on_the_seed() -> None:
    texts = compose(["kettle", "owl"], 300, np.random.default_rng(0))
    assert texts == compose(["kettle", "owl"], 300, np.random.default_rng(0))
    assert len(texts) == 300
    assert sum("kettle" in text or "owl" in text for text in texts) > 150
    assert not any("{" in text or " a owl" in text for text in texts)
    assert article("owl") == "an owl"


def test_photo_captions_are_sentences_with_the_nouns_in_some() -> None:
    texts = photo_captions(["samovar"], 400, np.random.default_rng(3))
    assert texts == photo_captions(["samovar"], 400, np.random.default_rng(3))
    assert len(texts) == 400
    assert 20 < sum("samovar" in text.lower() for text in texts) < 200
    assert not any("{" in text or "}" in text for text in texts)
    assert np.mean([len(text.split()) for text in texts]) > 6


def test_a_text_has_one_row() -> None:
    table = TextTable()
    pictures = [Picture(str(i), "x", "cat", ("cat", "tabby")) for i in range(6)]
    rows = picture_rows(table, pictures, per_picture=4, seed=0)
    assert rows.shape == (6, 4)
    assert (rows[:, 0] == 0).all()
    assert len(table.texts()) == len(set(table.texts())) == rows.max() + 1


def test_a_missing_teacher_is_named() -> None:
    with pytest.raises(MissingDependency, match="pip install no_such_teacher"):
        package_folder("no_such_teacher")


def test_the_card_says_what_was_measured_and_what_was_not() -> None:
    recipe = Recipe(
        name="shop", sources=("catalog",), image=ImageTower(weights="w"), limits=("no scenes",)
    )
    measured = write_card(
        recipe, {"catalog": 1234}, 0, 2e6, Measures(50, 0.25, 0.5, 7, sure_pictures=20)
    )
    for part in ("# shop", "2.0 million", "| catalog | 1,234 |", "| 0.500 |", "- no scenes"):
        assert part in measured
    assert "Nothing was held out" in write_card(recipe, {"catalog": 9}, 0, 2e6, Measures())
