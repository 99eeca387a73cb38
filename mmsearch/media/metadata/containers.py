"""Finds the metadata blocks in image files, without decoding them."""

import io
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from mmsearch.media.formats import register
from mmsearch.media.guard import guarded
from mmsearch.media.metadata import xmp
from mmsearch.media.metadata.exif import IPTC_TAG, XMP_TAG, Buffer, read_tags
from mmsearch.media.metadata.iptc import iptc_of_photoshop

_EXIF_HEADER, _XMP_HEADER = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"
_PHOTOSHOP_HEADER = b"Photoshop 3.0\0"
_START_OF_SCAN = 0xDA
_XMP_KEYWORD = b"XML:com.adobe.xmp"
# A block that is longer is not read; real ones have at most a few hundred kB.
_MOST_BYTES = xmp.MAX_BYTES


@dataclass(slots=True)
class Blocks:
    """The blocks of one file, b'' where it has none. texts: of a PNG, by keyword."""

    exif: bytes = b""
    xmp: bytes = b""
    iptc: bytes = b""
    texts: dict[str, str] = field(default_factory=dict)


def find_blocks(data: Buffer, name: str) -> Blocks:
    """Finds the blocks in a file of format `name`; none in formats without them.

    Raises what the codecs raise on damaged files.
    """
    if name == "jpeg":
        return _in_jpeg(data)
    if name == "png":
        return _in_png(data)
    if name == "webp":
        chunks = dict(_riff_chunks(data))
        return Blocks(exif=chunks.get(b"EXIF", b""), xmp=chunks.get(b"XMP ", b""))
    if name == "tiff":
        tags = read_tags(data, {XMP_TAG, IPTC_TAG}, most=_MOST_BYTES)
        found = {tag: value for tag, value in tags.items() if isinstance(value, bytes)}
        return Blocks(xmp=found.get(XMP_TAG, b""), iptc=found.get(IPTC_TAG, b""))
    return _by_codec(bytes(data), name) if name in ("heic", "avif") else Blocks()


def _in_jpeg(data: Buffer) -> Blocks:
    blocks = Blocks()
    for marker, content in _jpeg_segments(data):
        if marker == 0xE1 and content.startswith(_EXIF_HEADER) and not blocks.exif:
            blocks.exif = content
        elif marker == 0xE1 and content.startswith(_XMP_HEADER) and not blocks.xmp:
            blocks.xmp = content.removeprefix(_XMP_HEADER)
        elif marker == 0xED and content.startswith(_PHOTOSHOP_HEADER) and not blocks.iptc:
            blocks.iptc = iptc_of_photoshop(content.removeprefix(_PHOTOSHOP_HEADER))
    return blocks


def _jpeg_segments(data: Buffer) -> Iterator[tuple[int, bytes]]:
    """Yields marker and content of the APP1 and APP13 segments before the first scan."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        if marker == _START_OF_SCAN:
            return
        size = int.from_bytes(data[at + 2 : at + 4], "big")
        if marker in (0xE1, 0xED):
            yield marker, bytes(data[at + 4 : at + 2 + size])
        at += 2 + max(size, 2)


def _in_png(data: Buffer) -> Blocks:
    """Reads the chunks of a PNG, which may come after its pixels."""
    blocks = Blocks()
    at = 8
    while at + 12 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        if kind in (b"eXIf", b"tEXt", b"iTXt", b"zTXt") and size <= _MOST_BYTES:
            content = bytes(data[at + 8 : at + 8 + size])
            if kind == b"eXIf":
                blocks.exif = content
            else:
                keyword, text = _png_text(kind, content)
                if keyword == _XMP_KEYWORD:
                    blocks.xmp = text
                else:
                    decoded = text.decode("utf-8" if kind == b"iTXt" else "latin-1", "replace")
                    blocks.texts.setdefault(keyword.decode("latin-1"), decoded)
        at += 12 + size
    return blocks


def _png_text(kind: bytes, content: bytes) -> tuple[bytes, bytes]:
    """Returns the keyword and the text of a chunk, as bytes in the chunk's encoding."""
    keyword, _, rest = content.partition(b"\0")
    compressed = kind == b"zTXt"
    if kind == b"zTXt":
        rest = rest[1:]
    elif kind == b"iTXt":
        compressed = rest[:1] == b"\1"
        # Flag, method, language and translated keyword precede the text.
        rest = rest[2:].partition(b"\0")[2].partition(b"\0")[2]
    return keyword, zlib.decompressobj().decompress(rest, _MOST_BYTES) if compressed else rest


def _riff_chunks(data: Buffer) -> Iterator[tuple[bytes, bytes]]:
    at = 12
    while at + 8 <= len(data):
        kind, size = struct.unpack_from("<4sI", data, at)
        if kind in (b"EXIF", b"XMP ") and size <= _MOST_BYTES:
            yield kind, bytes(data[at + 8 : at + 8 + size])
        at += 8 + size + size % 2


def _by_codec(data: bytes, name: str) -> Blocks:
    """Asks the codec of HEIC or AVIF, which opens a file without decoding it."""
    with guarded(name), Image.open(io.BytesIO(data), formats=[register(name)]) as image:
        found: dict[str, Any] = {key: image.info.get(key) for key in ("exif", "xmp")}
    return Blocks(
        **{key: value for key, value in found.items() if value and len(value) <= _MOST_BYTES}
    )
