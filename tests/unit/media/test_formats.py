"""Pictures are told by their first bytes, whatever they are called."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from mmsearch.errors import MediaTooLarge, UnreadableMedia
from mmsearch.media import FORMATS, SNIFF_BYTES, MediaBounds, decode, sniff

Encode = Callable[..., bytes]
Distance = Callable[[Image.Image, Image.Image], float]

# Our name, the writer's format and options, and how far a faithful decode may be, in levels.
WRITTEN = [
    ("jpeg", "JPEG", {"quality": 95, "subsampling": 0}, 1.5),
    ("jpeg", "JPEG", {"quality": 95, "progressive": True, "subsampling": 0}, 1.5),
    ("png", "PNG", {}, 0.0),
    ("webp", "WEBP", {"lossless": True}, 0.0),
    ("webp", "WEBP", {"quality": 95}, 3.0),
    ("bmp", "BMP", {}, 0.0),
    ("tiff", "TIFF", {}, 0.0),
    ("tiff", "TIFF", {"compression": "tiff_lzw"}, 0.0),
    ("tiff", "TIFF", {"compression": "jpeg", "quality": 95}, 3.0),
    ("tiff", "TIFF", {"big_tiff": True}, 0.0),
    ("avif", "AVIF", {"quality": 95}, 3.0),
    ("heic", "HEIF", {"quality": 95}, 3.0),
    ("jxl", "JXL", {"lossless": True}, 0.0),
    ("jxl", "JXL", {"lossless": True, "usecontainer": True}, 0.0),
    ("gif", "GIF", {}, 9.0),
]


@pytest.mark.parametrize(("name", "written", "options", "tolerance"), WRITTEN)
def test_each_format_decodes_to_the_reference(
    reference: Image.Image,
    encode: Encode,
    distance: Distance,
    name: str,
    written: str,
    options: dict[str, object],
    tolerance: float,
) -> None:
    data = encode(reference, written, **options)
    assert sniff(data[:SNIFF_BYTES]) == name
    decoded = decode(data)
    assert (decoded.width, decoded.height, decoded.format, decoded.frames) == (240, 160, name, 1)
    assert distance(decoded.image, reference) <= tolerance


def test_every_format_is_tried() -> None:
    assert {name for name, *_ in WRITTEN} == set(FORMATS)


@pytest.mark.parametrize(
    "written", ["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF", "HEIF", "JXL"]
)
def test_too_many_pixels_are_refused_in_every_format(
    reference: Image.Image, encode: Encode, written: str
) -> None:
    with pytest.raises(MediaTooLarge, match="240 x 160 pixels, the limit is 38,399"):
        decode(encode(reference, written), bounds=MediaBounds(max_pixels=38_399))
    assert decode(encode(reference, written), bounds=MediaBounds(max_pixels=38_400)).width == 240


@pytest.mark.parametrize(
    ("width", "height"),
    [
        *((2, 1), (8, 8), (9, 8), (24, 256), (264, 8), (256, 320), (300, 513), (640, 480)),
        *((480, 320), (1920, 1080), (1280, 720), (500, 400), (512, 256), (3, 9000), (300_000, 1)),
    ],
)
@pytest.mark.parametrize("container", [False, True])
def test_jpeg_xl_states_its_size_before_it_is_decoded(
    encode: Encode, width: int, height: int, container: bool
) -> None:
    picture = Image.new("RGB", (width, height), "red")
    data = encode(picture, "JXL", effort=1, usecontainer=container)
    with pytest.raises(MediaTooLarge, match=f"{width} x {height} pixels"):
        decode(data[:100], bounds=MediaBounds(max_pixels=width * height - 1))


@pytest.mark.parametrize(
    ("head", "seems"),
    [
        (b"%PDF-1.7 ...", "a PDF document"),
        (b"%!PS-Adobe-3.0 EPSF-3.0", "PostScript"),
        (b"8BPS\0\1", "a Photoshop document"),
        (b"\0\0\1\0\1\0\x10\x10", "an icon"),
        (b"\n  <svg xmlns='http://www.w3.org/2000/svg'/>", "an SVG drawing"),
        (b"<?xml version='1.0'?><svg/>", "XML or an SVG drawing"),
        (b"P6 2 2 255 abcdefghijkl", "first bytes 50 36 20 32 20 32 20 32"),
        (b"BMW and other makers of cars", "first bytes 42 4d 57 20 61 6e 64 20"),
        (b"\0\0\0\x20ftypisom\0\0\2\0isomiso2avc1mp41", "first bytes 00 00 00 20"),
        (b"RIFF\x24\0\0\0WAVEfmt ", "first bytes 52 49 46 46"),
        (b"just a text", "first bytes 6a 75 73 74"),
    ],
)
def test_other_files_are_never_opened(head: bytes, seems: str) -> None:
    assert sniff(head) is None
    with pytest.raises(UnreadableMedia, match="not a picture that mmsearch opens") as refused:
        decode(head)
    assert seems in str(refused.value)


@pytest.mark.parametrize(
    ("major", "compatible", "name"),
    [
        (b"avif", b"mif1miaf", "avif"),
        (b"mif1", b"mif1avif", "avif"),
        (b"heic", b"mif1heic", "heic"),
        (b"mif1", b"mif1heic", "heic"),
        (b"msf1", b"hevcmsf1", "heic"),
        (b"qt  ", b"qt  ", None),
        (b"crx ", b"crx isom", None),
    ],
)
def test_brands_tell_avif_heic_and_films_apart(
    major: bytes, compatible: bytes, name: str | None
) -> None:
    box = (16 + len(compatible)).to_bytes(4, "big") + b"ftyp" + major + bytes(4) + compatible
    assert sniff(box + b"avif in the next box is no brand") == name


def test_brands_are_read_from_their_own_box_only() -> None:
    assert sniff(b"\0\0\0\x14ftypmp42\0\0\0\0mp42" + b"avif" * 8) is None


def test_the_extension_is_never_believed(
    reference: Image.Image, encode: Encode, tmp_path: Path
) -> None:
    for name in ("photo.JPG", "photo.txt", "photo", "photo.jpg.bak"):
        (tmp_path / name).write_bytes(encode(reference, "PNG"))
        assert decode(tmp_path / name).format == "png"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has names that are no text")
def test_names_that_are_not_utf8_are_read_and_shown_on_one_line(
    reference: Image.Image, encode: Encode, tmp_path: Path
) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9\n.png"))
    path.write_bytes(encode(reference, "PNG"))
    assert decode(path).width == 240
    path.write_bytes(b"")
    with pytest.raises(UnreadableMedia, match=r"caf\\udce9\\n\.png: the file is empty") as refused:
        decode(path)
    str(refused.value).encode("utf-8")


def test_jpeg_xl_without_its_codec_names_the_extra(
    reference: Image.Image, encode: Encode, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = encode(reference, "JXL")
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    with pytest.raises(UnreadableMedia, match=r"pip install 'mmsearch\[jxl\]'"):
        decode(data)
