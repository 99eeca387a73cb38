"""Infers the type of a table's column from all its cells, and converts cells to it.

A column is bool, int, float or date if every non-empty cell is, but for a few odd ones; else it is
text. Decimal commas, grouped thousands, the order of dates and the language of booleans are
distinguished by the whole column: '1,299' and '01/02/2025' may be either.
"""

import re
from collections.abc import Set
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from functools import lru_cache

from mmsearch.records import Scalar
from mmsearch.sources.fields import clean_text, join_list, scalar_text
from mmsearch.sources.money import split_price


class Kind(Enum):
    """The type of a column."""

    BOOL = "bool"
    INT = "int"
    FLOAT = "float"
    DECIMAL_COMMA = "number with a decimal comma"
    GROUPED = "number with grouped thousands"
    COMMA = "number with a comma that is one or the other"
    POINT = "number with a point that is one or the other"
    DATE = "date"
    DAY_FIRST = "date with the day first"
    MONTH_FIRST = "date with the month first"
    EITHER_FIRST = "date with the day or the month first"
    YES_NO = "yes or no"
    TEXT = "text"
    LIST = "list"
    NESTED = "nested"


NUMBERS = frozenset({Kind.INT, Kind.FLOAT, Kind.DECIMAL_COMMA, Kind.GROUPED})
DATES = frozenset({Kind.DATE, Kind.DAY_FIRST, Kind.MONTH_FIRST})

# Spellings of empty cells in columns of numbers, dates and booleans; in texts they stay.
EMPTY_WORDS = frozenset({"", "-", "na", "n/a", "#n/a", "nan", "nil", "none", "null", "\\n"})

_BOOLS = {"true": True, "false": False}
# A column of exactly one such pair holds booleans.
_PAIRS = (
    "yes no", "y n", "ja nein", "ja nee", "ja nej", "ja nei", "j n", "oui non", "sí no", "si no",
    "sì no", "sim não", "sim nao", "da ne", "da nu", "tak nie", "áno nie", "ano ne", "igen nem",
    "kyllä ei", "joo ei", "jah ei", "taip ne", "jā nē", "evet hayır", "ναι όχι", "да нет", "да не",
    "так ні", "wahr falsch", "vrai faux", "vero falso", "verdadero falso", "verdadeiro falso",
)  # fmt: skip
PAIRS = frozenset(frozenset(pair.split()) for pair in _PAIRS)
_YES_NO = {word: i == 0 for pair in _PAIRS for i, word in enumerate(pair.split())}
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
_POINT = re.compile(r"[+-]?[1-9]\d{0,2}\.\d{3}", re.ASCII)
_OTHER_DATE = re.compile(
    r"(\d{1,4})([./-])(\d{1,2})\2(\d{1,4})"
    r"(?:,?[T ]\s*(\d{1,2}):(\d\d)(?::(\d\d))?(?:\.\d{1,9})?\s*([ap]m)?)?",
    re.ASCII | re.IGNORECASE,
)
_MAX_INT = 2**63
_ORDERS = (Kind.DAY_FIRST, Kind.MONTH_FIRST)
_WITH_DECIMAL_COMMA = frozenset({Kind.INT, Kind.COMMA, Kind.POINT, Kind.DECIMAL_COMMA})
_WITH_GROUPS = frozenset({Kind.INT, Kind.FLOAT, Kind.POINT, Kind.COMMA, Kind.GROUPED})


def kind_of_cell(cell: str) -> Kind | None:
    """Returns the kind that a cell of a CSV file looks like; None if it is empty."""
    text = cell.strip()
    if text.lower() in EMPTY_WORDS:
        return None
    if text.lower() in _BOOLS:
        return Kind.BOOL
    return _kind_of_number(text) or kind_of_text(text)


def kind_of_text(text: str) -> Kind | None:
    """Returns the kind of a text that is not a bare number; None if it is empty."""
    stripped = text.strip()
    if not stripped:
        return None
    if stripped.lower() in _YES_NO:
        return Kind.YES_NO
    if stripped[0].isdigit():
        if _parse_date(stripped) is not None:
            return Kind.DATE
        orders = [kind for kind in _ORDERS if _parse_ordered(stripped, kind) is not None]
        if orders:
            return orders[0] if len(orders) == 1 else Kind.EITHER_FIRST
    number, currency = split_price(stripped)
    grouped = number != stripped and _kind_of_number(number)
    if grouped and (currency or grouped is not Kind.INT):
        return grouped
    return Kind.GROUPED if grouped else Kind.TEXT


def _kind_of_number(text: str) -> Kind | None:
    if _INT.fullmatch(text):
        return Kind.INT
    if _FLOAT.fullmatch(text):
        return Kind.POINT if _POINT.fullmatch(text) else Kind.FLOAT
    if text[-1:].isdigit() and ("," in text or "." in text):
        for pattern, kind in _WITH_COMMA:
            if pattern.fullmatch(text):
                return kind
    return None


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


