"""The bytes of a table file, decompressed from .gz or .zst, and their text encoding."""

import gzip
import io
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
        with _opened(path) as file:
            yield file
    except FileNotFoundError as error:
        raise InputError(f"{printable_path(path)} does not exist; check its path") from error
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(
            f"{printable_path(path)} cannot be read: {error}; check it, or save it again"
        ) from error


def _opened(path: Path) -> BinaryIO:
    name = path.name.lower()
    if name.endswith(".gz"):
        return cast(BinaryIO, gzip.open(path))
    if name.endswith(".zst"):
        # pyarrow takes 0.2 s to import, and other tables do without it.
        import pyarrow as pa

        stream = pa.CompressedInputStream(pa.OSFile(str(path)), "zstd")
        return cast(BinaryIO, io.BufferedReader(stream))
    return path.open("rb")


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
    with table_bytes(path) as file:
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
