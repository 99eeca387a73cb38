"""Queries: what is refused at the door, and how terms become one vector."""

from pathlib import Path

import numpy as np
import pytest

from mmsearch.arrays import unit
from mmsearch.errors import BadQuery
from mmsearch.fusion import LateFusion
from mmsearch.query import Query, Term, TermVectors, query_vector
from mmsearch.records import Floats

DIM = 16
RNG = np.random.default_rng(5)


def vector() -> Floats:
    row: Floats = unit(RNG.normal(size=(1, DIM)).astype(np.float32))[0]
    return row


def flat_fusion() -> LateFusion:
    zero = np.zeros(DIM, dtype=np.float32)
    return LateFusion({"image": zero, "text": zero})


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"text": "cat", "key": "a/b"},
        {"text": "cat", "image": Path("cat.png")},
        {"text": "   "},
        {"text": "cat", "weight": 0.0},
        {"text": "cat", "weight": float("nan")},
    ],
)
def test_a_bad_term_is_refused(arguments: dict[str, object]) -> None:
    with pytest.raises(BadQuery):
        Term(**arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("terms", "k"),
    [((), 10), ((Term(text="cat"),), 0), ((Term(text="cat"),), 10_001)],
)
def test_a_bad_query_is_refused(terms: tuple[Term, ...], k: int) -> None:
    with pytest.raises(BadQuery):
        Query(terms, k=k)


def test_only_negative_terms_are_refused() -> None:
    with pytest.raises(BadQuery, match="negative"):
        Query((Term(text="cat", weight=-1.0),))


def test_one_text_against_images_is_compared_as_it_is() -> None:
    text = vector()
    combined = query_vector((TermVectors({"text": text}, 1.0),), "image", flat_fusion())
    np.testing.assert_allclose(combined[0], text, atol=1e-6)


def test_an_item_is_compared_by_the_targets_own_modality() -> None:
    image, text = vector(), vector()
    item = (TermVectors({"image": image, "text": text}, 1.0),)
    np.testing.assert_allclose(query_vector(item, "text", flat_fusion())[0], text, atol=1e-6)
    np.testing.assert_allclose(query_vector(item, "image", flat_fusion())[0], image, atol=1e-6)


def test_a_picture_and_a_text_are_centred_before_they_are_mixed() -> None:
    image, text, gap = vector(), vector(), 3 * vector()
    apart = LateFusion({"image": gap, "text": -gap})
    terms = (TermVectors({"image": image}, 0.5), TermVectors({"text": text}, 0.5))
    expected = unit(unit((image - gap)[None]) + unit((text + gap)[None]))
    np.testing.assert_allclose(query_vector(terms, "image", apart), expected, atol=1e-6)


def test_a_negative_term_pushes_away() -> None:
    wanted, unwanted = vector(), vector()
    terms = (TermVectors({"text": wanted}, 1.0), TermVectors({"text": unwanted}, -0.5))
    combined = query_vector(terms, "image", flat_fusion())[0]
    assert combined @ unwanted < wanted @ unwanted


def test_terms_that_cancel_out_are_refused() -> None:
    text = vector()
    terms = (TermVectors({"text": text}, 1.0), TermVectors({"text": text}, -1.0))
    with pytest.raises(BadQuery, match="cancel"):
        query_vector(terms, "image", flat_fusion())
