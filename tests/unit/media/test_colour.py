"""Every mode and colour space ends as the same opaque sRGB picture."""

import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageCms

from mmsearch.media import decode
from mmsearch.media.colour import grey_levels

Encode = Callable[..., bytes]
Distance = Callable[[Image.Image, Image.Image], float]
WHITE = (255, 255, 255)


@pytest.fixture(scope="module")
def grey(reference: Image.Image) -> Image.Image:
    """The reference in greys, mode RGB."""
    return reference.convert("L").convert("RGB")


@pytest.fixture(scope="module")
def alpha() -> Image.Image:
    """A soft ramp from clear (left) to opaque (right), mode L."""
    return Image.fromarray(np.tile(np.linspace(0, 255, 240), (160, 1)).astype(np.uint8))


def on_white(image: Image.Image, alpha: Image.Image) -> Image.Image:
    return Image.composite(image.convert("RGB"), Image.new("RGB", image.size, WHITE), alpha)


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_16_bit_greys_keep_their_levels(
    grey: Image.Image, encode: Encode, distance: Distance, format: str
) -> None:
    deep = Image.fromarray(np.asarray(grey.convert("L")).astype(np.uint16) * 257)
    assert deep.mode == "I;16"
    assert distance(decode(encode(deep, format)).image, grey) == 0.0


def test_big_endian_and_12_bit_greys_keep_their_levels(
    grey: Image.Image, encode: Encode, distance: Distance
) -> None:
    levels = np.asarray(grey.convert("L"))
    big_endian = Image.frombytes("I;16B", grey.size, (levels.astype(">u2") * 257).tobytes())
    assert distance(decode(encode(big_endian, "TIFF")).image, grey) <= 0.01
    twelve_bits = Image.fromarray(np.round(levels / 255 * 4095).astype(np.uint16))
    assert distance(decode(encode(twelve_bits, "TIFF")).image, grey) <= 0.5


@pytest.mark.parametrize("scale", [1 / 255, 3.0])
def test_float_greys_keep_their_levels(
    grey: Image.Image, encode: Encode, distance: Distance, scale: float
) -> None:
    levels = np.asarray(grey.convert("L")).astype(np.float32)
    stretched = levels if scale < 1 else (levels - levels.min()) / np.ptp(levels) * 255
    expected = Image.fromarray(stretched.astype(np.uint8)).convert("RGB")
    shown = decode(encode(Image.fromarray(levels * np.float32(scale)), "TIFF")).image
    assert distance(shown, expected) <= 1.0


def test_32_bit_integers_are_stretched(grey: Image.Image, encode: Encode) -> None:
    levels = np.asarray(grey.convert("L")).astype(np.int32) * 100_000 - 5_000_000
    shown = np.asarray(decode(encode(Image.fromarray(levels), "TIFF")).image)
    assert shown.min() == 0
    assert shown.max() == 255
    assert np.corrcoef(shown[..., 0].ravel(), levels.ravel())[0, 1] > 0.999


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([[0, 255]], np.uint16), [0, 255]),
        (np.array([[0, 4095]], np.uint16), [0, 255]),
        (np.array([[0, 4096, 65535]], np.uint16), [0, 16, 255]),
        (np.array([[-10, 0, 10]], np.int32), [0, 128, 255]),
        (np.array([[0.0, 0.5, 1.0]], np.float32), [0, 128, 255]),
        (np.array([[np.nan, 0.0, np.inf, 2.0, -np.inf]], np.float32), [0, 0, 255, 255, 0]),
        (np.array([[np.nan, np.inf]], np.float32), [0, 0]),
        (np.array([[7.0, 7.0]], np.float32), [0, 0]),
    ],
)
def test_the_rule_for_deep_greys(values: np.ndarray, expected: list[int]) -> None:
    assert grey_levels(values).tolist() == [expected]


def test_16_bit_rgb_png_keeps_its_levels(reference: Image.Image, distance: Distance) -> None:
    deep = (np.asarray(reference).astype(">u2") * 257).reshape(160, -1)
    rows = b"".join(b"\0" + row.tobytes() for row in deep)
    header = struct.pack(">IIBBBBB", 240, 160, 16, 2, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    )
    assert distance(decode(data).image, reference) == 0.0


