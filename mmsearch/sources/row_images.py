"""The images of a table's row: several in a cell, in numbered columns, in lists and objects."""

import ast
import json
import re
from collections.abc import Iterator

from mmsearch.sources.fields import clean_text
from mmsearch.sources.image_paths import is_url, looks_like_image

# The fields of an object that say where an image is, as shops' APIs write it.
_FIELDS = ("path", "file_name", "filename", "file", "src", "url", "link", "href", "large", "hi_res")
_SEPARATORS = re.compile(r"([,;|\n])")
_BEFORE_URL = re.compile(r"\s*[,;|\s]\s*(?=https?://)", re.IGNORECASE)
# A list in a cell is parsed up to this length.
_MAX_LIST = 100_000


def image_cells(value: object) -> list[str]:
    """Returns the paths and URLs that a cell names, without repeats."""
    return list(dict.fromkeys(_named(value)))


def _named(value: object) -> Iterator[str]:
    if isinstance(value, str):
        text = clean_text(value)
        if not text:
            return
        listed = _parsed_list(text)
        if listed is not None:
            yield from _named(listed)
        else:
            yield from _split(text)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from [clean_text(part)] if isinstance(part, str) else _named(part)
    elif isinstance(value, dict):
        fields = {str(name).lower(): field for name, field in value.items()}
        named = (fields.get(name) for name in _FIELDS)
        yield from next(([text] for text in named if isinstance(text, str) and text), [])
    elif isinstance(value, int) and not isinstance(value, bool):
        yield str(value)


def _parsed_list(text: str) -> list[object] | None:
    """Parses a list in JSON or as Python writes it; None if it is none."""
    if not (text.startswith("[") and text.endswith("]") and len(text) <= _MAX_LIST):
        return None
    for parse in (json.loads, ast.literal_eval):
        try:
            parsed = parse(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        if isinstance(parsed, list):
            return parsed
    return None


def _split(text: str) -> Iterator[str]:
    """Splits a cell where a part ends like an image; one name may hold a separator: 'a, b.jpg'."""
    if is_url(text):
        yield from (part.strip(" \t,;|") for part in _BEFORE_URL.split(text))
        return
    if not _SEPARATORS.search(text):
        yield text
        return
    gathered = ""
    for piece in _SEPARATORS.split(text):
        if not gathered and (_SEPARATORS.fullmatch(piece) or not piece.strip()):
            continue
        gathered += piece
        if looks_like_image(gathered.strip()):
            yield gathered.strip()
            gathered = ""
    rest = gathered.strip(" \t\n,;|")
    if rest:
        yield rest
