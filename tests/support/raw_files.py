"""TIFF-based files as cameras write them, and TIFFs that only resemble them."""

import struct
from collections.abc import Sequence

from PIL import Image

Entry = tuple[int, int, tuple[int, ...] | bytes]
SHORT, LONG, ASCII, BYTE = 3, 4, 2, 1
_PACKED = {BYTE: "B", SHORT: "H", LONG: "I"}


def tiff(
    directories: Sequence[Sequence[Entry]], *, order: str = "<", chained: bool = False
) -> bytes:
    """directories: the first image's tags, then those of its sub-images (or of the next pages).

    Offsets among the values count from the first byte of the file; 8 is where `data` may begin.
    """
    mark = b"II*\0" if order == "<" else b"MM\0*"
    body = bytearray(mark + struct.pack(order + "I", 0))
    places: list[int] = []
    for number, entries in reversed([*enumerate(directories)]):
        link = (
            [(330, LONG, tuple(reversed(places)))] if not chained and not number and places else []
        )
        following = places[-1] if chained and places else 0
        places.append(_append(body, sorted([*entries, *link]), following, order))
    body[4:8] = struct.pack(order + "I", places[-1])
    return bytes(body)


def _append(body: bytearray, entries: Sequence[Entry], following: int, order: str) -> int:
    values = []
    for tag, kind, value in entries:
        if isinstance(value, bytes):
            count, data = len(value), value
        else:
            count, data = len(value), struct.pack(f"{order}{len(value)}{_PACKED[kind]}", *value)
        if len(data) > 4:
            place = len(body)
            body += data + b"\0" * (len(data) % 2)
            data = struct.pack(order + "I", place)
        values.append(struct.pack(order + "HHI", tag, kind, count) + data.ljust(4, b"\0"))
    start = len(body)
    body += struct.pack(order + "H", len(values)) + b"".join(values)
    body += struct.pack(order + "I", following)
    return start


def strip(image: Image.Image, *, subfile: int, photometric: int, at: int) -> list[Entry]:
    """The tags of one image whose pixels begin at byte `at`."""
    channels = len(image.getbands())
    return [
        (254, LONG, (subfile,)),
        (256, LONG, (image.width,)),
        (257, LONG, (image.height,)),
        (258, SHORT, (8,) * channels),
        (259, SHORT, (1,)),
        (262, SHORT, (photometric,)),
        (273, LONG, (at,)),
        (277, SHORT, (channels,)),
        (278, LONG, (image.height,)),
        (279, LONG, (image.width * image.height * channels,)),
    ]


def raw_photo(
    image: Image.Image,
    maker: bytes = b"NIKON CORPORATION\0",
    *,
    order: str = "<",
    dng: bool = False,
) -> bytes:
    """A preview of 160 x 120 first, the sensor's data in a sub-image."""
    preview, sensor = image.convert("RGB").resize((160, 120)), image.convert("L")
    first = strip(preview, subfile=1, photometric=2, at=0)
    second = strip(sensor, subfile=0, photometric=32803, at=0)
    first.append((271, ASCII, maker))
    if dng:
        first.append((50706, BYTE, (1, 4, 0, 0)))
    plain = tiff([first, second], order=order)
    pixels = [preview.tobytes(), sensor.tobytes()]
    # The tags take as many bytes whatever their values, so the pixels follow at a known place.
    places = [len(plain), len(plain) + len(pixels[0])]
    placed = [
        [(tag, kind, (at,) if tag == 273 else value) for tag, kind, value in entries]
        for entries, at in zip((first, second), places, strict=True)
    ]
    return tiff(placed, order=order) + b"".join(pixels)