@pytest.mark.parametrize("format", ["PNG", "WEBP", "TIFF", "AVIF", "HEIF", "JXL"])
def test_transparency_shows_white(
    reference: Image.Image, alpha: Image.Image, encode: Encode, distance: Distance, format: str
) -> None:
    clear = reference.copy()
    clear.putalpha(alpha)
    options = {"lossless": True} if format in ("WEBP", "JXL") else {}
    shown = decode(encode(clear, format, **options)).image
    assert distance(shown, on_white(reference, alpha)) <= (4.0 if format in ("AVIF", "HEIF") else 1)
    assert np.asarray(shown)[:, 0].min() >= 250


def test_grey_with_alpha_shows_white(
    grey: Image.Image, alpha: Image.Image, encode: Encode, distance: Distance
) -> None:
    clear = Image.merge("LA", (grey.convert("L"), alpha))
    assert distance(decode(encode(clear, "PNG")).image, on_white(grey, alpha)) <= 1.0


def test_palette_with_clear_entries_shows_white(
    reference: Image.Image, encode: Encode, distance: Distance
) -> None:
    palette = reference.quantize(64)
    entries = np.asarray(palette)
    opaque = Image.fromarray(np.where(entries == 5, 0, 255).astype(np.uint8))
    expected = on_white(palette, opaque)
    assert distance(decode(encode(palette, "PNG", transparency=5)).image, expected) == 0.0
    assert distance(decode(encode(palette, "GIF", transparency=5)).image, expected) == 0.0
    levels = bytes(0 if entry == 5 else 255 for entry in range(64))
    assert distance(decode(encode(palette, "PNG", transparency=levels)).image, expected) == 0.0


def test_palette_with_alpha_channel_shows_white(
    reference: Image.Image, alpha: Image.Image, encode: Encode, distance: Distance
) -> None:
    palette = reference.quantize(128)
    expected = on_white(palette, alpha)
    both = palette.convert("PA")
    both.putalpha(alpha)
    assert both.mode == "PA"
    assert distance(decode(encode(both, "TIFF")).image, expected) <= 1.0


@pytest.mark.parametrize("mode", ["RGB", "L", "I;16", "1"])
def test_one_clear_colour_shows_white(encode: Encode, mode: str) -> None:
    picture = Image.new("L", (8, 4), 10)
    picture.paste(200, (0, 0, 4, 4))
    clear: object = {"RGB": (10, 10, 10), "L": 10, "I;16": 2570, "1": 0}[mode]
    if mode == "I;16":
        picture = Image.fromarray(np.asarray(picture).astype(np.uint16) * 257)
    else:
        picture = picture.convert(mode)
    shown = decode(encode(picture, "PNG", transparency=clear)).image
    assert shown.getpixel((7, 3)) == WHITE
    assert shown.getpixel((0, 0)) == ((255,) * 3 if mode == "1" else (200,) * 3)


@pytest.mark.parametrize("format", ["PNG", "GIF", "BMP", "TIFF"])
def test_bitmaps_and_palettes_are_their_colours(
    reference: Image.Image, encode: Encode, distance: Distance, format: str
) -> None:
    for picture in (reference.convert("1"), reference.quantize(32), reference.convert("L")):
        shown = decode(encode(picture, format)).image
        assert distance(shown, picture.convert("RGB")) == 0.0


def test_cmyk_without_a_profile_is_the_reference(
    reference: Image.Image, encode: Encode, distance: Distance
) -> None:
    inks = reference.convert("CMYK")
    assert distance(decode(encode(inks, "TIFF")).image, reference) <= 1.0
    assert distance(decode(encode(inks, "JPEG", quality=95)).image, reference) <= 3.0


def test_adobe_cmyk_jpeg_holds_inverted_inks(reference: Image.Image, encode: Encode) -> None:
    import imagecodecs

    inks = reference.convert("CMYK")
    data = encode(inks, "JPEG", quality=95)
    stored = imagecodecs.jpeg8_decode(data).astype(int)
    assert b"Adobe" in data[:64]
    assert np.abs(255 - stored - np.asarray(inks)).mean() < 4.0


