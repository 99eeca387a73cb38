"""Captioned images: held-out split, captions, pixels and views."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image

from mmsearch.errors import MediaTooLarge, UnreadableMedia
from mmsearch.pretraining.images.activations import cached_outputs
from mmsearch.pretraining.images.captioned import CaptionedImage, concept_of, hold_out
from mmsearch.pretraining.images.views import RandomView, decode_rgba
from mmsearch.pretraining.recipe import ImageTower, Recipe
from mmsearch.pretraining.text.captions import indefinite, sample_text, with_article
from mmsearch.progress import NullProgress


def captioned(concept: str, **more: object) -> CaptionedImage:
    return CaptionedImage(concept, "x", concept, (concept,), **more)  # type: ignore[arg-type]


def test_an_image_beyond_the_bounds_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    chunks = (b"IHDR" + struct.pack(">IIBBBBB", 15_000, 15_000, 8, 2, 0, 0, 0), b"IDAT")
    huge = tmp_path / "huge.png"
    huge.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + b"".join(
            struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in chunks
        )
    )
    with pytest.raises(MediaTooLarge, match=r"huge\.png: more pixels than"):
        decode_rgba(CaptionedImage("k", "x", "cat", ("cat",), path=huge))
    (tmp_path / "page.png").write_text("<html>not found</html>")
    with pytest.raises(UnreadableMedia, match=r"page\.png: not a picture"):
        decode_rgba(CaptionedImage("k", "x", "cat", ("cat",), path=tmp_path / "page.png"))


def test_transparency_is_kept(tmp_path: Path) -> None:
    Image.new("RGBA", (8, 8), (255, 0, 0, 64)).save(tmp_path / "red.png")
    image = decode_rgba(CaptionedImage("k", "x", "cat", ("cat",), path=tmp_path / "red.png"))
    assert image.getpixel((4, 4)) == (255, 0, 0, 64)


def test_no_concept_lies_on_both_sides_of_the_split() -> None:
    images = [captioned(f"thing {i % 200}") for i in range(600)]
    kept, held = hold_out(images, fraction=0.2, seed=1)
    assert len(kept) + len(held) == 600
    assert 60 < len(held) < 180
    assert not {p.concept for p in kept} & {p.concept for p in held}
    assert hold_out(images[:50], fraction=0.2, seed=1)[1] == [p for p in images[:50] if p in held]


def test_concepts_and_articles() -> None:
    assert concept_of("Crawfish 2 (B and W)") == concept_of("crawfish")
    assert with_article("red apple") == "a red apple"
    assert with_article("orange") == "an orange"
    assert with_article("the moon") == "the moon"
    assert indefinite("owl") == "an owl"
    assert with_article("scissors") == "scissors"


def test_texts_are_drawn_from_what_is_known_of_the_captioned() -> None:
    cat = CaptionedImage("k", "x", "cat", ("Cat", "tabby"), keywords=("animal", "pet"))
    first = [sample_text(cat, np.random.default_rng(i)) for i in range(80)]
    assert first == [sample_text(cat, np.random.default_rng(i)) for i in range(80)]
    assert {"Cat", "tabby"} <= set(first)
    assert any(text.startswith("a drawing of a") for text in first)
    assert any("animal" in text for text in first)


@pytest.fixture
def noise(tmp_path: Path) -> list[CaptionedImage]:
    rng = np.random.default_rng(0)
    made = []
    for number in range(5):
        pixels = rng.integers(0, 256, (9, 7 + number, 4), dtype=np.uint8)
        pixels[..., 3] = 255 if number % 2 else pixels[..., 3]
        file = tmp_path / f"{number}.png"
        Image.fromarray(pixels, "RGBA").resize((90, 70)).save(file)
        made.append(captioned(str(number), path=file, photo=number == 1))
    return made


def test_outputs_are_cached_under_all_that_they_depend_on(
    noise: list[CaptionedImage], tmp_path: Path
) -> None:
    torch.manual_seed(0)
    trunk = timm.create_model("test_efficientnet", num_classes=0).eval()
    cache = tmp_path / "cache"

    def outputs(seed: int) -> np.ndarray:
        recipe = Recipe(
            name="tiny", sources=("catalog",), seed=seed, image=ImageTower(size=64, views=3)
        )
        return cached_outputs(trunk, noise, recipe=recipe, cache=cache, progress=NullProgress())

    first = outputs(0)
    assert first.shape[:2] == (5, 3)
    np.testing.assert_array_equal(outputs(0), first)
    assert len(list(cache.iterdir())) == 1
    other = outputs(1)
    assert len(list(cache.iterdir())) == 2
    np.testing.assert_array_equal(other[:, 0], first[:, 0])
    assert np.abs(other[:, 1] - first[:, 1]).max() > 0


def test_random_views_keep_their_shape_and_their_draw(noise: list[CaptionedImage]) -> None:
    view = RandomView(48, [image.path for image in noise if image.photo and image.path])
    rgba = decode_rgba(noise[0])
    views = [view(rgba, np.random.default_rng(i)) for i in range(20)]
    assert {v.shape for v in views} == {(3, 48, 48)}
    assert max(np.abs(v).max() for v in views) <= 1
    np.testing.assert_array_equal(views[3], view(rgba, np.random.default_rng(3)))
    assert np.abs(views[0] - views[1]).max() > 0.1
