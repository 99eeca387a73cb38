"""What a hit is called and how its values read, in tables, galleries and alt texts alike."""

import math
import unicodedata
from collections.abc import Mapping
from datetime import datetime

from mmsearch.records import Hit, Scalar, real_path

TITLE_COLUMNS = ("title", "name")

# Right-to-left overrides and isolates can make 'gpj.exe' read as 'exe.jpg'.
_REORDERING = {*range(0x202A, 0x202F), *range(0x2066, 0x206A)}


def title_of(hit: Hit) -> str:
    """record['title'] or ['name'], else the first line of ['text'], else the file's name or key."""
    lowered = {name.lower(): value for name, value in hit.record.items()}
    for column in TITLE_COLUMNS:
        if title := one_line(str(lowered.get(column) or "")):
            return title
    if first := first_line(text_of(hit.record)):
        return first
    return visible(real_path(hit.uri).name or hit.key)


def text_of(record: Mapping[str, Scalar]) -> str:
    """The document, the caption or the joined text columns; '' where there are none."""
    text = record.get("text")
    return text if isinstance(text, str) else ""


def first_line(text: str) -> str:
    """The first line that says something, without a Markdown heading's marks."""
    lines = (one_line(line).lstrip("# ") for line in text.splitlines())
    return next((line for line in lines if line), "")


def one_line(text: str) -> str:
    """Without line breaks and runs of space, and `visible`."""
    return visible(" ".join(text.split()))


def visible(text: str) -> str:
    """Control and reordering characters and lone surrogates are spelt out: '\\x1b', '\\u202e'.

    A catalog is data from elsewhere: printed raw, it could move the cursor or hide what it says.
    """
    return "".join(_spelt(char) if _is_unseen(char) else char for char in text)


def value_text(value: Scalar) -> str:
    """A metadata value as people read it: 4.5, yes, 2026-03-01; '' for None and NaN."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d}" if _is_midnight(value) else f"{value:%Y-%m-%d %H:%M}"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _is_midnight(value: datetime) -> bool:
    return (value.hour, value.minute, value.second, value.microsecond) == (0, 0, 0, 0)


def _is_unseen(char: str) -> bool:
    return unicodedata.category(char) in ("Cc", "Cs") or ord(char) in _REORDERING


def _spelt(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")
