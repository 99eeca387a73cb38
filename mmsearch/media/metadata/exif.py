"""Reads EXIF: the few tags that describe an image, without loading the others.

Tags may claim any size and point anywhere, so that a library which loads all of them can be made
to copy a block thousands of times. Here only the wanted tags are read, each within bounds.
"""

import math
import struct
from collections.abc import Collection, Mapping
from typing import Any, TypeAlias

from mmsearch.media.metadata import values
from mmsearch.media.metadata.image_metadata import ImageMetadata

# Bytes of a whole file or of its EXIF block; an mmap is both sliced and unpacked alike.
Buffer: TypeAlias = Any

XMP_TAG, IPTC_TAG = 700, 33723
_DESCRIPTION, _MAKE, _MODEL, _ARTIST, _RATING = 270, 271, 272, 315, 18246
_XP_TITLE, _XP_COMMENT, _XP_AUTHOR, _XP_KEYWORDS, _XP_SUBJECT = range(40091, 40096)
_EXIF_IFD, _GPS_IFD = 34665, 34853
_TAKEN, _DIGITIZED, _ZONE_TAKEN, _ZONE_DIGITIZED = 36867, 36868, 36881, 36882
_COMMENT, _LENS = 37510, 42036
_MAIN = {
    _DESCRIPTION, _MAKE, _MODEL, _ARTIST, _RATING, _XP_TITLE, _XP_COMMENT, _XP_AUTHOR,
    _XP_KEYWORDS, _XP_SUBJECT, _EXIF_IFD, _GPS_IFD,
}  # fmt: skip
_DETAILS = {_TAKEN, _DIGITIZED, _ZONE_TAKEN, _ZONE_DIGITIZED, _COMMENT, _LENS}
_GPS = set(range(1, 7))

_MOST_ENTRIES = 1_000
_MOST_BYTES = 2**16
# By type: the bytes of a value, and its code for struct where it is a number.
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 7: 1, 9: 4, 10: 8, 13: 4, 129: 1}
_CODES = {3: "H", 4: "I", 9: "i", 13: "I"}


def read_exif(block: bytes) -> ImageMetadata:
    """Reads a block of EXIF, with or without its 'Exif' header. Raises struct.error, ValueError."""
    return read_exif_of_tiff(block.removeprefix(b"Exif\0\0"))


def read_exif_of_tiff(data: Buffer) -> ImageMetadata:
    """Reads the EXIF tags of a TIFF file. Raises struct.error, ValueError."""
    main = read_tags(data, _MAIN)
    details = _below(data, main.get(_EXIF_IFD), _DETAILS)
    return _image_metadata(main, details, _below(data, main.get(_GPS_IFD), _GPS))


def _below(data: Buffer, at: object, wanted: Collection[int]) -> dict[int, Any]:
    """Reads a directory below the first one; {} where there is none, or it is damaged."""
    try:
        return read_tags(data, wanted, at=at) if isinstance(at, int) else {}
    except struct.error:
        return {}


def read_tags(
    data: Buffer, wanted: Collection[int], *, at: int | None = None, most: int = _MOST_BYTES
) -> dict[int, Any]:
    """Reads the wanted tags of a directory: numbers, lists of rationals as floats, or bytes.

    at: the directory's offset; None: that of the first. most: bytes of a value, which is cut there.
    Returns {} where the data is no TIFF. Raises struct.error for a directory outside of it.
    """
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(bytes(data[:4]))
    if order is None:
        return {}
    offset = at if at is not None else struct.unpack_from(f"{order}I", data, 4)[0]
    (count,) = struct.unpack_from(f"{order}H", data, offset)
    tags: dict[int, Any] = {}
    for entry in range(offset + 2, offset + 2 + 12 * min(count, _MOST_ENTRIES), 12):
        tag, kind, length = struct.unpack_from(f"{order}HHI", data, entry)
        if tag not in wanted or kind not in _SIZES or tag in tags:
            continue
        size = length * _SIZES[kind]
        start = entry + 8
        if size > 4:
            (start,) = struct.unpack_from(f"{order}I", data, entry + 8)
        tags[tag] = _value(bytes(data[start : start + min(size, most)]), kind, order)
    return tags


