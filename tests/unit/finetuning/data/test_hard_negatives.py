"""Hard negatives are what is near and wrong; pairs that may be right are never called wrong."""

from pathlib import Path

import numpy as np
import pytest

from mmsearch.arrays import unit
from mmsearch.finetuning.data.hard_negatives import mine
from mmsearch.finetuning.data.sampling import Draw, Sampler, SamplingOptions
from mmsearch.finetuning.data.training_set import UNLABELLED, TrainingItem, TrainingSet
from mmsearch.finetuning.trainee.batches import positives_and_ignored
from mmsearch.records import Floats

DIM = 16


def near(centre: int, count: int, seed: int, spread: float = 0.2) -> Floats:
    """float32 (count, DIM), unit rows around an axis."""
    chance = np.random.default_rng(seed)
    rows = np.zeros((count, DIM)) + np.eye(DIM)[centre] + spread * chance.normal(size=(count, DIM))
    return unit(rows.astype(np.float32))


def item(number: int, text: str, group: int, label: int = UNLABELLED) -> TrainingItem:
    return TrainingItem(f"goods/{number}", Path("x"), (text,), group, label)


def test_the_nearest_wrong_answer_is_found() -> None:
    """Items 0 and 1 lie in one corner, 2 and 3 in another; the rest lies elsewhere."""
    items = [item(n, f"text {n}", n) for n in range(12)]
    corners = [0, 0, 1, 1, *range(2, 10)]
    images = np.concatenate([near(corner, 1, n) for n, corner in enumerate(corners)])
    texts = np.concatenate([near(corner, 1, 50 + n) for n, corner in enumerate(corners)])
    found = mine(TrainingSet(items), np.arange(12), images, texts, per_item=1, same_meaning=2)
    assert found.neighbours[:4, 0].tolist() == [1, 0, 3, 2]
    assert (found.neighbours != np.arange(12)[:, None]).all()


def test_places_in_the_catalog_are_kept() -> None:
    items = [item(n, f"text {n}", n) for n in range(20)]
    places = np.array([3, 5, 9, 17])
    vectors = near(0, 4, 1)
    found = mine(TrainingSet(items), places, vectors, near(0, 4, 2), per_item=3, same_meaning=2)
    for place, neighbours in zip(places.tolist(), found.neighbours.tolist(), strict=True):
        assert sorted(neighbours) == sorted(set(places.tolist()) - {place})
    rows = found.rows_of(np.array([9, 3, 4]))
    assert rows.shape == (3, 3)
    assert sorted(rows[0].tolist()) == [-1, -1, 1]
    assert sorted(rows[1].tolist()) == [-1, -1, 0]
    assert rows[2].tolist() == [-1, -1, -1]


@pytest.mark.parametrize("why", ["group", "label", "text", "meaning"])
def test_right_answers_are_no_negatives(why: str) -> None:
    same = {
        "group": [item(0, "a", 7), item(1, "b", 7)],
        "label": [item(0, "a", 0, 1), item(1, "b", 1, 1)],
        "text": [item(0, "A red lamp", 0), item(1, "a red lamp!", 1)],
        "meaning": [item(0, "a", 0), item(1, "b", 1)],
    }[why]
    items = [*same, item(2, "c", 2, 0), item(3, "d", 3, 2)]
    images, texts = near(0, 4, 1), near(0, 4, 2, spread=1.0)
    if why == "meaning":
        texts[1] = texts[0]
    found = mine(TrainingSet(items), np.arange(4), images, texts, per_item=3)
    assert sorted(found.neighbours[0].tolist()) == [-1, 2, 3]
    assert sorted(found.neighbours[2].tolist()) == [0, 1, 3]


def test_items_of_one_modality_take_part_as_far_as_they_can() -> None:
    items = [item(n, f"text {n}", n) for n in range(4)]
    images, texts = near(0, 4, 1), near(0, 4, 2)
    images[0] = 0
    texts[1] = 0
    found = mine(TrainingSet(items), np.arange(4), images, texts, per_item=3, same_meaning=2)
    assert sorted(found.neighbours[0].tolist()) == [1, 2, 3]
    # Its image finds the texts of the others, of which 1 has none to be found by.
    assert sorted(found.neighbours[1].tolist()) == [0, 2, 3]
    nothing = mine(TrainingSet(items), np.arange(4), images, np.zeros_like(texts), per_item=3)
    assert (nothing.neighbours == -1).all()


def ordered_draw(
    items: list[TrainingItem], classes: tuple[str, ...] = (), prompts: float = 0
) -> Draw:
    """All items in their own order."""
    size = len(items)
    options = SamplingOptions(batch_size=size, class_prompts=prompts, templates=("{}", "a {}"))
    draw = Sampler(TrainingSet(items, classes), np.arange(size), options).draw(0)
    order = np.argsort(draw.items)
    return Draw(
        items=draw.items[order],
        views=draw.views[order],
        second_views=None,
        texts=[draw.texts[place] for place in order],
        has_image=draw.has_image[order],
        has_text=draw.has_text[order],
        groups=draw.groups[order],
        labels=draw.labels[order],
        text_ids=draw.text_ids[order],
        own_text_ids=[draw.own_text_ids[place] for place in order],
    )


def test_own_pairs_groups_and_equal_texts_are_right() -> None:
    items = [item(0, "a", 0), item(1, "b", 0), item(2, "C!", 1), item(3, "c", 2), item(4, "d", 3)]
    right, ignored = positives_and_ignored(ordered_draw(items))
    expected = np.eye(5, dtype=bool)
    expected[0, 1] = expected[1, 0] = expected[2, 3] = expected[3, 2] = True
    assert np.array_equal(right, expected)
    assert not ignored.any()


def test_a_class_name_is_right_for_all_images_of_the_class() -> None:
    items = [item(0, "a", 0, 0), item(1, "b", 1, 0), item(2, "c", 2, 1)]
    named, _ = positives_and_ignored(ordered_draw(items, ("pear", "plum"), prompts=1.0))
    assert named.tolist() == [[True, True, False], [True, True, False], [False, False, True]]
    own, _ = positives_and_ignored(ordered_draw(items, ("pear", "plum"), prompts=0.0))
    assert np.array_equal(own, np.eye(3, dtype=bool))


def test_texts_of_one_meaning_are_ignored_and_what_is_missing_too() -> None:
    lacking = TrainingItem("goods/3", None, ("d",), 3, UNLABELLED)
    silent = TrainingItem("goods/4", Path("x"), (), 4, UNLABELLED)
    draw = ordered_draw([item(0, "a", 0), item(1, "b", 1), item(2, "c", 2), lacking, silent])
    similarity = np.eye(5, dtype=np.float32)
    similarity[0, 1] = similarity[1, 0] = 0.95
    similarity[1, 2] = similarity[2, 1] = 0.5
    right, ignored = positives_and_ignored(draw, similarity)
    expected = np.zeros((5, 5), np.bool_)
    expected[0, 1] = expected[1, 0] = True
    # Item 3 has no image to compare, item 4 no text.
    expected[3, :] = expected[:, 4] = True
    assert np.array_equal(ignored, expected)
    assert np.array_equal(right, np.diag([True, True, True, False, False]))
    assert not (right & ignored).any()
