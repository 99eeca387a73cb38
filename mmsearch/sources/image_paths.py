"""How a table's cell names an image: as a path in several spellings, or as a URL."""

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from mmsearch.errors import InputError
from mmsearch.media import describe_raw, raw_format_of, sniff
from mmsearch.records import printable_path
from mmsearch.sources.captions import IMAGE_SUFFIXES, read_head, suffix

_URL = re.compile(r"[a-z][a-z0-9+.-]+:(//|\w*/?\w*[;,])", re.IGNORECASE)
# What follows the path in exports of web shops, as in 'apple.jpg?v=1'.
_QUERY = re.compile("[?#]")
_SHOWN_LENGTH = 80
_TIFF_SUFFIXES = (".tif", ".tiff")


def refuse_raw(cell: str, path: Path) -> None:
    """Raises InputError for a camera raw photo, also where the row was indexed by its preview."""
    kind = suffix(path.name)
    if kind in IMAGE_SUFFIXES and kind not in _TIFF_SUFFIXES:
        return
    raw = raw_format_of(path)
    if raw is not None:
        raise InputError(
            f"image '{shortened(cell)}' is {describe_raw(raw)}, which mmsearch does not read; "
            "name its JPEG instead"
        )


def is_url(cell: str) -> bool:
    """Whether a cell is a URL, other than one of a local file."""
    return _URL.match(cell) is not None and not _is_file_url(cell)


def looks_like_image(cell: str) -> bool:
    """Whether a cell may be the path or URL of an image, by its extension."""
    path = _QUERY.split(cell, maxsplit=1)[0].replace("\\", "/")
    return "\n" not in cell and not IMAGE_SUFFIXES.isdisjoint((suffix(path), suffix(cell)))


def spellings(cell: str) -> list[str]:
    """Returns the paths that a cell may mean: as given, with slashes, without query or escapes."""
    path = cell.replace("\\", "/")
    if _is_file_url(cell):
        path = urlsplit(path).path
    bare = _QUERY.split(path, maxsplit=1)[0]
    return list(dict.fromkeys((cell, path, bare, unquote(path), unquote(bare))))


def _is_file_url(cell: str) -> bool:
    return cell[:7].lower() == "file://"


def is_image(path: str) -> bool:
    """Whether a file is an image by its first bytes."""
    try:
        return sniff(read_head(path)) is not None
    except OSError:
        return False


def shortened(cell: str) -> str:
    """Returns a cell in one line, cut where it is long, for messages."""
    shown = printable_path(" ".join(cell.split()))
    return shown if len(shown) <= _SHOWN_LENGTH else f"{shown[:_SHOWN_LENGTH]}…"
