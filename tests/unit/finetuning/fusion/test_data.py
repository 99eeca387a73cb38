"""What asks for an item: never what it carries itself; every query with its right answers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmsearch.arrays import unit
from mmsearch.errors import InputError
from mmsearch.finetuning.fusion.data import (
    NO_ITEM,
    FusionData,
    FusionQueries,
    fusion_data,
    fusion_texts,
    judge,
    split_texts,
)
from mmsearch.records import Floats, Ids, Modality

DIM = 4


def rows(*present: int) -> Floats:
    """Unit rows, zeros where `present` is 0."""
    some = unit(np.random.default_rng(1).normal(size=(len(present), DIM)).astype(np.float32))
    return some * np.array(present, np.float32)[:, None]


def ids(*values: int) -> Ids:
    return np.array(values, dtype=np.int64)


def test_several_texts_the_first_is_the_items_own() -> None:
    texts = ("red shoe", "a shoe in red", "red shoe", "for running")
    assert split_texts(texts, np.random.default_rng(0)) == (
        "red shoe",
        ("a shoe in red", "for running"),
    )


def test_sentences_are_dealt_out() -> None:
    text = "A red shoe. It is for running! Light, with laces.  Made for 5.5 km?"
    own, asking = split_texts((text,), np.random.default_rng(0))
    assert own == "A red shoe. Light, with laces."
    assert asking == ("It is for running!", "Made for 5.5 km?")


@given(
    st.lists(st.sampled_from(["red", "blue", "shoe", "hat", "for", "running"]), max_size=8),
    st.integers(),
)
def test_the_queries_for_a_single_sentence_are_some_of_its_words(
    words: list[str], seed: int
) -> None:
    own, asking = split_texts((" ".join(words),), np.random.default_rng(abs(seed)))
    assert own == " ".join(words)
    assert bool(asking) == (len(words) > 1)
    for query in asking:
        assert len(query.split()) < len(words)
        place = iter(words)
        assert all(word in place for word in query.split())


def test_texts_of_many_items_keep_their_order() -> None:
    found = fusion_texts([("a b", "c"), (), ("One. Two.",)], seed=0)
    assert found.own == ["a b", "", "One."]
    assert list(found.queries) == ["c", "Two."]
    assert found.items.tolist() == [0, 2]


def test_an_image_is_a_query_for_the_others_of_its_group() -> None:
    images, texts = rows(1, 1, 1, 0), rows(1, 1, 0, 1)
    data = fusion_data(
        images,
        texts,
        ids(7, 7, 3, 3),
        text_queries=rows(1, 1),
        query_items=ids(3, 0),
        views=rows(1, 1, 1, 1),
    )
    # The third image is the only one of its product: a view of it is its query.
    assert data.image_queries.own.tolist() == [0, 1, NO_ITEM]
    assert data.image_queries.groups.tolist() == [7, 7, 3]
    assert data.text_queries.groups.tolist() == [3, 7]
    answers = {
        modality: judge(data, modality).judgements.candidate.tolist()
        for modality in ("text", "image")
    }
    assert answers == {"text": [2, 3, 0, 1], "image": [1, 0, 2, 3]}


def test_a_query_without_an_answer_is_left_out() -> None:
    queries = FusionQueries(rows(1, 1, 1), ids(1, 9, 2), ids(0, NO_ITEM, NO_ITEM))
    data = FusionData(rows(1, 1), rows(1, 1), ids(1, 2), queries, queries.thinned(0))
    judged = judge(data, "text")
    assert judged.answerable.tolist() == [2]
    assert judged.judgements.candidate.tolist() == [1]


def test_thinned_queries_are_spread() -> None:
    queries = FusionQueries(np.zeros((100, DIM), np.float32), np.arange(100), np.arange(100))
    assert queries.thinned(3).groups.tolist() == [0, 49, 99]
    assert len(queries.thinned(1_000)) == 100


@pytest.mark.parametrize(("share", "left"), [(0.0, 9), (0.3, 6), (1.0, 0)])
def test_texts_are_left_out_only_where_an_image_stays(share: float, left: int) -> None:
    images, texts = rows(*([1] * 9 + [0] * 3)), rows(*[1] * 12)
    queries = FusionQueries(rows(1), ids(0), ids(NO_ITEM))
    data = FusionData(images, texts, np.zeros(12, np.int64), queries, queries)
    some = data.without_texts(share, seed=4)
    assert int(some.texts[:9].any(axis=1).sum()) == left
    assert some.texts[9:].any(axis=1).all()
    assert np.array_equal(some.texts, data.without_texts(share, seed=4).texts)


@pytest.mark.parametrize(
    ("images", "groups", "own", "said"),
    [
        (rows(1, 1, 1), ids(0, 1), NO_ITEM, "for each item, got"),
        (rows(1, 1), ids(0, 1, 1), NO_ITEM, "for each item, got"),
        (rows(1, 1) * np.float32(np.nan), ids(0, 1), NO_ITEM, "not finite"),
        (rows(1, 1), ids(0, 1), 0, "no query has an answer"),
    ],
)
def test_what_cannot_be_trained_on_is_refused(
    images: Floats, groups: Ids, own: int, said: str
) -> None:
    queries = FusionQueries(rows(1), ids(0), ids(own))
    with pytest.raises(InputError, match=said):
        FusionData(images, rows(1, 1), groups, queries, queries)


def test_both_modalities_are_known() -> None:
    queries = FusionQueries(rows(1), ids(0), ids(NO_ITEM))
    data = FusionData(rows(1), rows(1), ids(0), queries, queries.thinned(0))
    modalities: tuple[Modality, ...] = ("text", "image")
    assert [len(data.queries(modality)) for modality in modalities] == [1, 0]
