"""Infers the type of a table's column from all its cells, and converts cells to it.

A column is bool, int, float or date if every non-empty cell is; else it is text. Numbers with a
decimal comma or grouped thousands are distinguished by the whole column: '1,299' may be either.
"""

import re
from collections.abc import Set
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum

from mmsearch.records import Scalar
from mmsearch.sources.fields import clean_text, join_list, scalar_text


class Kind(Enum):
    """The type of a column."""

    BOOL = "bool"
    INT = "int"
    FLOAT = "float"
    DECIMAL_COMMA = "number with a decimal comma"
    GROUPED = "number with grouped thousands"
    COMMA = "number with a comma that is one or the other"
    DATE = "date"
    TEXT = "text"
    LIST = "list"
    NESTED = "nested"


# Spellings of empty cells in columns of numbers, dates and booleans; in texts they stay.
EMPTY_WORDS = frozenset({"", "-", "na", "n/a", "#n/a", "nan", "nil", "none", "null", "\\n"})

_BOOLS = {"true": True, "false": False}
# No leading zero: '00123' is a code, not a number. At most 18 digits fit into 64 bits.
_INT = re.compile(r"[+-]?(0|[1-9]\d{0,17})", re.ASCII)
# A point or an exponent is required: 19 digits without are a code, and a float would lose some.
_FLOAT = re.compile(r"(?=.*[.eE])[+-]?((0|[1-9]\d*)(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
_COMMA = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}", re.ASCII)
_GROUPED = re.compile(r"[+-]?[1-9]\d{0,2}((,\d{3})+\.\d+|(,\d{3}){2,})", re.ASCII)
_DECIMAL_COMMA = re.compile(
    r"[+-]?((0|[1-9]\d{0,2}(\.\d{3})+|[1-9]\d*),\d+|[1-9]\d{0,2}(\.\d{3}){2,})", re.ASCII
)
_DATE = re.compile(
    r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:?\d\d)?)?", re.ASCII
)
_WITH_COMMA = (
    (_COMMA, Kind.COMMA),
    (_GROUPED, Kind.GROUPED),
    (_DECIMAL_COMMA, Kind.DECIMAL_COMMA),
)
_MAX_INT = 2**63


def kind_of_cell(cell: str) -> Kind | None:
    """Returns the kind that a cell of a CSV file looks like; None if it is empty."""
    text = cell.strip()
    if text.lower() in EMPTY_WORDS:
        return None
    if text.lower() in _BOOLS:
        return Kind.BOOL
    if _INT.fullmatch(text):
        return Kind.INT
    if _FLOAT.fullmatch(text):
        return Kind.FLOAT
    if text[-1].isdigit() and ("," in text or "." in text):
        for pattern, kind in _WITH_COMMA:
            if pattern.fullmatch(text):
                return kind
    return kind_of_text(text)


def kind_of_text(text: str) -> Kind | None:
    """Returns the kind of a text that is not a number: date or text; None if it is empty."""
    stripped = text.strip()
    if not stripped:
        return None
    return Kind.TEXT if _parse_date(stripped) is None else Kind.DATE


def kind_of_value(value: object) -> Kind | None:
    """Returns the kind of a JSON or Parquet value; None for null, NaN and empty texts."""
    if isinstance(value, bool):
        return Kind.BOOL
    if isinstance(value, int):
        return Kind.INT if abs(value) < _MAX_INT else Kind.TEXT
    if isinstance(value, float | Decimal):
        return None if _finite(float(value)) is None else Kind.FLOAT
    if isinstance(value, str):
        return kind_of_text(value)
    if isinstance(value, date):
        return Kind.DATE
    if isinstance(value, list):
        return Kind.TEXT if join_list(value) else (Kind.NESTED if value else None)
    return None if value is None else Kind.NESTED


def common_kind(kinds: Set[Kind]) -> Kind | None:
    """Returns the kind that includes all others; None for a column without values."""
    if len(kinds) <= 1 and kinds != {Kind.COMMA}:
        return next(iter(kinds), None)
    if kinds == {Kind.INT, Kind.FLOAT}:
        return Kind.FLOAT
    if Kind.DECIMAL_COMMA in kinds and kinds <= {Kind.INT, Kind.COMMA, Kind.DECIMAL_COMMA}:
        return Kind.DECIMAL_COMMA
    if Kind.GROUPED in kinds and kinds <= {Kind.INT, Kind.FLOAT, Kind.COMMA, Kind.GROUPED}:
        return Kind.GROUPED
    return Kind.TEXT


def convert(value: object, kind: Kind) -> Scalar:
    """Converts a value to its column's kind; None if it is empty. Raises ValueError."""
    if value is None or kind is Kind.NESTED:
        return None
    if kind is Kind.TEXT:
        return as_text(value)
    if isinstance(value, str):
        return _parse(value.strip(), kind)
    if kind is Kind.DATE and isinstance(value, date):
        return _as_utc(value)
    if kind is Kind.FLOAT and isinstance(value, int | float | Decimal):
        return _finite(float(value))
    if isinstance(value, bool | int):
        return value
    raise ValueError(f"{value!r} is not a {kind.value}")


def as_text(value: object) -> str | None:
    """Formats a value as text; lists are joined, nested values left out."""
    if isinstance(value, str):
        return clean_text(value) or None
    if isinstance(value, list):
        return join_list(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    return scalar_text(value)


def _parse(text: str, kind: Kind) -> Scalar:
    if text.lower() in EMPTY_WORDS:
        return None
    if kind is Kind.BOOL:
        if text.lower() not in _BOOLS:
            raise ValueError(f"'{text}' is neither true nor false")
        return _BOOLS[text.lower()]
    if kind is Kind.DATE:
        parsed = _parse_date(text)
        if parsed is None:
            raise ValueError(f"'{text}' is not a date")
        return parsed
    if kind is Kind.DECIMAL_COMMA:
        text = text.replace(".", "").replace(",", ".")
    elif kind is Kind.GROUPED:
        text = text.replace(",", "")
    return int(text) if kind is Kind.INT else _finite(float(text))


def _finite(number: float) -> float | None:
    return number if abs(number) < float("inf") else None


def _parse_date(text: str) -> datetime | None:
    if not _DATE.fullmatch(text):
        return None
    try:
        return _as_utc(datetime.fromisoformat(text))
    except (ValueError, OverflowError):
        return None


def _as_utc(value: date) -> datetime:
    """Times without a zone count as UTC: nothing says which other one they would be in."""
    if not isinstance(value, datetime):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
