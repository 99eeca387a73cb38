"""Exchanged texts among clusters of pictures are found, and nothing where all fits."""

import numpy as np

from mmsearch.dedup.misplaced import FEWEST_ITEMS, find_misplaced
from mmsearch.fusion import unit
from mmsearch.records import Floats

KINDS, EACH = 8, 12


def catalog(swapped: tuple[int, int] | None) -> tuple[Floats, Floats]:
    """Pictures spread around one direction a kind, one text a kind."""
    chance = np.random.default_rng(8)
    kinds = np.repeat(np.arange(KINDS), EACH)
    centres = unit(chance.normal(size=(KINDS, 48)).astype(np.float32))
    pictures = unit(centres[kinds] + 0.12 * chance.normal(size=(len(kinds), 48)).astype(np.float32))
    said = kinds.copy()
    if swapped:
        said[list(swapped)] = said[list(swapped[::-1])]
    texts = unit(chance.normal(size=(KINDS, 48)).astype(np.float32))[said]
    return pictures, texts


def test_two_exchanged_texts_are_found_with_what_fits_better() -> None:
    found = find_misplaced(*catalog((3, 50)))
    assert sorted(found.rows.tolist()) == [3, 50]
    kind = {row: better // EACH for row, better in zip(found.rows, found.better, strict=True)}
    assert kind == {3: 0, 50: 4}
    assert (found.other > found.own + 0.2).all()


def test_a_catalog_in_order_has_nothing_misplaced() -> None:
    assert find_misplaced(*catalog(None)).rows.size == 0


def test_few_items_say_nothing() -> None:
    pictures, texts = catalog((0, 20))
    few = FEWEST_ITEMS - 1
    assert find_misplaced(pictures[:few], texts[:few]).rows.size == 0


def test_texts_that_are_all_different_are_not_all_wrong() -> None:
    chance = np.random.default_rng(2)
    pictures = unit(chance.normal(size=(80, 32)).astype(np.float32))
    turn = np.linalg.qr(chance.normal(size=(32, 32)))[0].astype(np.float32)
    # Texts lie as the pictures do, in a space of their own.
    texts = unit(pictures @ turn + 0.05 * chance.normal(size=(80, 32)).astype(np.float32))
    assert find_misplaced(pictures, texts).rows.size <= 4
