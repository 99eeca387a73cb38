"""Late fusion: centring, missing modalities, and the shrinkage that keeps single items alive."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mmsearch.fusion import PRIOR_ITEMS, LateFusion, shrunken_mean, unit
from mmsearch.records import Floats

DIM = 8
rows = arrays.arrays(
    np.float32,
    st.tuples(st.integers(1, 6), st.just(DIM)),
    elements=st.floats(-1, 1, width=32).filter(lambda x: x == 0 or abs(x) > 1e-3),
)


def fusion(weight: float = 0.5) -> LateFusion:
    means = np.full((2, DIM), 0.1, dtype=np.float32)
    return LateFusion({"image": means[0], "text": -means[1]}, weight)


@given(rows)
def test_products_are_unit_rows_or_zero(images: Floats) -> None:
    images = unit(images)
    texts = np.roll(images, 1, axis=1)
    lengths = np.linalg.norm(fusion().products(images, texts), axis=1)
    assert np.all((np.abs(lengths - 1) < 1e-5) | (lengths == 0))


@given(rows)
def test_a_missing_modality_leaves_the_other(images: Floats) -> None:
    images = unit(images)
    nothing = np.zeros_like(images)
    alone = fusion().products(images, nothing)
    present = images.any(axis=1)
    np.testing.assert_allclose(alone[present], fusion().centre(images, "image")[present], atol=1e-6)
    assert not alone[~present].any()


def test_the_weight_moves_the_product_between_the_modalities() -> None:
    image, text = (unit(np.eye(DIM, dtype=np.float32)[[i]]) for i in (0, 1))
    only_image, only_text = fusion(1.0).products(image, text), fusion(0.0).products(image, text)
    np.testing.assert_allclose(only_image, fusion().centre(image, "image"), atol=1e-6)
    np.testing.assert_allclose(only_text, fusion().centre(text, "text"), atol=1e-6)
    middle = fusion(0.5).products(image, text)
    assert (middle @ only_image.T).item() == pytest.approx((middle @ only_text.T).item(), abs=1e-5)


def test_one_item_alone_keeps_its_direction() -> None:
    vector = unit(np.arange(1, DIM + 1, dtype=np.float32)[None])
    mean = shrunken_mean(vector.sum(axis=0), 1)
    centred = LateFusion({"image": mean, "text": mean}).centre(vector, "image")
    np.testing.assert_allclose(centred, vector, atol=1e-6)


def test_the_shrunken_mean_approaches_the_mean() -> None:
    vectors = np.full((100 * PRIOR_ITEMS, DIM), 0.5, dtype=np.float32)
    mean = shrunken_mean(vectors.sum(axis=0), len(vectors))
    np.testing.assert_allclose(mean, 0.5, rtol=0.011)
