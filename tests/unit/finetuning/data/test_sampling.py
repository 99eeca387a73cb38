"""Batches: pure functions of seed and step, whole epochs, shared by ranks, chance in bounds."""

from collections import Counter
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmsearch.errors import ConfigError, InputError
from mmsearch.finetuning.data.hard_negatives import HardNegatives
from mmsearch.finetuning.data.sampling import PLAIN_VIEW, Draw, Sampler, SamplingOptions
from mmsearch.finetuning.data.training_set import UNLABELLED, TrainingItem, TrainingSet
from mmsearch.records import Ids

CLASSES = ("fruit/red-apple", "pear", "plum")


def catalog_of(count: int) -> TrainingSet:
    """Half of the first class, the rest of the others; own texts, several for every third."""
    items = [
        TrainingItem(
            f"goods/{n}",
            Path(f"{n}.jpg"),
            (f"one two three item{n}", *((f"other {n}",) if n % 3 == 0 else ())),
            n // 2,
            0 if n % 2 else 1 + n // 2 % 2,
        )
        for n in range(count)
    ]
    return TrainingSet(items, CLASSES)


def sampler(count: int = 30, **options: Any) -> Sampler:
    given = SamplingOptions(**{"batch_size": 6, **options})
    return Sampler(catalog_of(count), np.arange(count, dtype=np.int64), given)


def drawn(source: Sampler, steps: int) -> Ids:
    return np.concatenate([source.draw(step).items for step in range(steps)])


def assert_equal(one: Draw, other: Draw) -> None:
    for each in fields(Draw):
        left, right = getattr(one, each.name), getattr(other, each.name)
        assert np.array_equal(left, right) if isinstance(left, np.ndarray) else left == right


