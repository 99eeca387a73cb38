"""A table file's bytes and text: unpacked if gzipped, decoded as what they are."""

import codecs
import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from mmsearch.errors import InputError
from mmsearch.records import printable_path

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_LEGACY = "cp1252"
# Lines outside ASCII that are looked at to tell a legacy encoding from UTF-8 with a few bad rows.
_TELLING_LINES = 2_000
# Western European prose has about 1 letter in 20 outside ASCII, other scripts most of them.
_MAX_LEGACY_SHARE = 0.3


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
        marked = next((name for mark, name in _MARKS if start.startswith(mark)), None)
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
    _require_legacy(b"".join(telling), path)
    return _LEGACY


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _require_legacy(sample: bytes, path: Path) -> None:
    outside = sum(byte > 127 for byte in sample)
    try:
        sample.decode(_LEGACY)
        plausible = outside <= _MAX_LEGACY_SHARE * len(sample) and 0 not in sample
    except UnicodeDecodeError:
        plausible = False
    if not plausible:
        raise InputError(
            f"{printable_path(path)} is neither UTF-8, UTF-16 nor Windows-1252; save it as UTF-8 "
            "(iconv -f ENCODING -t utf-8)"
        )
