"""The bytes of a table file, decompressed if gzipped, and their text encoding."""

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from mmsearch.errors import InputError
from mmsearch.media.encodings import legacy_encoding, marked_encoding, unmarked_utf16
from mmsearch.records import printable_path

# Non-ASCII lines that are examined to tell a legacy encoding from UTF-8 with a few bad rows.
_EXAMINED_LINES = 2_000
_START_BYTES = 4_096


@contextmanager
def table_bytes(path: Path) -> Iterator[BinaryIO]:
    """Opens a file, decompressed. Errors while it is read become InputError."""
    try:
        packed = path.name.lower().endswith(".gz")
        with gzip.open(path) if packed else path.open("rb") as file:
            yield cast(BinaryIO, file)
    except FileNotFoundError as error:
        raise InputError(f"{printable_path(path)} does not exist; check its path") from error
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(
            f"{printable_path(path)} cannot be read: {error}; check it, or save it again"
        ) from error


def find_encoding(path: Path) -> str:
    """Detects the encoding, such as 'utf-8-sig', 'utf-16-le' or 'cp1252'. Raises InputError.

    A file that is UTF-8 but for a few lines counts as UTF-8: those lines fail, not the file.
    """
    examined: list[bytes] = []
    with table_bytes(path) as file:
        start = file.read(_START_BYTES)
        unicode = marked_encoding(start) or unmarked_utf16(start)
        if unicode:
            return unicode
        file.seek(0)
        for line in file:
            if not line.isascii():
                examined.append(line)
                if len(examined) == _EXAMINED_LINES:
                    break
    good = sum(_is_utf8(line) for line in examined)
    if 2 * good >= len(examined):
        return "utf-8-sig"
    encoding = legacy_encoding(b"".join(examined))
    if encoding is None:
        raise InputError(
            f"the text encoding of {printable_path(path)} is not recognised; save it as UTF-8 "
            "(iconv -f ENCODING -t utf-8)"
        )
    return encoding


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
