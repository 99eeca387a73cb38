"""Finds the image that a table's cell names: a file beside the table, or an image elsewhere.

Cells are untrusted: outside the table's folder they can refer to images only.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from mmsearch.errors import InputError
from mmsearch.media import describe_raw, raw_format_of, sniff
from mmsearch.records import printable_path
from mmsearch.sources.captions import IMAGE_SUFFIXES, read_head, suffix

_URL = re.compile(r"[a-z][a-z0-9+.-]+:(//|\w*/?\w*[;,])", re.IGNORECASE)
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
    """Whether a cell is a URL."""
    return _URL.match(cell) is not None


def looks_like_image(cell: str) -> bool:
    """Whether a cell may be the path or URL of an image, by its extension."""
    path = cell.split("?", 1)[0] if is_url(cell) else cell
    return suffix(path.replace("\\", "/")) in IMAGE_SUFFIXES and "\n" not in cell


def _candidates(cell: str, folder: Path) -> Iterator[str]:
    """Yields paths to try: as given, with Windows separators, and relative to the folder."""
    spellings = dict.fromkeys((cell, cell.replace("\\", "/")))
    for spelling in spellings:
        yield os.path.join(folder, spelling)  # noqa: PTH118
    for spelling in spellings:
        if spelling.startswith("/"):
            yield os.path.join(folder, spelling.lstrip("/"))  # noqa: PTH118


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