@given(
    count=st.integers(6, 60),
    size=st.integers(2, 6),
    first=st.integers(0, 9),
)
@settings(max_examples=40, deadline=None)
def test_each_epoch_holds_every_item_once(count: int, size: int, first: int) -> None:
    positions = first + np.random.default_rng(count).permutation(count)
    source = Sampler(
        catalog_of(count + first), positions, SamplingOptions(batch_size=size, seed=count)
    )
    every = np.sort(positions)
    stream = drawn(source, 3 * count // size + 1)
    epochs = [stream[epoch * count : (epoch + 1) * count] for epoch in range(3)]
    for epoch in epochs:
        assert np.array_equal(np.sort(epoch), every)
    assert count < 20 or not np.array_equal(epochs[0], epochs[1])
    step = 2 * count // size
    assert source.epochs_of(step)[0] <= 2 <= source.epochs_of(step + 1)[1]


@pytest.mark.parametrize("balanced", [False, True])
def test_a_draw_depends_on_the_seed_and_the_step_alone(balanced: bool) -> None:
    options: dict[str, Any] = {
        "class_balanced": balanced,
        "word_dropout": 0.3,
        "modality_dropout": 0.3,
        "second_views": True,
    }
    one, other = sampler(**options), sampler(**options)
    for step in (17, 3, 4, 17):
        assert_equal(one.draw(step), other.draw(step))
    assert not np.array_equal(one.draw(0).items, sampler(**options, seed=1).draw(0).items)


@pytest.mark.parametrize("world", [2, 3])
def test_ranks_share_one_batch(world: int) -> None:
    source = sampler(word_dropout=0.3, modality_dropout=0.3)
    whole = source.draw(7)
    parts = [source.draw(7).part(rank, world) for rank in range(world)]
    assert np.array_equal(np.concatenate([part.items for part in parts]), whole.items)
    assert [text for part in parts for text in part.texts] == whole.texts
    assert [ids for part in parts for ids in part.own_text_ids] == whole.own_text_ids
    assert np.array_equal(np.concatenate([part.views for part in parts]), whole.views)


def test_balanced_classes_come_equally_often() -> None:
    source = sampler(40, class_balanced=True)
    labels = [label for step in range(20) for label in source.draw(step).labels.tolist()]
    counts = Counter(labels)
    assert set(counts.values()) == {40}
    # The first class has 20 items, the others 10 each.
    items = Counter(drawn(source, 20).tolist())
    assert {items[n] for n in range(1, 40, 2)} == {2}
    assert {items[n] for n in range(0, 40, 2)} == {4}


def test_items_without_a_class_are_one_more() -> None:
    catalog = catalog_of(20)
    items = [
        *catalog.items,
        *(TrainingItem(f"x/{n}", Path("x"), ("x",), 100 + n, UNLABELLED) for n in range(4)),
    ]
    source = Sampler(
        TrainingSet(items, CLASSES),
        np.arange(24),
        SamplingOptions(batch_size=8, class_balanced=True),
    )
    labels = Counter(label for step in range(6) for label in source.draw(step).labels.tolist())
    assert labels == {-1: 12, 0: 12, 1: 12, 2: 12}


def test_views_are_new_each_time_or_come_in_turn() -> None:
    always = sampler(30, second_views=True)
    seen = [always.draw(step) for step in range(10)]
    firsts = np.concatenate([draw.views for draw in seen])
    seconds = np.concatenate([draw.second_views for draw in seen if draw.second_views is not None])
    assert len(set(firsts.tolist()) | set(seconds.tolist())) == 120
    three = sampler(30, views=3, second_views=True)
    by_item: dict[int, list[int]] = {n: [] for n in range(30)}
    for step in range(15):
        draw = three.draw(step)
        assert draw.second_views is not None
        assert (draw.views != draw.second_views).all()
        for place, view in zip(draw.items.tolist(), draw.views.tolist(), strict=True):
            by_item[place].append(view)
    assert all(views == [0, 1, 2] for views in by_item.values())
    assert set(sampler(30, views=0).draw(0).views.tolist()) == {PLAIN_VIEW}


def texts_of(source: Sampler, steps: int = 40) -> list[tuple[int, str, int]]:
    found = []
    for step in range(steps):
        draw = source.draw(step)
        found += list(zip(draw.items.tolist(), draw.texts, draw.text_ids.tolist(), strict=True))
    return found


def test_own_texts_and_class_names_take_turns() -> None:
    source = sampler(30, class_prompts=0.4, templates=("a {}", "the {}"), text_templates=("<{}>",))
    found = texts_of(source)
    own = [text for _, text, _ in found if text.startswith("<")]
    named = Counter(text for _, text, _ in found if not text.startswith("<"))
    assert set(named) == {f"{a} {c}" for a in ("a", "the") for c in ("red apple", "pear", "plum")}
    assert 0.3 < named.total() / len(found) < 0.5
    assert {"<one two three item0>", "<other 0>"} <= set(own)
    # A text keeps its id in every template, and texts that differ have others.
    ids = {text.removeprefix("a ").removeprefix("the "): number for _, text, number in found}
    assert len(set(ids.values())) == len(ids)
    assert texts_of(sampler(30, class_prompts=0.0))[0][1].startswith("o")


def test_items_without_a_text_are_named_by_their_class_or_have_none() -> None:
    items = [TrainingItem(f"x/{n}", Path("x"), (), n, n % 2 - 1) for n in range(10)]
    source = Sampler(
        TrainingSet(items, ("pear",)),
        np.arange(10),
        SamplingOptions(batch_size=10, class_prompts=0.0, templates=("{}",)),
    )
    draw = source.draw(0)
    for label, text, there, number in zip(
        draw.labels, draw.texts, draw.has_text, draw.text_ids, strict=True
    ):
        assert (text, there) == (("pear", True) if label == 0 else ("", False))
        assert (number >= 0) == there


def test_words_are_left_out_but_one_stays() -> None:
    plain = texts_of(sampler(30, class_prompts=0.0))
    thinned = texts_of(sampler(30, class_prompts=0.0, word_dropout=0.5))
    kept = 0
    for (place, text, number), (other, fewer, same) in zip(plain, thinned, strict=True):
        assert (place, number) == (other, same)
        words = iter(text.split())
        assert all(word in words for word in fewer.split())
        kept += len(fewer.split())
    share = kept / sum(len(text.split()) for _, text, _ in plain)
    assert 0.4 < share < 0.65
    gone = texts_of(sampler(30, class_prompts=0.0, word_dropout=1.0))
    assert {len(text.split()) for _, text, _ in gone} == {1}


def test_one_modality_is_hidden_never_both() -> None:
    source = sampler(30, modality_dropout=0.4)
    draws = [source.draw(step) for step in range(50)]
    images = np.concatenate([draw.has_image for draw in draws])
    texts = np.concatenate([draw.has_text for draw in draws])
    assert (images | texts).all()
    assert 0.15 < 1 - images.mean() < 0.25
    assert 0.15 < 1 - texts.mean() < 0.25
    said = [(text, there) for d in draws for text, there in zip(d.texts, d.has_text, strict=True)]
    assert {text == "" for text, there in said if not there} == {True}
    assert {text == "" for text, there in said if there} == {False}


def test_what_an_item_lacks_stays_hidden_and_the_rest_is_never_dropped() -> None:
    items = [TrainingItem(f"x/{n}", None, (f"text {n}",), n, UNLABELLED) for n in range(8)]
    items += [TrainingItem(f"x/{n}", Path("x"), (), n, UNLABELLED) for n in range(8, 16)]
    source = Sampler(
        TrainingSet(items), np.arange(16), SamplingOptions(batch_size=16, modality_dropout=1.0)
    )
    draw = source.draw(0)
    assert np.array_equal(draw.has_text, draw.items < 8)
    assert np.array_equal(draw.has_image, draw.items >= 8)


def test_hard_negatives_stand_beside_their_items_and_epochs_stay_whole() -> None:
    source = sampler(30)
    plain = drawn(source, 10)
    hard = np.array([[(n + 15) % 30] for n in range(30)])
    source.use_hard(HardNegatives(np.arange(30), hard), from_epoch=1)
    stream = drawn(source, 10)
    assert np.array_equal(stream[:30], plain[:30])
    later = stream[30:60]
    assert np.array_equal(np.sort(later), np.arange(30))
    assert np.array_equal(later[1::2], (later[::2] + 15) % 30)


def test_a_class_balanced_epoch_takes_hard_negatives_too() -> None:
    source = sampler(30, class_balanced=True)
    before = Counter(drawn(source, 5).tolist())
    hard = np.array([[(n + 15) % 30, -1] for n in range(30)])
    source.use_hard(HardNegatives(np.arange(30), hard), from_epoch=0)
    after = drawn(source, 5)
    assert Counter(after.tolist()) == before
    assert (after[1:] == (after[:-1] + 15) % 30).sum() >= 5


def test_too_few_items_or_an_uneven_batch_are_refused() -> None:
    with pytest.raises(InputError, match=r"5 items to train on are fewer than a batch of 6"):
        sampler(5)
    with pytest.raises(InputError, match=r"batch size 6 is not divisible by 4 processes"):
        sampler(30).draw(0).part(0, 4)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"word_dropout": 1.5}, "word_dropout: must be at most 1, got 1.5"),
        ({"batch_size": 1}, "batch_size: must be at least 2"),
        ({"views": 1, "second_views": True}, "views: must be at least 2"),
        ({"templates": ("a photo",)}, "got 'a photo'"),
        ({"text_templates": ()}, "text_templates: must have at least 1"),
    ],
)
def test_options_that_cannot_be_are_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        SamplingOptions(**options)
