"""One suite for every encoder: the torch one whole, the NumPy text tower for its part."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmsearch.encoders.base import Encoder, TextEncoder
from mmsearch.encoders.registry import load_encoder, load_text_encoder
from mmsearch.encoders.text_numpy import NumpyTextEncoder
from mmsearch.errors import InputError
from mmsearch.media import prepare
from mmsearch.records import Floats, require_unit_rows

# Batches run other kernels than single rows do; more than rounding would be a fault.
SAME = 1e-4
MODELS = ("tiny", "builtin")
TOWERS = ("torch", "numpy")

TEXTS = [
    "a red apple",
    "",
    "🍎🐕‍🦺",
    "word " * 2000,
    "x" * 10_000,
    "Grüße aus Tōkyō, 東京",
    "line\nbreak\tand \x00 control",
    "<end_of_text> [SEP] </s>",
    "a dog",
]
WORDY = [3, 4]


@pytest.fixture(scope="module", params=MODELS)
def encoder(request: pytest.FixtureRequest, tiny_model: Path) -> Encoder:
    return load_encoder(name_of(request.param, tiny_model), device="cpu")


@pytest.fixture(scope="module", params=[(m, k) for m in MODELS for k in TOWERS], ids="-".join)
def text_encoder(request: pytest.FixtureRequest, tiny_model: Path) -> TextEncoder:
    model, kind = request.param
    if kind == "torch":
        return load_encoder(name_of(model, tiny_model), device="cpu")
    light = load_text_encoder(name_of(model, tiny_model))
    assert isinstance(light, NumpyTextEncoder)
    return light


def name_of(model: str, tiny_model: Path) -> str:
    return str(tiny_model) if model == "tiny" else model


def pictures() -> list[Image.Image]:
    """Noise, grey, one pixel, strips in both directions and a large picture: all RGB."""
    noise = np.random.default_rng(3).integers(0, 256, (90, 60, 3), dtype=np.uint8)
    sizes = [(1, 1), (1, 700), (700, 1), (2000, 1500)]
    return [
        Image.fromarray(noise),
        Image.new("RGB", (50, 50), (128, 128, 128)),
        *(Image.new("RGB", size, (200, 30, 90)) for size in sizes),
    ]


def check_rows(vectors: Floats, count: int, dim: int) -> None:
    assert vectors.shape == (count, dim)
    assert vectors.dtype == np.float32
    require_unit_rows(vectors)


class TestTexts:
    def test_rows_are_unit_float32(self, text_encoder: TextEncoder) -> None:
        check_rows(text_encoder.encode_texts(TEXTS), len(TEXTS), text_encoder.space.dim)

    def test_order_is_kept_whatever_the_lengths(self, text_encoder: TextEncoder) -> None:
        together = text_encoder.encode_texts(TEXTS)
        alone = np.concatenate([text_encoder.encode_texts([text]) for text in TEXTS])
        np.testing.assert_allclose(together, alone, atol=SAME)

    def test_company_changes_nothing(self, text_encoder: TextEncoder) -> None:
        many = [f"{text} {number}" for number in range(4) for text in TEXTS]
        vectors = text_encoder.encode_texts(many)
        backwards = text_encoder.encode_texts(many[::-1])[::-1]
        np.testing.assert_allclose(vectors, backwards, atol=SAME)

    def test_the_same_text_gives_the_same_vector_again(self, text_encoder: TextEncoder) -> None:
        first, second = (text_encoder.encode_texts(TEXTS) for _ in range(2))
        np.testing.assert_array_equal(first, second)

    def test_different_texts_get_different_vectors(self, text_encoder: TextEncoder) -> None:
        vectors = text_encoder.encode_texts(["a red apple", "two black dogs"])
        assert vectors[0] @ vectors[1] < 0.999

    def test_no_texts_give_no_rows(self, text_encoder: TextEncoder) -> None:
        assert text_encoder.encode_texts([]).shape == (0, text_encoder.space.dim)
        assert text_encoder.encode_texts([]).dtype == np.float32
        assert text_encoder.overlong([]) == []

    def test_overlong_texts_are_reported(self, text_encoder: TextEncoder) -> None:
        found = text_encoder.overlong(TEXTS)
        assert set(found) >= {3}
        assert set(found) <= set(WORDY) | {5}

    def test_what_lies_beyond_the_context_changes_nothing(self, text_encoder: TextEncoder) -> None:
        long = "word " * 500
        vectors = text_encoder.encode_texts([long, long + "and an apple"])
        np.testing.assert_allclose(vectors[0], vectors[1], atol=SAME)


class TestImages:
    def test_rows_are_unit_float32(self, encoder: Encoder) -> None:
        check_rows(encoder.encode_images(pictures()), len(pictures()), encoder.space.dim)

    def test_pixels_and_pictures_agree(self, encoder: Encoder) -> None:
        pixels = np.stack([prepare(picture, encoder.preprocessing) for picture in pictures()])
        np.testing.assert_array_equal(
            encoder.encode_pixels(pixels), encoder.encode_images(pictures())
        )

    def test_company_and_order_change_nothing(self, encoder: Encoder) -> None:
        together = encoder.encode_images(pictures() * 2)[: len(pictures())]
        alone = np.concatenate([encoder.encode_images([picture]) for picture in pictures()])
        np.testing.assert_allclose(together, alone, atol=SAME)

    def test_the_same_picture_gives_the_same_vector_again(self, encoder: Encoder) -> None:
        first, second = (encoder.encode_images(pictures()) for _ in range(2))
        np.testing.assert_array_equal(first, second)

    def test_different_pictures_get_different_vectors(self, encoder: Encoder) -> None:
        vectors = encoder.encode_images(pictures())
        assert vectors[0] @ vectors[1] < 0.999

    def test_no_pictures_give_no_rows(self, encoder: Encoder) -> None:
        assert encoder.encode_images([]).shape == (0, encoder.space.dim)
        assert encoder.encode_images([]).dtype == np.float32

    def test_pixels_of_another_size_are_refused(self, encoder: Encoder) -> None:
        side = encoder.preprocessing.size
        with pytest.raises(InputError, match=rf"uint8 \(n, {side}, {side}, 3\).*got uint8"):
            encoder.encode_pixels(np.zeros((1, side + 1, side, 3), np.uint8))

    def test_pixels_of_another_type_are_refused(self, encoder: Encoder) -> None:
        side = encoder.preprocessing.size
        with pytest.raises(InputError, match="got float32"):
            encoder.encode_pixels(np.zeros((1, side, side, 3), np.float32))


@pytest.mark.parametrize("model", MODELS)
def test_both_text_towers_are_one_space(model: str, tiny_model: Path) -> None:
    full = load_encoder(name_of(model, tiny_model), device="cpu")
    light = load_text_encoder(name_of(model, tiny_model))
    assert light.space == full.space
    cosines = (full.encode_texts(TEXTS) * light.encode_texts(TEXTS)).sum(axis=1)
    assert cosines.min() > 1 - 1e-3
