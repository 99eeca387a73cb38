"""A table file's bytes and text: unpacked if gzipped, decoded as what they are."""

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from mmsearch.errors import InputError
from mmsearch.media.encodings import LEGACY, legacy_text, marked_encoding
from mmsearch.records import printable_path

# Lines outside ASCII that are looked at to tell a legacy encoding from UTF-8 with a few bad rows.
_TELLING_LINES = 2_000


@contextmanager
def table_bytes(path: Path) -> Iterator[BinaryIO]:
    """The unpacked file. Whatever goes wrong while it is read becomes an InputError."""
    try:
        packed = path.name.lower().endswith(".gz")
        with gzip.open(path) if packed else path.open("rb") as file:
            yield cast(BinaryIO, file)
    except FileNotFoundError as error:
        raise InputError(f"{printable_path(path)} is not there; check its path") from error
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(
            f"{printable_path(path)} cannot be read: {error}; check it, or save it again"
        ) from error


def find_encoding(path: Path) -> str:
    """'utf-8-sig', 'utf-16', 'utf-32' or 'cp1252'. Raises InputError if it is none of them.

    A file that is UTF-8 but for a few lines counts as UTF-8: those lines fail, not the file.
    """
    telling: list[bytes] = []
    with table_bytes(path) as file:
        start = file.read(4)
        marked = marked_encoding(start)
        if marked:
            return marked
        file.seek(0)
        for line in file:
            if not line.isascii():
                telling.append(line)
                if len(telling) == _TELLING_LINES:
                    break
    good = sum(_is_utf8(line) for line in telling)
    if 2 * good >= len(telling):
        return "utf-8-sig"
    if legacy_text(b"".join(telling)) is None:
        raise InputError(
            f"{printable_path(path)} is neither UTF-8, UTF-16 nor Windows-1252; save it as UTF-8 "
            "(iconv -f ENCODING -t utf-8)"
        )
    return LEGACY


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
