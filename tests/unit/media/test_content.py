"""Equal means equal: what the digest of a picture's whole content sees, and what it does not."""

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mmsearch.errors import MediaTooLarge, UnreadableMedia
from mmsearch.media import ImageContent, MediaBounds, decode, read_content
from mmsearch.records import Pixels

Encode = Callable[..., bytes]

LOSSLESS: list[tuple[str, dict[str, Any]]] = [
    ("PNG", {}),
    ("PNG", {"optimize": True, "compress_level": 1}),
    ("BMP", {}),
    ("TIFF", {}),
    ("TIFF", {"compression": "tiff_lzw"}),
    ("TIFF", {"big_tiff": True}),
    ("WEBP", {"lossless": True, "exact": True}),
    ("JXL", {"lossless": True}),
]
SMALL = st.integers(1, 9)


def content(data: bytes) -> ImageContent:
    """Of the file, once on the way of decoding it and once on its own."""
    alone = read_content(data)
    assert decode(data, content=True).content == alone
    return alone


@pytest.fixture(scope="module")
def drawn(reference: Image.Image) -> Image.Image:
    return reference.resize((48, 32))


def test_containers_of_the_same_pixels_are_equal(drawn: Image.Image, encode: Encode) -> None:
    digests = {content(encode(drawn, name, **options)).digest for name, options in LOSSLESS}
    assert len(digests) == 1
    few = drawn.quantize(16)
    digests = {content(encode(few, name)).digest for name in ("GIF", "PNG", "BMP", "TIFF")}
    digests |= {content(encode(few.convert("RGB"), name)).digest for name in ("PNG", "BMP")}
    assert len(digests) == 1


