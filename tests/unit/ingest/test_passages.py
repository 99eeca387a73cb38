"""Passages cover their text in order, fit into the encoder, and end where sentences do."""

import re
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmsearch.encoders.base import TextEncoder
from mmsearch.encoders.registry import load_text_encoder
from mmsearch.ingest.passages import Passage, split_passages

ENCODER: TextEncoder = load_text_encoder("builtin")
WORDS = (
    "the", "a", "red", "blue", "shoe", "leather", "of", "unbelievably", "Straßenbahn", "naïve",
)  # fmt: skip
CHARACTERS = st.sampled_from("ab z.\n!?…#-*'\"),é中文。、「」日本語한국어 ा।😀\t  ")


@st.composite
def texts(draw: st.DrawFn) -> str:
    words = draw(st.lists(st.sampled_from(WORDS), min_size=0, max_size=150))
    ends = st.sampled_from([" ", " ", " ", ", ", ". ", "! ", "\n", "\n\n", ".\n# ", "。", "\n- "])
    return "".join(word + draw(ends) for word in words)


def require_valid(text: str, passages: list[Passage]) -> None:
    covered = [False] * len(text)
    for passage in passages:
        assert passage.text == text[passage.start : passage.end]
        assert passage.text.strip() == passage.text != ""
        covered[passage.start : passage.end] = [True] * (passage.end - passage.start)
    assert not "".join(c for c, seen in zip(text, covered, strict=True) if not seen).strip()
    starts, ends = [p.start for p in passages], [p.end for p in passages]
    assert starts == sorted(set(starts))
    assert ends == sorted(set(ends))
    assert ENCODER.overlong([passage.text for passage in passages]) == []


@given(texts())
@settings(max_examples=60, deadline=None)
def test_passages_cover_a_text_and_fit(text: str) -> None:
    require_valid(text, split_passages(text, ENCODER))


@given(st.text(CHARACTERS, max_size=400))
@settings(max_examples=60, deadline=None)
def test_passages_of_any_characters_cover_a_text_and_fit(text: str) -> None:
    require_valid(text, split_passages(text, ENCODER))


def test_a_text_that_fits_is_one_passage() -> None:
    text = "A red shoe. It is made of leather."
    assert split_passages(text, ENCODER) == [Passage(0, len(text), text)]
    assert split_passages("", ENCODER) == []


def test_passages_end_with_sentences_and_overlap_by_one() -> None:
    sentences = [f"The number {n} house has a door of its own." for n in range(12)]
    passages = split_passages(" ".join(sentences), ENCODER)
    assert len(passages) > 2
    assert all(passage.text.endswith(".") for passage in passages)
    for before, after in pairwise(passages):
        assert after.start < before.end
        assert before.text.endswith(after.text[: after.text.index(".") + 1])


@pytest.mark.parametrize("heading", ["## Care", "Care\n===="])
def test_a_heading_begins_a_passage(heading: str) -> None:
    text = f"Shoes are made by hand.\n\n{heading}\n\nBrush them each day."
    starts = [passage.text for passage in split_passages(text, ENCODER)]
    assert starts[1].startswith(heading)


def test_chinese_sentences_are_not_cut_in_two() -> None:
    text = "这双鞋是红色的。它由皮革制成。" * 20
    passages = split_passages(text, ENCODER)
    require_valid(text, passages)
    assert len(passages) > 3
    assert all(passage.text.endswith("。") for passage in passages)


def test_a_word_longer_than_the_context_is_cut() -> None:
    text = "x9" * 500
    passages = split_passages(text, ENCODER)
    require_valid(text, passages)
    assert re.fullmatch("(x9?|9)+", "".join(p.text for p in passages))
