"""Swapped texts among clusters of images are found, and none are reported if uncertain."""

import numpy as np

from mmsearch.dedup.findings.misplaced_texts import FEWEST_ITEMS, find_misplaced
from mmsearch.fusion import unit
from mmsearch.records import Floats, Ids

KINDS, EACH, DIM = 20, 30, 48
COUNT = KINDS * EACH


def catalog(exchanged: int, *, spread: float = 0.12) -> tuple[Floats, Floats, Ids]:
    """Clusters of images with one text each, and the rows whose text is of another cluster."""
    chance = np.random.default_rng(8)
    kinds = np.repeat(np.arange(KINDS), EACH)
    centres = unit(chance.normal(size=(KINDS, DIM)).astype(np.float32))
    noise = spread * chance.normal(size=(COUNT, DIM))
    pictures = unit((centres[kinds] + noise).astype(np.float32))
    rows = chance.permutation(COUNT)[:exchanged]
    said = kinds.copy()
    said[rows] = (said[rows] + 1 + chance.integers(0, KINDS - 1, exchanged)) % KINDS
    texts = unit(chance.normal(size=(KINDS, DIM)).astype(np.float32))[said]
    return pictures, texts, np.sort(rows)


def test_exchanged_texts_are_found_with_what_fits_better() -> None:
    pictures, texts, wrong = catalog(40)
    found = find_misplaced(pictures, texts)
    reported, better = found.rows[: found.reported], found.better[: found.reported]
    right = np.isin(reported, wrong)
    assert right.mean() >= 0.9
    assert right.sum() >= 0.7 * len(wrong)
    assert (better[right] // EACH == reported[right] // EACH).mean() > 0.9
    assert found.silence == ""


def test_chances_fall_and_the_same_input_gives_the_same_result() -> None:
    pictures, texts, _ = catalog(40)
    one, two = find_misplaced(pictures, texts), find_misplaced(pictures, texts)
    assert (np.diff(one.chances) <= 0).all()
    assert one.rows.tolist() == two.rows.tolist()
    assert one.chances.tolist() == two.chances.tolist()


def test_a_catalog_in_order_has_nothing_misplaced() -> None:
    pictures, texts, _ = catalog(0)
    found = find_misplaced(pictures, texts)
    assert found.reported == 0
    assert found.silence


def test_two_in_few_are_suspicions_alone() -> None:
    pictures, texts, wrong = catalog(2)
    found = find_misplaced(pictures, texts)
    assert found.reported == 0
    assert set(wrong.tolist()) & set(found.rows.tolist())
    assert "`suspicions=True`" in found.silence


def test_texts_that_do_not_describe_the_pictures_are_not_called_wrong() -> None:
    pictures, texts, _ = catalog(0)
    shuffled = np.random.default_rng(4).permutation(COUNT)
    found = find_misplaced(pictures, texts[shuffled])
    assert found.reported == 0
    assert found.silence == "most texts fit their picture hardly better than another item's would"


def test_one_text_for_all_is_not_judged() -> None:
    pictures, texts, _ = catalog(0)
    found = find_misplaced(pictures, np.repeat(texts[:1], COUNT, axis=0))
    assert found.reported == 0
    assert found.silence == "nearly all texts are the same"


def test_few_items_say_nothing() -> None:
    pictures, texts, _ = catalog(20)
    few = FEWEST_ITEMS - 1
    found = find_misplaced(pictures[:few], texts[:few])
    assert found.rows.size == 0
    assert found.silence == "items with a picture and a text: 29; at least 30 are needed"


def test_texts_that_are_all_different_are_not_all_wrong() -> None:
    chance = np.random.default_rng(2)
    pictures = unit(chance.normal(size=(80, 32)).astype(np.float32))
    turn = np.linalg.qr(chance.normal(size=(32, 32)))[0].astype(np.float32)
    # Texts have the geometry of the images, in a space of their own.
    texts = unit(pictures @ turn + 0.05 * chance.normal(size=(80, 32)).astype(np.float32))
    assert find_misplaced(pictures, texts).reported == 0
