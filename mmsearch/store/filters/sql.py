"""Pieces of the SQL that filters become, and the words for types and values in messages."""

import re
from collections.abc import Sequence
from datetime import datetime

import pyarrow as pa

from mmsearch.errors import BadFilter

NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d{1,3})?", re.IGNORECASE | re.ASCII)
EXAMPLE_CHARACTERS = 40


def number(text: str) -> str:
    """Returns a number as SQL. Raises BadFilter."""
    if not NUMBER.fullmatch(text):
        raise BadFilter(f"{text!r} is not a number")
    return text


def within(value: str, operator: str, start: str, end: str, *, instant: bool) -> str:
    """Compares with a span of time: equal is within it, less is before it, greater is after it."""
    if instant:
        return f"({value} {operator} {start})"
    if operator in ("=", "<>"):
        inside = f"({value} >= {start} AND {value} < {end})"
        return inside if operator == "=" else f"NOT {inside}"
    bound = {"<": f"< {start}", "<=": f"< {end}", ">": f">= {end}", ">=": f">= {start}"}
    return f"({value} {bound[operator]})"


def balanced(parts: Sequence[str], word: str) -> str:
    """Joins conditions in pairs: LanceDB recurses, and would overflow its stack in a long chain."""
    if len(parts) == 1:
        return parts[0]
    half = len(parts) // 2
    return f"({balanced(parts[:half], word)} {word} {balanced(parts[half:], word)})"


def type_word(kind: pa.DataType) -> str:
    """Returns the name of a column type for messages."""
    if pa.types.is_integer(kind):
        return "whole number"
    if pa.types.is_floating(kind):
        return "number"
    if pa.types.is_boolean(kind):
        return "true or false"
    if pa.types.is_timestamp(kind):
        return "date"
    return "list" if pa.types.is_list(kind) else "text"


def shown(value: object) -> str:
    """Returns a value of a column for messages, long texts cut."""
    if isinstance(value, str):
        cut = value if len(value) <= EXAMPLE_CHARACTERS else f"{value[:EXAMPLE_CHARACTERS]}…"
        return f"'{cut}'"
    if isinstance(value, datetime):
        return f"'{value:%Y-%m-%d %H:%M:%S}'".replace(" 00:00:00", "")
    return str(value).lower() if isinstance(value, bool) else f"{value}"
