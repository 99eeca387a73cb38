"""Dates in filters: the span of time that a written date means, and texts that hold dates."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from mmsearch.errors import BadFilter

Order = Literal["day", "month"]

_ISO = re.compile(r"(\d{4})(?:-(\d{1,2})(?:-(\d{1,2}))?)?")
_YEAR_FIRST = re.compile(r"(\d{4})([./])(\d{1,2})\2(\d{1,2})")
_YEAR_LAST = re.compile(r"(\d{1,2})([./-])(\d{1,2})\2(\d{4})")
_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?\s*(Z|[+-]\d\d(:?\d\d)?)?")
_NAMED = re.compile(
    r"(?:(?P<day>\d{1,2})\.?\s+)?(?P<month>[A-Za-z]{3,9})\.?\s+(?:(?P<late>\d{1,2}),?\s+)?"
    r"(?P<year>\d{4})"
)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
# The share of a column's texts that must be dates, so that it is compared as dates.
_MOSTLY = 0.9


@dataclass(frozen=True, slots=True)
class Span:
    """From start (included) to end (excluded), in UTC. An instant has an end equal to its start."""

    start: datetime
    end: datetime


def read_date(text: str, order: Order | None = None) -> Span | None:
    """Reads a date, month, year or time; None if the text is none of them.

    order: what comes first in '01/02/2025'. Raises BadFilter where this is needed and not given.
    """
    text = text.strip()
    try:
        if _TIME.fullmatch(text):
            moment = datetime.fromisoformat(text)
            moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
            return Span(moment.astimezone(UTC), moment.astimezone(UTC))
        if iso := _ISO.fullmatch(text):
            return _span(int(iso[1]), *(int(part) for part in iso.groups()[1:] if part))
        if first := _YEAR_FIRST.fullmatch(text):
            return _span(int(first[1]), int(first[3]), int(first[4]))
        if last := _YEAR_LAST.fullmatch(text):
            return _year_last(text, last, order)
        if (named := _NAMED.fullmatch(text)) and named["month"][:3].lower() in _MONTHS:
            month = _MONTHS.index(named["month"][:3].lower()) + 1
            day = named["day"] or named["late"]
            return _span(int(named["year"]), month, *([int(day)] if day else []))
    except BadFilter:
        raise
    except (ValueError, OverflowError):
        return None
    return None


def _span(year: int, month: int | None = None, day: int | None = None) -> Span:
    start = datetime(year, month or 1, day or 1, tzinfo=UTC)
    if day is not None:
        return Span(start, start + timedelta(days=1))
    following = (year + 1, 1) if month in (None, 12) else (year, month + 1)
    return Span(start, datetime(*following, 1, tzinfo=UTC))


def _year_last(text: str, found: re.Match[str], order: Order | None) -> Span:
    one, other, year = int(found[1]), int(found[3]), int(found[4])
    order = order or _order_of(one, other, found[2])
    if order is None:
        day_first = datetime(year, other, one, tzinfo=UTC)
        month_first = datetime(year, one, other, tzinfo=UTC)
        raise BadFilter(
            f"'{text}' may be {day_first:%Y-%m-%d} or {month_first:%Y-%m-%d}; write one of these"
        )
    return _span(year, other, one) if order == "day" else _span(year, one, other)


def _order_of(one: int, other: int, separator: str) -> Order | None:
    """Returns which of two numbers is the day or month; months are never first before a point."""
    if one > 12 or separator == "." or one == other:
        return "day"
    return "month" if other > 12 else None


@dataclass(frozen=True, slots=True)
class WrittenDates:
    """A column of texts such as '12/31/2024'. order: what comes first; None if both are possible.

    separator: between the parts of a date.
    """

    separator: str
    order: Order | None

    def sortable(self, column: str) -> str:
        """Returns SQL for the date of a cell as '20241231'."""
        day, month = (1, 2) if self.order == "day" else (2, 1)
        parts = [f"split_part({column}, '{self.separator}', {place})" for place in (3, month, day)]
        return f"concat({parts[0]}, lpad({parts[1]}, 2, '0'), lpad({parts[2]}, 2, '0'))"

    def is_date(self, column: str) -> str:
        """Returns SQL for whether a cell is a date."""
        mark = re.escape(self.separator)
        return rf"regexp_like({column}, '^\d{{1,2}}{mark}\d{{1,2}}{mark}\d{{4}}$')"


def written_dates(texts: Iterable[str]) -> WrittenDates | None:
    """Recognises a column of dates whose year comes last, which do not sort as texts do."""
    known = list(texts)
    found = [match for text in known if (match := _YEAR_LAST.fullmatch(text.strip()))]
    if not found or len(found) < _MOSTLY * len(known):
        return None
    separators = {match[2] for match in found}
    orders = {
        order
        for match in found
        if match[1] != match[3]
        and (order := _order_of(int(match[1]), int(match[3]), match[2])) is not None
    }
    if len(separators) > 1 or len(orders) > 1:
        return None
    return WrittenDates(separators.pop(), orders.pop() if orders else None)
