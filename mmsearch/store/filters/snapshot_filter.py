"""Evaluates compiled filters over a snapshot's columns, so that usual ones do without LanceDB.

Covers comparisons of a column with values, joined by AND, OR and NOT; for all others `matching` has
no answer. A condition is tested once for each distinct value of its column.
"""

import math
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from sqlglot import exp

from mmsearch.errors import BadFilter
from mmsearch.store.filters.syntax import parse

# With more distinct values LanceDB is faster, although it takes a second to import.
MOST_VALUES = 300_000
_COMPARISONS: dict[type[exp.Expr], Callable[[Any, Any], bool]] = {
    exp.EQ: operator.eq, exp.NEQ: operator.ne, exp.LT: operator.lt, exp.LTE: operator.le,
    exp.GT: operator.gt, exp.GTE: operator.ge,
}  # fmt: skip


class _NotCovered(Exception):
    """LanceDB has to evaluate the filter."""


@dataclass(frozen=True, slots=True)
class _Truth:
    """SQL's three values by row, each bool (n,): true, false, or neither, which is null."""

    true: NDArray[np.bool_]
    false: NDArray[np.bool_]


def matching(sql: str, rows: pa.Table) -> NDArray[np.bool_] | None:
    """Returns which rows match a compiled filter, bool (n,); None where only LanceDB can tell."""
    try:
        return _truth(parse(sql, rows.column_names), rows).true
    except (_NotCovered, BadFilter):
        return None


def _truth(node: exp.Expr, rows: pa.Table) -> _Truth:
    if isinstance(node, exp.Paren):
        return _truth(node.this, rows)
    if isinstance(node, exp.Not):
        negated = _truth(node.this, rows)
        return _Truth(negated.false, negated.true)
    if isinstance(node, exp.And | exp.Or):
        one, other = _truth(node.this, rows), _truth(node.expression, rows)
        if isinstance(node, exp.And):
            return _Truth(one.true & other.true, one.false | other.false)
        return _Truth(one.true | other.true, one.false & other.false)
    if isinstance(node, exp.Is) and isinstance(node.expression, exp.Null):
        values, codes = _values(_column(node.this, rows))
        null = np.array([value is None for value in values], bool)[codes]
        return _Truth(null, ~null)
    return _tested(node, rows)


def _tested(node: exp.Expr, rows: pa.Table) -> _Truth:
    """Evaluates a condition on one column, which is null where the column is."""
    subject = node if isinstance(node, exp.Column) else node.this
    column = _column(subject, rows)
    values, codes = _values(column)
    test = _test(node, column.type, values)
    results = [None if value is None else test(value) for value in values]
    return _Truth(
        np.array([result is True for result in results], bool)[codes],
        np.array([result is False for result in results], bool)[codes],
    )


def _column(node: exp.Expr, rows: pa.Table) -> pa.ChunkedArray:
    node = node.unnest()
    if isinstance(node, exp.Cast) and node.to.this.name == "DOUBLE":
        column = _column(node.this, rows)
        if pa.types.is_integer(column.type):
            return column.cast(pa.float64(), safe=False)
    elif isinstance(node, exp.Column) and node.name in rows.column_names:
        return rows.column(node.name)
    raise _NotCovered


def _values(column: pa.ChunkedArray) -> tuple[list[Any], NDArray[np.int32]]:
    """Returns the distinct values of a column, None among them, and the place of each row's."""
    encoded = column.dictionary_encode(null_encoding="encode").combine_chunks()
    if len(encoded.dictionary) > MOST_VALUES:
        raise _NotCovered
    values = encoded.dictionary.to_pylist()
    if any(isinstance(value, float) and math.isnan(value) for value in values):
        # LanceDB orders NaN above all numbers.
        raise _NotCovered
    # `to_numpy` would import pandas where it is installed.
    return values, np.from_dlpack(encoded.indices).astype(np.int32, copy=False)


def _test(node: exp.Expr, kind: pa.DataType, values: list[Any]) -> Callable[[Any], bool]:
    """Returns the test of a value that is not null."""
    if isinstance(node, exp.Column) and pa.types.is_boolean(kind):
        return bool
    if type(node) in _COMPARISONS:
        compare, right = _COMPARISONS[type(node)], _literal(node.expression, kind)
        return lambda value: compare(value, right)
    if isinstance(node, exp.In) and node.expressions:
        listed = {_literal(each, kind) for each in node.expressions}
        return lambda value: value in listed
    if isinstance(node, exp.Like | exp.ILike) and pa.types.is_string(kind):
        return _like(node, values)
    raise _NotCovered


def _literal(node: exp.Expr, kind: pa.DataType) -> Any:
    """Returns a literal in the type of the column that is compared with it."""
    node = node.unnest()
    sign = -1 if isinstance(node, exp.Neg) else 1
    node = node.this if isinstance(node, exp.Neg) else node
    if isinstance(node, exp.Boolean) and pa.types.is_boolean(kind):
        return bool(node.this)
    if isinstance(node, exp.Cast) and pa.types.is_timestamp(kind) and node.this.is_string:
        return datetime.fromisoformat(node.this.name)
    if isinstance(node, exp.Literal) and node.is_string == pa.types.is_string(kind):
        if node.is_string:
            return node.name
        if pa.types.is_integer(kind):
            return sign * int(node.name)
        if pa.types.is_floating(kind):
            return sign * float(node.name)
    raise _NotCovered


def _like(node: exp.Like | exp.ILike, values: list[Any]) -> Callable[[Any], bool]:
    pattern, in_any_case = node.expression.name, isinstance(node, exp.ILike)
    # Regular expressions of Python and LanceDB differ in the case of some letters beyond ASCII.
    if "\\" in pattern or (in_any_case and not (pattern + "".join(filter(None, values))).isascii()):
        raise _NotCovered
    parts = {"%": ".*", "_": "."}
    expression = re.compile(
        "".join(parts.get(sign) or re.escape(sign) for sign in pattern),
        re.DOTALL | (re.IGNORECASE if in_any_case else 0),
    )
    negated = bool(node.args.get("negate"))
    return lambda value: (expression.fullmatch(value) is None) is negated
