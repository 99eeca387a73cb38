"""Every fusion: unit rows, missing modalities, no row that depends on another; late in detail."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mmsearch.errors import InputError
from mmsearch.fusion import (
    PRIOR_ITEMS,
    AttentionFusion,
    EarlyFusion,
    Fusion,
    LateFusion,
    choose_fusion,
    identity,
    shrunken_mean,
    unit,
)
from mmsearch.fusion.base import tokens
from mmsearch.records import Floats, FusionKind, Modality

DIM, WIDTH, RANK = 8, 4, 3
MEANS: dict[Modality, Floats] = {
    "image": np.full(DIM, 0.1, np.float32),
    "text": np.full(DIM, -0.1, np.float32),
}
rows = arrays.arrays(
    np.float32,
    st.tuples(st.integers(1, 6), st.just(DIM)),
    elements=st.floats(-1, 1, width=32).filter(lambda x: x == 0 or abs(x) > 1e-3),
)


def numbers(*shape: int) -> Floats:
    return np.random.default_rng(len(shape)).normal(size=shape).astype(np.float32)


def late(weight: float = 0.5) -> LateFusion:
    return LateFusion(MEANS, weight)


def attention(sharpness: float = 1.0) -> AttentionFusion:
    return AttentionFusion(
        MEANS,
        query=sharpness * numbers(WIDTH),
        keys=numbers(WIDTH, DIM),
        modality=numbers(2, WIDTH),
        down=numbers(2, RANK, DIM),
        up=0.1 * numbers(2, DIM, RANK),
        absent=0.1 * numbers(2, DIM),
    )


FUSIONS: tuple[Fusion, ...] = (
    late(),
    EarlyFusion(MEANS, numbers(DIM, 2 * DIM + 2)),
    attention(),
)
each_kind = pytest.mark.parametrize("fusion", FUSIONS, ids=lambda fusion: fusion.kind)


@each_kind
@given(images=rows, text_present=st.integers(0, 63))
def test_products_are_unit_rows_or_zero(fusion: Fusion, images: Floats, text_present: int) -> None:
    images = unit(images)
    keep = np.array([text_present >> i & 1 for i in range(len(images))], np.float32)[:, None]
    texts = np.roll(images, 1, axis=1) * keep
    products = fusion.products(images, texts)
    assert products.dtype == np.float32
    assert np.isfinite(products).all()
    present = images.any(axis=1) | texts.any(axis=1)
    np.testing.assert_allclose(np.linalg.norm(products[present], axis=1), 1, atol=1e-5)
    assert not products[~present].any()


@each_kind
@given(images=rows)
def test_a_row_depends_on_no_other(fusion: Fusion, images: Floats) -> None:
    images = unit(images)
    texts = np.roll(images, 3, axis=1)
    whole = fusion.products(images, texts)
    alone = [fusion.products(images[[i]], texts[[i]]) for i in range(len(images))]
    np.testing.assert_allclose(np.concatenate(alone), whole, atol=1e-5)
    turned = fusion.products(images[::-1], texts[::-1])
    np.testing.assert_allclose(turned[::-1], whole, atol=1e-5)


@each_kind
def test_what_is_missing_changes_nothing(fusion: Fusion) -> None:
    """The product of one modality is the same whatever mean the other one has."""
    vectors, nothing = unit(numbers(5, DIM)), np.zeros((5, DIM), np.float32)
    other = {**MEANS, "text": unit(numbers(1, DIM))[0]}
    ours, theirs = fusion.products(vectors, nothing), fusion.with_means(other)
    np.testing.assert_array_equal(ours, theirs.products(vectors, nothing))
    assert not np.array_equal(ours, fusion.products(nothing, vectors))


@each_kind
def test_queries_are_centred_alike_by_every_fusion(fusion: Fusion) -> None:
    queries = unit(numbers(3, DIM))
    for modality in MEANS:
        expected = unit(queries - MEANS[modality])
        np.testing.assert_allclose(fusion.centre(queries, modality), expected, atol=1e-6)


@each_kind
def test_an_identity_follows_the_weights_and_not_the_means(fusion: Fusion) -> None:
    zero = np.zeros(DIM, np.float32)
    assert identity(fusion) == identity(fusion.with_means({"image": zero, "text": zero}))
    others = [identity(other) for other in (*FUSIONS, late(0.7), attention(2.0))]
    assert len(set(others)) == 5


def gates_of(fusion: AttentionFusion, images: Floats, texts: Floats) -> Floats:
    """float32 (n, 2): the weights of image and text."""
    image_tokens, text_tokens, *present = tokens(images, texts, fusion.means)
    return fusion.gate(np.stack([image_tokens, text_tokens]), np.stack(present)).T


def test_attention_weighs_what_is_there() -> None:
    images, texts = unit(numbers(4, DIM)), unit(numbers(4, DIM)[::-1])
    gates = gates_of(attention(), images, texts)
    np.testing.assert_allclose(gates.sum(axis=1), 1, atol=1e-6)
    assert len({round(float(share), 4) for share in gates[:, 0]}) == 4
    # Without an image, its share is that of what stands for it, whatever the items are.
    texts[:] = texts[0]
    images[:2] = 0
    gates = gates_of(attention(), images, texts)
    assert gates[0, 0] == pytest.approx(gates[1, 0])
    assert gates[2, 0] != pytest.approx(gates[3, 0])


def test_attention_holds_out_against_huge_scores() -> None:
    images, texts = unit(numbers(50, DIM)), unit(numbers(50, DIM)[::-1])
    gates = gates_of(attention(1e6), images, texts)
    assert np.isfinite(gates).all()
    np.testing.assert_allclose(gates.sum(axis=1), 1, atol=1e-6)


def test_attention_without_a_value_path_and_with_an_even_gate_is_late_fusion() -> None:
    fusion = AttentionFusion(
        MEANS,
        query=numbers(WIDTH),
        keys=np.zeros((WIDTH, DIM), np.float32),
        modality=np.zeros((2, WIDTH), np.float32),
        down=numbers(2, RANK, DIM),
        up=np.zeros((2, DIM, RANK), np.float32),
        absent=np.zeros((2, DIM), np.float32),
    )
    images, texts = unit(numbers(9, DIM)), unit(numbers(9, DIM)[::-1])
    images[3], texts[4] = 0, 0
    np.testing.assert_allclose(
        fusion.products(images, texts), late().products(images, texts), atol=1e-6
    )


def test_early_fusion_of_the_mean_is_late_fusion() -> None:
    same = np.eye(DIM, dtype=np.float32)
    projection = np.concatenate([0.7 * same, 0.3 * same, np.zeros((DIM, 2), np.float32)], axis=1)
    images, texts = unit(numbers(9, DIM)), unit(numbers(9, DIM)[::-1])
    texts[4] = 0
    np.testing.assert_allclose(
        EarlyFusion(MEANS, projection).products(images, texts),
        late(0.7).products(images, texts),
        atol=1e-6,
    )


@given(images=rows)
def test_a_missing_modality_leaves_the_other_centred(images: Floats) -> None:
    images = unit(images)
    nothing = np.zeros_like(images)
    alone = late().products(images, nothing)
    present = images.any(axis=1)
    np.testing.assert_allclose(alone[present], late().centre(images, "image")[present], atol=1e-6)
    assert not alone[~present].any()


def test_the_weight_moves_the_product_between_the_modalities() -> None:
    image, text = (unit(np.eye(DIM, dtype=np.float32)[[i]]) for i in (0, 1))
    only_image, only_text = late(1.0).products(image, text), late(0.0).products(image, text)
    np.testing.assert_allclose(only_image, late().centre(image, "image"), atol=1e-6)
    np.testing.assert_allclose(only_text, late().centre(text, "text"), atol=1e-6)
    middle = late(0.5).products(image, text)
    assert (middle @ only_image.T).item() == pytest.approx((middle @ only_text.T).item(), abs=1e-5)


def test_one_item_alone_keeps_its_direction() -> None:
    vector = unit(np.arange(1, DIM + 1, dtype=np.float32)[None])
    mean = shrunken_mean(vector.sum(axis=0), 1)
    centred = LateFusion({"image": mean, "text": mean}).centre(vector, "image")
    np.testing.assert_allclose(centred, vector, atol=1e-6)


def test_the_shrunken_mean_goes_from_what_was_known_to_the_mean() -> None:
    vectors = np.full((100 * PRIOR_ITEMS, DIM), 0.5, dtype=np.float32)
    known = np.full(DIM, -0.5, np.float32)
    np.testing.assert_allclose(shrunken_mean(vectors.sum(axis=0), len(vectors)), 0.5, rtol=0.011)
    np.testing.assert_allclose(
        shrunken_mean(vectors.sum(axis=0), len(vectors), known), 0.5, rtol=0.021
    )
    np.testing.assert_allclose(shrunken_mean(np.zeros(DIM, np.float32), 0, known), known)


def chosen(
    wish: str, brought: Fusion | None, image_weight: float | None = None
) -> tuple[FusionKind, float | None]:
    fusion = choose_fusion(
        wish,  # type: ignore[arg-type]
        lambda: brought,
        image_weight=image_weight,
        dim=DIM,
        model="shop",
    )
    return fusion.kind, fusion.image_weight if isinstance(fusion, LateFusion) else None


def test_auto_takes_what_the_model_brings() -> None:
    assert chosen("auto", None) == ("late", 0.5)
    assert chosen("auto", attention()) == ("attention", None)
    assert chosen("auto", late(0.8)) == ("late", 0.8)
    assert chosen("auto", late(0.8), image_weight=0.0) == ("late", 0.0)
    assert chosen("attention", attention(), image_weight=0.3) == ("attention", None)


def test_late_is_the_plain_average_and_never_asks_the_model() -> None:
    def broken() -> Fusion:
        raise AssertionError("the model was asked")

    fusion = choose_fusion("late", broken, image_weight=0.2, dim=DIM, model="shop")
    assert (fusion.kind, fusion.weights["image_weight"][0]) == ("late", np.float32(0.2))


@pytest.mark.parametrize(("brought", "said"), [(None, "none"), (attention(), "attention")])
def test_a_fusion_that_the_model_lacks_is_an_error(brought: Fusion | None, said: str) -> None:
    with pytest.raises(InputError, match=rf"'shop' has no early fusion but {said}; .*finetune"):
        chosen("early", brought)
