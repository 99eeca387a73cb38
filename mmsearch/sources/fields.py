"""Cleans names and values for the store: column names for SQL filters, texts, JSON scalars."""

import re
import unicodedata
from collections.abc import Collection, Iterable

from mmsearch.records import Scalar

# The store's own columns, which metadata must not shadow.
RESERVED_NAMES = frozenset({"key", "source", "uri", "text", "width", "height", "format"})
# Column names that Lance's filter parser misreads (tested with lancedb 0.40).
SQL_WORDS = frozenset(
    {
        "all", "any", "current_date", "current_time", "current_timestamp", "exists", "false",
        "interval", "null", "some", "trim", "true",
    }
)  # fmt: skip
# Texts longer than this are not useful in filters or in table columns.
MAX_METADATA_TEXT = 1_000

_NOT_ALPHANUMERIC = re.compile(r"[\W_]+")
# Texts and quoted names in SQL; a quote inside is doubled.
_QUOTED = re.compile(r"'[^']*'|\"([^\"]*)\"|`([^`]*)`")
_CLOSED = re.compile(r"[.!?…:;,。！？]$")
_SURROGATES = re.compile(r"[\ud800-\udfff]")


def safe_column_name(name: str, taken: Collection[str]) -> str:
    """Returns a name that works unquoted in filters and is neither taken nor reserved."""
    words = _NOT_ALPHANUMERIC.sub("_", unicodedata.normalize("NFC", name).lower()).strip("_")
    safe = words or "column"
    if safe in RESERVED_NAMES or safe in SQL_WORDS or not safe[0].isalpha():
        safe = f"meta_{safe}"
    numbered, number = safe, 1
    while numbered in taken:
        number += 1
        numbered = f"{safe}_{number}"
    return numbered


def with_stored_names(where: str, columns: Collection[str]) -> str:
    """Replaces quoted headings of a table by the names of their columns in the store.

    >>> with_stored_names("`Price EUR` < 5 AND brand = 'A'", ["price_eur", "brand"])
    "price_eur < 5 AND brand = 'A'"
    """

    def replaced(found: re.Match[str]) -> str:
        heading = found[1] or found[2]
        if not heading or heading in columns:
            return found[0]
        name = safe_column_name(heading, ())
        return name if name in columns else found[0]

    return _QUOTED.sub(replaced, where)


def join_texts(texts: Iterable[str]) -> str | None:
    """Joins distinct texts such as title and description into one; None if there are none."""
    joined = ""
    for text in dict.fromkeys(clean_text(text) for text in texts):
        if not joined:
            joined = text
        elif text:
            joined += f"{'' if _CLOSED.search(joined) else '.'} {text}"
    return joined or None


def clean_text(text: str) -> str:
    """Strips a text and replaces lone surrogates, which JSON can hold and UTF-8 cannot."""
    whole = text if text.isascii() else _SURROGATES.sub("\N{REPLACEMENT CHARACTER}", text)
    return whole.strip()


def join_list(values: Iterable[object]) -> str | None:
    """Joins a list such as tags into one text, without nested values."""
    parts = (scalar_text(value) for value in values)
    return "; ".join(part for part in parts if part) or None


def scalar_text(value: object) -> str | None:
    """Formats a scalar; None for empty and nested values."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return clean_text(str(value)) or None
    return None


def json_scalar(value: object) -> Scalar:
    """Converts a JSON value to metadata; None for null and objects."""
    if isinstance(value, list):
        return join_list(value)
    if isinstance(value, str):
        return clean_text(value) or None
    if isinstance(value, float):
        # NaN and infinity cannot be compared in filters.
        return value if abs(value) < float("inf") else None
    return value if isinstance(value, int) else None