def test_cmyk_goes_through_its_profile(encode: Encode, cmyk_profile: bytes) -> None:
    inks = Image.new("CMYK", (24, 8), (0, 0, 0, 0))
    inks.paste((255, 0, 0, 0), (8, 0, 16, 8))
    inks.paste((0, 0, 0, 255), (16, 0, 24, 8))
    for data in (
        encode(inks, "TIFF", icc_profile=cmyk_profile),
        encode(inks, "JPEG", quality=100, icc_profile=cmyk_profile),
    ):
        shown = np.asarray(decode(data).image).astype(int)
        assert shown[4, 2].min() >= 250
        assert shown[4, 22].max() <= 5
        # Lab (60, -30, -40) in sRGB, worked out by hand from the CIE formulas.
        assert np.abs(shown[4, 12] - (-1, 162, 214)).max() <= 8


def test_rgb_goes_through_its_profile(
    reference: Image.Image, encode: Encode, distance: Distance, swapped_profile: bytes
) -> None:
    red, green, blue = reference.split()
    swapped = Image.merge("RGB", (blue, green, red))
    for format in ("PNG", "JPEG", "WEBP", "TIFF"):
        options = {"lossless": True} if format == "WEBP" else {}
        data = encode(swapped, format, icc_profile=swapped_profile, **options)
        assert distance(decode(data).image, reference) <= 3.0


def test_the_profile_sees_colours_and_not_their_alpha(
    reference: Image.Image,
    alpha: Image.Image,
    encode: Encode,
    distance: Distance,
    swapped_profile: bytes,
) -> None:
    red, green, blue = reference.split()
    clear = Image.merge("RGBA", (blue, green, red, alpha))
    shown = decode(encode(clear, "PNG", icc_profile=swapped_profile)).image
    assert distance(shown, on_white(reference, alpha)) <= 1.5


def test_palettes_and_greys_go_through_rgb_profiles(
    reference: Image.Image,
    grey: Image.Image,
    encode: Encode,
    distance: Distance,
    swapped_profile: bytes,
) -> None:
    red, green, blue = reference.split()
    palette = Image.merge("RGB", (blue, green, red)).quantize(256)
    shown = decode(encode(palette, "PNG", icc_profile=swapped_profile)).image
    assert distance(shown, reference) <= 9.0
    data = encode(grey.convert("L"), "PNG", icc_profile=swapped_profile)
    assert distance(decode(data).image, grey) <= 1.5


def test_an_srgb_profile_changes_nothing(
    reference: Image.Image, encode: Encode, distance: Distance
) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert distance(decode(encode(reference, "PNG", icc_profile=profile)).image, reference) == 0.0


@pytest.mark.parametrize("damage", ["noise", "cut", "foreign", "empty tags"])
def test_a_broken_profile_is_ignored(
    reference: Image.Image,
    encode: Encode,
    distance: Distance,
    swapped_profile: bytes,
    cmyk_profile: bytes,
    icc_profile: Callable[..., bytes],
    damage: str,
) -> None:
    profile = {
        "noise": b"not a profile at all" * 20,
        "cut": swapped_profile[:200],
        "foreign": cmyk_profile,
        "empty tags": icc_profile(b"RGB ", b"XYZ ", {}),
    }[damage]
    assert distance(decode(encode(reference, "PNG", icc_profile=profile)).image, reference) == 0.0


def test_lab_is_the_reference(reference: Image.Image, encode: Encode, distance: Distance) -> None:
    lab = ImageCms.profileToProfile(
        reference, ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
    )
    assert lab is not None
    lab.info.clear()
    data = encode(lab, "TIFF")
    with Image.open(io.BytesIO(data)) as written:
        assert written.mode == "LAB"
    assert distance(decode(data).image, reference) <= 2.5


def test_ycbcr_tiff_is_the_reference(
    reference: Image.Image, encode: Encode, distance: Distance
) -> None:
    data = encode(reference.convert("YCbCr"), "TIFF")
    assert distance(decode(data).image, reference) <= 2.0
