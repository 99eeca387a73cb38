"""Titles of hits and formatting of their values, for tables, galleries and alt texts."""

import math
from collections.abc import Mapping
from datetime import datetime

from mmsearch.records import Hit, Part, Scalar, real_path
from mmsearch.text import first_line

# mmsearch.dedup and its commands import them from here.
from mmsearch.text import one_line as one_line
from mmsearch.text import visible as visible

TITLE_COLUMNS = ("title", "name")
# What a product is chosen by, first in tables and on cards.
PRODUCT_COLUMNS = ("price", "brand", "category")


def title_of(hit: Hit) -> str:
    """Returns a hit's title or name, else its first line of text, else its file name or key."""
    lowered = {name.lower(): value for name, value in hit.record.items()}
    for column in TITLE_COLUMNS:
        if title := one_line(str(lowered.get(column) or "")):
            return title
    if first := first_line(text_of(hit.record)):
        return first
    return visible(real_path(hit.uri).name or hit.key)


def part_text(part: Part) -> str:
    """Returns 'image 3 of 5'."""
    return f"{part.kind} {part.number} of {part.of:,}"


def text_of(record: Mapping[str, Scalar]) -> str:
    """Returns the document, the caption or the joined text columns; '' without any."""
    text = record.get("text")
    return text if isinstance(text, str) else ""


def value_text(value: Scalar) -> str:
    """Formats a metadata value for display: 4.5, yes, 2026-03-01; '' for None and NaN."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d}" if _is_midnight(value) else f"{value:%Y-%m-%d %H:%M}"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _is_midnight(value: datetime) -> bool:
    return (value.hour, value.minute, value.second, value.microsecond) == (0, 0, 0, 0)