def test_a_rotation_in_the_metadata_equals_turned_pixels(
    drawn: Image.Image, encode: Encode
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = encode(drawn.transpose(Image.Transpose.ROTATE_270), "BMP")
    assert content(encode(drawn, "PNG", exif=exif)) == content(turned)
    assert content(encode(drawn, "TIFF", exif=exif)) == content(turned)
    assert content(encode(drawn, "PNG")) != content(turned)


@given(data=st.data(), width=SMALL, height=SMALL)
@settings(max_examples=40, deadline=None)
def test_only_what_can_be_seen_counts(
    encode: Encode, data: st.DataObject, width: int, height: int
) -> None:
    seed = data.draw(st.integers(0, 2**32 - 1))
    chance = np.random.default_rng(seed)
    pixels: Pixels = chance.integers(0, 256, (height, width, 4), dtype=np.uint8)
    pixels[..., 3] = chance.choice([0, 90, 255], (height, width))
    first = content(encode(Image.fromarray(pixels), "PNG"))

    hidden = pixels.copy()
    hidden[pixels[..., 3] == 0, :3] = data.draw(st.integers(0, 255))
    assert content(encode(Image.fromarray(hidden), "WEBP", lossless=True, exact=True)) == first

    other = pixels.copy()
    row, column = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    channel = data.draw(st.integers(0, 3))
    other[row, column, channel] ^= 1 << data.draw(st.integers(0, 7))
    seen = channel == 3 or pixels[row, column, 3] > 0
    assert (content(encode(Image.fromarray(other), "PNG")) != first) == seen


@given(width=SMALL, height=SMALL, seed=st.integers(0, 99))
@settings(max_examples=20, deadline=None)
def test_the_shape_counts(encode: Encode, width: int, height: int, seed: int) -> None:
    level = int(np.random.default_rng(seed).integers(256))
    one, other = (
        content(encode(Image.new("L", size, level), "PNG"))
        for size in ((width, height), (height, width))
    )
    assert (one == other) == (width == height)


def test_opaque_alpha_is_none_and_white_on_transparency_is_not_white(
    drawn: Image.Image, encode: Encode
) -> None:
    opaque = drawn.copy()
    opaque.putalpha(255)
    assert content(encode(opaque, "PNG")) == content(encode(drawn, "BMP"))
    white = Image.new("RGBA", (20, 20), (255, 255, 255, 0))
    marked = white.copy()
    marked.paste((255, 255, 255, 255), (5, 5, 12, 12))
    files = [encode(white, "PNG"), encode(marked, "PNG"), encode(white.convert("RGB"), "PNG")]
    assert len({content(file).digest for file in files}) == 3
    assert len({decode(file).image.tobytes() for file in files}) == 1
    alphas = [decode(file).alpha for file in files]
    assert [alpha is not None for alpha in alphas] == [True, True, False]


def test_more_than_eight_bits_is_not_equal_to_eight(drawn: Image.Image, encode: Encode) -> None:
    grey = np.asarray(drawn.convert("L")).astype(np.uint16)
    grey[0, 0] = 255
    eight = content(encode(Image.fromarray(grey.astype(np.uint8)), "PNG"))
    repeated, finer = grey * 257, grey * 257 + (np.arange(48, dtype=np.uint16) % 2)
    finer[0, 0] = 65535
    assert content(encode(Image.fromarray(repeated), "PNG")) == eight
    assert content(encode(Image.fromarray(repeated), "TIFF")) == eight
    deep = content(encode(Image.fromarray(finer), "PNG"))
    assert deep == content(encode(Image.fromarray(finer), "TIFF"))
    assert deep != eight
    floats = Image.fromarray(np.asarray(drawn.convert("L"), np.float32) / 255)
    assert content(encode(floats, "TIFF")) != eight


def test_deep_colours_equal_only_files_of_the_same_bytes(encode: Encode) -> None:
    import imagecodecs

    levels = np.zeros((8, 8, 3), np.uint16)
    levels[2:5] = 40_000
    almost = levels.copy()
    almost[3] += 1
    files = [bytes(imagecodecs.png_encode(each)) for each in (levels, almost)]
    shallow = encode(Image.fromarray((levels >> 8).astype(np.uint8)), "PNG")
    assert len({content(file).digest for file in [*files, shallow]}) == 3


def animation(
    frames: list[Image.Image], name: str, durations: int | list[int], **options: Any
) -> bytes:
    file = io.BytesIO()
    frames[0].save(
        file, name, save_all=True, append_images=frames[1:], duration=durations, **options
    )
    return file.getvalue()


@pytest.fixture(scope="module")
def frames(drawn: Image.Image) -> list[Image.Image]:
    return [drawn.rotate(angle).quantize(32).convert("RGB") for angle in (0, 20, 50, 90)]


def test_animations_are_equal_where_all_frames_and_times_are(frames: list[Image.Image]) -> None:
    first = content(animation(frames, "PNG", 120))
    assert (first.frames, first.durations) == (4, (120,) * 4)
    assert content(animation(frames, "WEBP", 120, lossless=True)) == first
    assert content(animation(frames, "GIF", 120)) == first
    others = [
        animation(frames, "PNG", 200),
        animation(frames, "PNG", [120, 120, 120, 130]),
        animation([*frames[:3], frames[0]], "PNG", 120),
        animation(frames[:3], "PNG", 120),
        animation([frames[0], frames[2], frames[1], frames[3]], "PNG", 120),
    ]
    assert len({content(each).digest for each in others} - {first.digest}) == len(others)


def test_a_frame_that_is_repeated_counts_as_one_that_is_shown_longer(
    frames: list[Image.Image],
) -> None:
    twice = [frames[0], frames[0], frames[1]]
    assert content(animation(twice, "WEBP", [40, 80, 100], lossless=True, kmin=0, kmax=0)) == (
        content(animation([frames[0], frames[1]], "PNG", [120, 100]))
    )


def test_pages_count_one_by_one(frames: list[Image.Image], encode: Encode) -> None:
    stack = animation(frames, "TIFF", 0)
    assert content(stack).frames == 4
    assert content(animation(frames, "TIFF", 0, compression="tiff_deflate")) == content(stack)
    assert content(animation([*frames, frames[3]], "TIFF", 0)) != content(stack)
    assert content(encode(frames[0], "TIFF")) != content(stack)


def test_all_frames_together_are_bounded(frames: list[Image.Image], encode: Encode) -> None:
    """48 x 32 pixels each: the bound holds four pictures of its own size."""
    many = animation(frames * 3, "TIFF", 0)
    tight = MediaBounds(max_pixels=48 * 32 * 2)
    with pytest.raises(MediaTooLarge, match="raise max_pixels"):
        read_content(many, bounds=tight)
    assert read_content(many, bounds=MediaBounds(max_pixels=48 * 32 * 3)).frames == 12
    with pytest.raises(UnreadableMedia):
        read_content(encode(frames[0], "PNG")[:-30])
