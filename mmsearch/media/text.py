"""Reads text files, captions and documents, in UTF-8 and older encodings."""

from pathlib import Path

from mmsearch.errors import UnreadableMedia
from mmsearch.media.bounds import MediaBounds, read_bytes, shown_path
from mmsearch.media.decode import DEFAULT_BOUNDS
from mmsearch.media.encodings import legacy_encoding, marked_encoding, unmarked_utf16

_PRINTABLE_CONTROLS = "\t\n\r\f\v\x1a\x1b\x85"


def read_text(path: Path, *, bounds: MediaBounds = DEFAULT_BOUNDS) -> str:
    r"""Reads a text file, with '\n' as line ends.

    UTF-8, UTF-16 and UTF-32 with a byte order mark, UTF-8 and UTF-16 without one, else the
    likeliest older encoding. Raises UnreadableMedia for an empty file and binary content, and
    MediaTooLarge over `bounds.max_text_bytes`.
    """
    data = read_bytes(path, max_bytes=bounds.max_text_bytes, setting="max_text_bytes")
    text = _decode(data, shown_path(path))
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _decode(data: bytes, where: str) -> str:
    encoding = marked_encoding(data) or unmarked_utf16(data)
    try:
        text = data.decode(encoding or "utf-8")
    except UnicodeDecodeError as fault:
        if marked_encoding(data):
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
    encoding = legacy_encoding(data)
    try:
        if encoding is not None:
            return data.decode(encoding)
    except UnicodeDecodeError:
        # Only its start was examined.
        pass
    raise UnreadableMedia(
        f"{where}: its text encoding is not recognised; save it as UTF-8 (iconv -f ... -t utf-8)"
    )


def _binary(where: str) -> UnreadableMedia:
    return UnreadableMedia(f"{where}: binary content, not text; exclude it or save it as UTF-8")
