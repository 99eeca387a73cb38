"""Whatever the bytes, sniffing answers and decoding returns a sound picture or an MMSearchError."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from mmsearch.errors import MMSearchError
from mmsearch.media import FORMATS, MediaBounds, decode, sniff

Encode = Callable[..., bytes]

BOUNDS = MediaBounds(max_pixels=1_000_000)
MAGIC = [
    b"",
    b"\xff\xd8\xff",
    b"\x89PNG\r\n\x1a\n",
    b"GIF89a",
    b"RIFF\x40\0\0\0WEBP",
    b"BM\x40\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0",
    b"II*\0\x08\0\0\0",
    b"\0\0\0\x1cftypavif",
    b"\0\0\0\x18ftypheic",
    b"\xff\x0a",
]
BOUNDED = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def answers(data: bytes) -> None:
    try:
        decoded = decode(data, bounds=BOUNDS, draft=(16, 16))
    except MMSearchError:
        return
    assert decoded.image.mode == "RGB"
    assert decoded.width * decoded.height <= BOUNDS.max_pixels


@given(magic=st.sampled_from(MAGIC), rest=st.binary(max_size=300))
@BOUNDED
def test_random_bytes(magic: bytes, rest: bytes) -> None:
    assert sniff(magic + rest) in {None, *FORMATS}
    answers(magic + rest)


@pytest.fixture(scope="module")
def files(encode: Encode) -> list[bytes]:
    """Small real files: every format, animated and deep ones among them."""
    rng = np.random.default_rng(3)
    image = Image.fromarray(rng.integers(0, 256, (24, 32, 3), dtype=np.uint8))
    deep = Image.fromarray(rng.integers(0, 65536, (24, 32), dtype=np.uint16))
    black = Image.new("RGB", image.size)
    exif = Image.Exif()
    exif[0x0112] = 6
    return [
        *(encode(image, name) for name in ("PNG", "BMP", "TIFF", "AVIF", "HEIF", "JXL", "WEBP")),
        encode(image, "JPEG", exif=exif),
        encode(image, "JPEG", progressive=True),
        encode(image.convert("CMYK"), "JPEG"),
        encode(image.quantize(16), "PNG", transparency=2),
        *(encode(image, "TIFF", compression=name) for name in ("tiff_lzw", "jpeg", "packbits")),
        *(encode(deep, name) for name in ("PNG", "TIFF")),
        *(
            encode(black, name, save_all=True, append_images=[image, black])
            for name in ("GIF", "PNG", "WEBP", "TIFF")
        ),
    ]


@given(data=st.data())
@settings(BOUNDED, max_examples=25)
def test_damaged_files(files: list[bytes], data: st.DataObject) -> None:
    for file in files:
        place = st.integers(0, len(file) - 1) | st.integers(0, min(len(file), 128) - 1)
        damaged = bytearray(file)
        for at, value in data.draw(st.lists(st.tuples(place, st.integers(0, 255)), max_size=6)):
            damaged[at] = value
        answers(bytes(damaged[: data.draw(st.integers(1, len(file)))]))
        answers(bytes(damaged))