def common_kind(kinds: Set[Kind], *, comma: Kind | None = None) -> Kind | None:
    """Returns the kind that includes all others; None for a column without values.

    comma: what commas are where the column does not show it: DECIMAL_COMMA, GROUPED or unknown.
    """
    if not kinds:
        return None
    if kinds <= {Kind.INT, Kind.COMMA, Kind.POINT} and comma is Kind.DECIMAL_COMMA:
        return Kind.INT if kinds == {Kind.INT} else Kind.DECIMAL_COMMA
    if kinds <= {Kind.INT, Kind.FLOAT, Kind.POINT}:
        return Kind.INT if kinds == {Kind.INT} else Kind.FLOAT
    if kinds == {Kind.COMMA}:
        return comma or Kind.TEXT
    if Kind.DECIMAL_COMMA in kinds and kinds <= _WITH_DECIMAL_COMMA:
        return Kind.DECIMAL_COMMA
    # Whole numbers beside '1,299' make it one with grouped thousands.
    if Kind.DECIMAL_COMMA not in kinds and kinds <= _WITH_GROUPS:
        return Kind.GROUPED
    if kinds <= {Kind.DATE, Kind.DAY_FIRST, Kind.EITHER_FIRST}:
        return Kind.DATE if kinds == {Kind.DATE} else Kind.DAY_FIRST
    if kinds <= {Kind.DATE, Kind.MONTH_FIRST, Kind.EITHER_FIRST}:
        return Kind.MONTH_FIRST
    return next(iter(kinds)) if len(kinds) == 1 else Kind.TEXT


def convert(value: object, kind: Kind) -> Scalar:
    """Converts a value to its column's kind; None if it is empty. Raises ValueError."""
    if isinstance(value, str):
        if kind is Kind.TEXT:
            return clean_text(value) or None
        try:
            # Most cells need no more; both read underscores too, which no such column has.
            if kind is Kind.INT:
                return int(value)
            if kind is Kind.FLOAT:
                return _finite(float(value))
        except ValueError:
            pass
        return None if kind is Kind.NESTED else _parse(value.strip(), kind)
    if value is None or kind is Kind.NESTED:
        return None
    if kind is Kind.TEXT:
        return as_text(value)
    if kind in DATES and isinstance(value, date):
        return _as_utc(value)
    if kind in NUMBERS - {Kind.INT} and isinstance(value, int | float | Decimal):
        return _finite(float(value))
    if kind in (Kind.BOOL, Kind.INT) and isinstance(value, bool | int):
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


# Dates and booleans repeat.
@lru_cache(maxsize=4_096)
def _parse(text: str, kind: Kind) -> Scalar:
    word = text.lower()
    if word in EMPTY_WORDS:
        return None
    if kind is Kind.BOOL:
        if word not in _BOOLS and word not in _YES_NO:
            raise ValueError(f"'{text}' is neither true nor false")
        return _BOOLS.get(word, _YES_NO.get(word))
    if kind in DATES:
        parsed = _parse_date(text) or (None if kind is Kind.DATE else _parse_ordered(text, kind))
        if parsed is None:
            raise ValueError(f"'{text}' is not a date")
        return parsed
    number, _ = split_price(text)
    if kind is Kind.DECIMAL_COMMA:
        number = number.replace(".", "").replace(",", ".")
    elif kind is Kind.GROUPED:
        number = number.replace(",", "")
    return int(number) if kind is Kind.INT else _finite(float(number))


def _finite(number: float) -> float | None:
    return number if abs(number) < float("inf") else None


def _parse_date(text: str) -> datetime | None:
    if not _DATE.fullmatch(text):
        return None
    try:
        return _as_utc(datetime.fromisoformat(text))
    except (ValueError, OverflowError):
        return None


def _parse_ordered(text: str, order: Kind) -> datetime | None:
    """Parses '31.12.2025' or '12/31/2025 11:59 PM'; with the year first, the month is second."""
    found = _OTHER_DATE.fullmatch(text)
    if found is None:
        return None
    first, second, third = int(found[1]), int(found[3]), int(found[4])
    if len(found[1]) == 4 and len(found[4]) <= 2:
        year, month, day = first, second, third
    elif len(found[4]) == 4 and len(found[1]) <= 2:
        day, month = (first, second) if order is Kind.DAY_FIRST else (second, first)
        year = third
    else:
        return None
    hour = int(found[5] or 0)
    if found[8]:
        hour = hour % 12 + (12 if found[8].lower() == "pm" else 0)
    try:
        return datetime(year, month, day, hour, int(found[6] or 0), int(found[7] or 0), tzinfo=UTC)
    except ValueError:
        return None


def _as_utc(value: date) -> datetime:
    """Times without a zone count as UTC: nothing says which other one they would be in."""
    if not isinstance(value, datetime):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
