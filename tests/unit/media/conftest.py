"""A clean reference picture, and ways to write it that decoding must see through."""

import io
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFilter

Encode = Callable[..., bytes]
Distance = Callable[[Image.Image, Image.Image], float]


@pytest.fixture(scope="session")
def reference() -> Image.Image:
    """240 x 160, RGB: gradients, soft shapes and grain; no symmetry, full range of levels."""
    rng = np.random.default_rng(7)
    y, x = np.mgrid[0:160, 0:240].astype(np.float32)
    red = 40 + 200 * x / 240
    green = 30 + 210 * y / 160
    blue = 200 - 170 * (x + y) / 400
    for left, top, radius, tint in ((60, 40, 34, (190, -60, -90)), (180, 110, 26, (-90, 80, 140))):
        inside = np.clip(radius - np.hypot(x - left, y - top), 0, 4) / 4
        red, green, blue = (
            channel + inside * shift
            for channel, shift in zip((red, green, blue), tint, strict=True)
        )
    grain = rng.normal(0, 6, (160, 240, 1)).astype(np.float32)
    pixels = np.clip(np.stack([red, green, blue], axis=-1) + grain, 0, 255).astype(np.uint8)
    return Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(1.0))


@pytest.fixture(scope="session")
def encode() -> Encode:
    """encode(image, format, **options) → the bytes of a file."""

    def encode(image: Image.Image, format: str, **options: Any) -> bytes:
        if format == "JXL":
            import imagecodecs

            return bytes(imagecodecs.jpegxl_encode(np.asarray(image), **options))
        if format == "HEIF":
            import pillow_heif

            pillow_heif.register_heif_opener()
        file = io.BytesIO()
        # A copy, since Pillow leaves the options of a save behind in the picture.
        image.copy().save(file, format, **options)
        return file.getvalue()

    return encode


@pytest.fixture(scope="session")
def distance() -> Distance:
    """Mean absolute difference in levels (0 to 255) of two RGB pictures of one size."""

    def distance(one: Image.Image, other: Image.Image) -> float:
        assert one.mode == other.mode == "RGB"
        assert one.size == other.size
        return float(np.abs(np.asarray(one, np.int16) - np.asarray(other, np.int16)).mean())

    return distance


@pytest.fixture(scope="session")
def icc_profile() -> Callable[..., bytes]:
    """icc_profile(space, pcs, tags) → an ICC version 2 profile; tags: 4 letters → tag data."""

    def icc_profile(space: bytes, pcs: bytes, tags: dict[bytes, bytes]) -> bytes:
        name = b"made for a test\0"
        described = {
            b"desc": b"desc" + struct.pack(">II", 0, len(name)) + name + bytes(78),
            b"cprt": b"text\0\0\0\0none\0",
            b"wtpt": xyz_tag(0.9642, 1.0, 0.8249),
            **tags,
        }
        table, body = struct.pack(">I", len(described)), b""
        start = 128 + 4 + 12 * len(described)
        for signature, data in described.items():
            padded = data + bytes(-len(data) % 4)
            table += struct.pack(">4sII", signature, start + len(body), len(data))
            body += padded
        header = struct.pack(
            ">I4sI4s4s4s12s4s28s", start + len(body), b"", 0x02400000,
            b"prtr" if space == b"CMYK" else b"mntr", space, pcs, b"", b"acsp", b"",
        )  # fmt: skip
        header += struct.pack(">3i", *(round(v * 65536) for v in (0.9642, 1.0, 0.8249)))
        return header + bytes(128 - len(header)) + table + body

    return icc_profile


def xyz_tag(x: float, y: float, z: float) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(v * 65536) for v in (x, y, z)))


@pytest.fixture(scope="session")
def swapped_profile(icc_profile: Callable[..., bytes]) -> bytes:
    """An RGB profile whose first channel is blue and whose last is red, otherwise sRGB."""
    level = np.arange(256) / 255
    linear = np.where(level <= 0.04045, level / 12.92, ((level + 0.055) / 1.055) ** 2.4)
    curve = curve_tag(linear)
    return icc_profile(
        b"RGB ", b"XYZ ",
        {
            b"rXYZ": xyz_tag(0.14307, 0.06061, 0.71410),
            b"gXYZ": xyz_tag(0.38515, 0.71687, 0.09708),
            b"bXYZ": xyz_tag(0.43607, 0.22249, 0.01392),
            b"rTRC": curve, b"gTRC": curve, b"bTRC": curve,
        },
    )  # fmt: skip


def curve_tag(linear: NDArray[np.float64]) -> bytes:
    values = np.round(linear * 65535).astype(">u2")
    return b"curv\0\0\0\0" + struct.pack(">I", len(values)) + values.tobytes()


@pytest.fixture(scope="session")
def cmyk_profile(icc_profile: Callable[..., bytes]) -> bytes:
    """A CMYK profile in which full cyan is Lab (60, -30, -40) and black ink hides all else."""
    ramp = bytes(range(256))
    corners = b""
    for corner in range(16):
        cyan, magenta, yellow, black = (corner >> bit & 1 for bit in (3, 2, 1, 0))
        lightness = 0 if black else 100 - 40 * cyan - 20 * magenta - 5 * yellow
        a = 0 if black else -30 * cyan + 60 * magenta
        b = 0 if black else -40 * cyan + 60 * yellow
        corners += bytes([round(lightness * 2.55), 128 + a, 128 + b])
    identity = struct.pack(">9i", *(65536 * v for v in (1, 0, 0, 0, 1, 0, 0, 0, 1)))
    table = b"mft1\0\0\0\0" + bytes([4, 3, 2, 0]) + identity + 4 * ramp + corners + 3 * ramp
    return icc_profile(b"CMYK", b"Lab ", {b"A2B0": table})
