"""Text files: captions and documents, in UTF-8 or in what older systems wrote."""

import codecs
from pathlib import Path

from mmsearch.errors import UnreadableMedia
from mmsearch.media.bounds import MediaBounds, one_line, read_bytes
from mmsearch.media.decode import DEFAULT_BOUNDS

# UTF-32 first: its little-endian mark begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_LEGACY = "cp1252"
# In Western European prose about 1 letter in 20 lies outside ASCII; in Greek or Cyrillic most do.
_MAX_LEGACY_SHARE = 0.3
_SHORT = 8
_PRINTABLE_CONTROLS = "\t\n\r\f\v\x1a\x1b\x85"


def read_text(path: Path, *, bounds: MediaBounds = DEFAULT_BOUNDS) -> str:
    """The file's text with '\\n' line ends.

    UTF-8, UTF-16 and UTF-32 by their byte order mark, UTF-8 without one, else Windows-1252 where
    that is plausible. Raises UnreadableMedia for an empty file, binary content or any other
    encoding, and MediaTooLarge over `bounds.max_text_bytes`.
    """
    data = read_bytes(path, max_bytes=bounds.max_text_bytes, setting="max_text_bytes")
    text = _decode(data, one_line(path))
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _decode(data: bytes, where: str) -> str:
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), None)
    try:
        text = data.decode(encoding or "utf-8")
    except UnicodeDecodeError as fault:
        if encoding is not None:
            raise UnreadableMedia(
                f"{where}: begins as {encoding} but is not, at byte {fault.start}; save it as UTF-8"
            ) from fault
        text = _decode_legacy(data, where)
    if any(ord(c) < 32 and c not in _PRINTABLE_CONTROLS for c in text):
        raise _binary(where)
    return text


def _decode_legacy(data: bytes, where: str) -> str:
    if 0 in data:
        raise _binary(where)
    try:
        text = data.decode(_LEGACY)
    except UnicodeDecodeError as fault:
        raise _unknown_encoding(where) from fault
    outside = sum(byte > 127 for byte in data)
    if outside > _SHORT and outside > _MAX_LEGACY_SHARE * len(data):
        raise _unknown_encoding(where)
    return text


def _binary(where: str) -> UnreadableMedia:
    return UnreadableMedia(f"{where}: binary content, not text; exclude it or save it as UTF-8")


def _unknown_encoding(where: str) -> UnreadableMedia:
    return UnreadableMedia(
        f"{where}: neither UTF-8 nor Windows-1252; save it as UTF-8 (iconv -f ... -t utf-8)"
    )
