"""Evaluates compiled filters over Arrow columns, so that usual ones do without LanceDB.

Covers conditions that compare a column with values, joined by AND, OR and NOT. For all others, and
for numbers that Arrow and LanceDB order differently, `matching` gives no answer.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from sqlglot import exp

from mmsearch.errors import BadFilter
from mmsearch.store.filters.syntax import parse

_COMPARISONS: dict[type[exp.Expr], Callable[[Any, Any], Any]] = {
    exp.EQ: pc.equal, exp.NEQ: pc.not_equal, exp.LT: pc.less, exp.LTE: pc.less_equal,
    exp.GT: pc.greater, exp.GTE: pc.greater_equal,
}  # fmt: skip


class _NotCovered(Exception):
    """LanceDB has to evaluate the filter."""


def matching(sql: str, rows: pa.Table) -> NDArray[np.bool_] | None:
    """Returns which rows match a compiled filter, (n,), None where only LanceDB can tell."""
    try:
        mask = _condition(parse(sql, rows.column_names), rows)
    except (_NotCovered, BadFilter):
        return None
    found: NDArray[np.bool_] = pc.fill_null(mask, False).to_numpy(zero_copy_only=False)
    return found


def _condition(node: exp.Expr, rows: pa.Table) -> pa.Array:
    """Returns true, false or null for each row, as SQL has it."""
    if isinstance(node, exp.Paren):
        return _condition(node.this, rows)
    if isinstance(node, exp.Not):
        return pc.invert(_condition(node.this, rows))
    if isinstance(node, exp.And | exp.Or):
        join = pc.and_kleene if isinstance(node, exp.And) else pc.or_kleene
        return join(_condition(node.this, rows), _condition(node.expression, rows))
    if type(node) in _COMPARISONS:
        column = _column(node.this, rows)
        return _COMPARISONS[type(node)](column, _scalar(node.expression, column.type))
    if isinstance(node, exp.In):
        return _membership(_column(node.this, rows), node.expressions)
    if isinstance(node, exp.Is) and isinstance(node.expression, exp.Null):
        return pc.is_null(_column(node.this, rows))
    if isinstance(node, exp.Like | exp.ILike):
        return _like(node, rows)
    if isinstance(node, exp.Column) and pa.types.is_boolean(_column(node, rows).type):
        return _column(node, rows)
    raise _NotCovered


def _column(node: exp.Expr, rows: pa.Table) -> pa.Array:
    """Returns a column, or a column of whole numbers as floats."""
    node = node.unnest()
    if isinstance(node, exp.Cast) and node.to.this.name == "DOUBLE":
        whole = _column(node.this, rows)
        if not pa.types.is_integer(whole.type):
            raise _NotCovered
        return pc.cast(whole, pa.float64(), safe=False)
    if not isinstance(node, exp.Column) or node.name not in rows.column_names:
        raise _NotCovered
    column = rows.column(node.name).combine_chunks()
    if pa.types.is_floating(column.type):
        values = column.drop_null().to_numpy()
        # LanceDB orders NaN above all numbers, and -0.0 below 0.0.
        if np.isnan(values).any() or np.signbit(values[values == 0]).any():
            raise _NotCovered
    return column


def _scalar(node: exp.Expr, kind: pa.DataType) -> pa.Scalar:
    """Returns a literal that is compared with a column of the type."""
    node = node.unnest()
    sign = -1 if isinstance(node, exp.Neg) else 1
    node = node.this if isinstance(node, exp.Neg) else node
    if isinstance(node, exp.Boolean) and pa.types.is_boolean(kind):
        return pa.scalar(bool(node.this))
    if isinstance(node, exp.Cast) and pa.types.is_timestamp(kind) and node.this.is_string:
        return pa.scalar(datetime.fromisoformat(node.this.name), kind)
    if not isinstance(node, exp.Literal) or node.is_string != pa.types.is_string(kind):
        raise _NotCovered
    if node.is_string:
        return pa.scalar(node.name)
    if pa.types.is_integer(kind):
        return pa.scalar(sign * int(node.name), pa.int64())
    if pa.types.is_floating(kind):
        return pa.scalar(sign * float(node.name), kind)
    raise _NotCovered


def _membership(column: pa.Array, values: Sequence[exp.Expr]) -> pa.Array:
    kind = pa.int64() if pa.types.is_integer(column.type) else column.type
    listed = pa.array([_scalar(value, column.type).as_py() for value in values], kind)
    found = pc.is_in(pc.cast(column, kind), value_set=listed)
    return pc.if_else(pc.is_valid(column), found, pa.scalar(None, pa.bool_()))


def _like(node: exp.Like | exp.ILike, rows: pa.Table) -> pa.Array:
    column, pattern = _column(node.this, rows), node.expression.name
    if not pa.types.is_string(column.type) or "\\" in pattern:
        raise _NotCovered
    found = pc.match_like(column, pattern, ignore_case=isinstance(node, exp.ILike))
    return pc.invert(found) if node.args.get("negate") else found