def _value(raw: bytes, kind: int, order: str) -> Any:
    if kind in (5, 10):
        pair = "ii" if kind == 10 else "II"
        whole = raw[: len(raw) // 8 * 8][:64]
        pairs = struct.iter_unpack(f"{order}{pair}", whole)
        return [top / bottom if bottom else math.nan for top, bottom in pairs]
    if kind in _CODES and len(raw) >= _SIZES[kind]:
        return struct.unpack_from(f"{order}{_CODES[kind]}", raw)[0]
    return raw


def _image_metadata(
    main: Mapping[int, Any], details: Mapping[int, Any], gps: Mapping[int, Any]
) -> ImageMetadata:
    described = _text(main.get(_DESCRIPTION)) or _wide(main.get(_XP_COMMENT))
    described = values.line(described, most=values.MAX_DESCRIPTION) or _comment(details)
    taken = values.moment(_text(details.get(_TAKEN)), _text(details.get(_ZONE_TAKEN)))
    latitude, longitude = values.position(_angle(gps, 2, b"S"), _angle(gps, 4, b"W"))
    keywords = (_wide(main.get(_XP_KEYWORDS)) or "").split(";")
    return ImageMetadata(
        title=values.line(_wide(main.get(_XP_TITLE)) or _wide(main.get(_XP_SUBJECT))),
        description=described,
        keywords=values.lines(keywords),
        creator=values.line(_text(main.get(_ARTIST)) or _wide(main.get(_XP_AUTHOR))),
        rating=values.stars(main.get(_RATING)),
        taken=taken
        or values.moment(_text(details.get(_DIGITIZED)), _text(details.get(_ZONE_DIGITIZED))),
        camera=values.device(_text(main.get(_MAKE)), _text(main.get(_MODEL))),
        lens=values.line(_text(details.get(_LENS))),
        altitude=_altitude(gps),
        latitude=latitude,
        longitude=longitude,
    )


def _text(raw: object) -> str | None:
    """Decodes a text: ASCII by the standard, UTF-8 or Latin-1 in practice."""
    if not isinstance(raw, bytes):
        return None
    head = raw.partition(b"\0")[0]
    try:
        return head.decode()
    except UnicodeDecodeError:
        return head.decode("latin-1")


def _wide(raw: object) -> str | None:
    """Decodes a text as Windows writes it, in UTF-16."""
    if not isinstance(raw, bytes):
        return None
    return raw.decode("utf-16-le", "ignore").partition("\0")[0]


def _comment(details: Mapping[int, Any]) -> str | None:
    """Returns the user's comment, which begins with the name of its encoding."""
    raw = details.get(_COMMENT)
    if not isinstance(raw, bytes) or not raw.startswith((b"ASCII\0\0\0", b"UNICODE\0")):
        return None
    text = _text(raw[8:]) if raw.startswith(b"ASCII") else _utf16(raw[8:])
    return values.line(text, most=values.MAX_DESCRIPTION)


def _utf16(raw: bytes) -> str:
    """Decodes UTF-16 of unknown byte order: most letters have their zero byte on one side."""
    big = raw[::2].count(0) > raw[1::2].count(0)
    return raw.decode("utf-16-be" if big else "utf-16-le", "ignore").partition("\0")[0]


def _angle(gps: Mapping[int, Any], tag: int, negative: bytes) -> float | None:
    parts, side = gps.get(tag), gps.get(tag - 1)
    if not isinstance(parts, list) or len(parts) != 3 or not isinstance(side, bytes):
        return None
    return values.angle(parts, negative=side[:1] == negative)


def _altitude(gps: Mapping[int, Any]) -> float | None:
    value = gps.get(6)
    metres = float(value[0]) if isinstance(value, list) and value else math.nan
    if not math.isfinite(metres):
        return None
    below = gps.get(5) == b"\1"
    return round(-metres if below else metres, 2)
