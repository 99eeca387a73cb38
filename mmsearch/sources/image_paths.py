"""Finds the image that a table's cell names: a file beside the table, or an image elsewhere.

Cells are untrusted: outside the table's folder they can refer to images only.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from mmsearch.errors import InputError
from mmsearch.media import describe_raw, raw_format_of, sniff
from mmsearch.records import printable_path
from mmsearch.sources.captions import IMAGE_SUFFIXES, read_head, suffix

_URL = re.compile(r"[a-z][a-z0-9+.-]+:(//|\w*/?\w*[;,])", re.IGNORECASE)
# What follows the path in exports of web shops, as in 'apple.jpg?v=1'.
_QUERY = re.compile("[?#]")
_SHOWN = 80
_TIFF_SUFFIXES = (".tif", ".tiff")


def find_image(cell: str, folder: Path) -> Path:
    """Returns the existing file. Raises InputError with the reason if there is none."""
    if is_url(cell):
        raise InputError(
            f"image '{_short(cell)}' is a URL; mmsearch does not download pictures: fetch it first"
        )
    for path in _candidates(cell, folder):
        if os.path.isfile(path):  # noqa: PTH113  cells may hold NUL, which Path.is_file lets raise
            if not _is_within(path, folder) and not is_image(path):
                raise InputError(
                    f"image '{_short(cell)}' lies outside the table's folder and is not a picture"
                )
            return Path(path)
    raise InputError(f"image '{_short(cell)}' does not exist")


def refuse_raw(cell: str, path: Path) -> None:
    """Raises InputError for a camera raw photo, also where the row was indexed by its preview."""
    kind = suffix(path.name)
    if kind in IMAGE_SUFFIXES and kind not in _TIFF_SUFFIXES:
        return
    raw = raw_format_of(path)
    if raw is not None:
        raise InputError(
            f"image '{_short(cell)}' is {describe_raw(raw)}, which mmsearch does not read; "
            "name its JPEG instead"
        )


def is_url(cell: str) -> bool:
    """Whether a cell is a URL, other than one of a local file."""
    return _URL.match(cell) is not None and not _is_file_url(cell)


def looks_like_image(cell: str) -> bool:
    """Whether a cell may be the path or URL of an image, by its extension."""
    path = _QUERY.split(cell, maxsplit=1)[0].replace("\\", "/")
    return "\n" not in cell and not IMAGE_SUFFIXES.isdisjoint((suffix(path), suffix(cell)))


def _candidates(cell: str, folder: Path) -> Iterator[str]:
    """Yields paths to try: as given, in other spellings, and relative to the folder."""
    path = cell.replace("\\", "/")
    if _is_file_url(cell):
        path = urlsplit(path).path
    bare = _QUERY.split(path, maxsplit=1)[0]
    spellings = dict.fromkeys((cell, path, bare, unquote(path), unquote(bare)))
    for spelling in spellings:
        yield os.path.join(folder, spelling)  # noqa: PTH118
    for spelling in spellings:
        if spelling.startswith("/"):
            yield os.path.join(folder, spelling.lstrip("/"))  # noqa: PTH118


def _is_file_url(cell: str) -> bool:
    return cell[:7].lower() == "file://"


def _is_within(path: str, folder: Path) -> bool:
    return os.path.normpath(path).startswith(os.path.join(folder, ""))  # noqa: PTH118


def is_image(path: str) -> bool:
    """Whether a file is an image by its first bytes."""
    try:
        return sniff(read_head(path)) is not None
    except OSError:
        return False


def _short(cell: str) -> str:
    shown = printable_path(" ".join(cell.split()))
    return shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}…"
