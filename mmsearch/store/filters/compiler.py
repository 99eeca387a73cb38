"""Compiles filters to the SQL that LanceDB runs, with literals converted to their column's type."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pyarrow as pa
from sqlglot import exp

from mmsearch.errors import BadFilter
from mmsearch.store.filters import dates, quoted
from mmsearch.store.filters.columns import column_named, nearest_column
from mmsearch.store.filters.sql import NUMBER, balanced, number, shown, type_word, within
from mmsearch.store.filters.syntax import MAX_DEPTH, heading_of, parse

# Returns distinct values of a column that are not null: as many as given, or all.
ColumnValues = Callable[[str, int | None], Sequence[Any]]

_COMPARISONS: dict[type[exp.Expr], str] = {
    exp.EQ: "=", exp.NEQ: "<>", exp.LT: "<", exp.LTE: "<=", exp.GT: ">", exp.GTE: ">=",
}  # fmt: skip
_MIRRORED = {"=": "=", "<>": "<>", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
_ARITHMETIC: dict[type[exp.Expr], str] = {
    exp.Add: "+", exp.Sub: "-", exp.Mul: "*", exp.Div: "/", exp.Mod: "%", exp.DPipe: "||",
}  # fmt: skip
# As LanceDB names them.
_TYPES = {
    "INT": "INT", "BIGINT": "BIGINT", "SMALLINT": "SMALLINT", "FLOAT": "FLOAT", "DOUBLE": "DOUBLE",
    "TEXT": "STRING", "VARCHAR": "STRING", "BOOLEAN": "BOOLEAN", "DATE": "DATE",
    "TIMESTAMP": "TIMESTAMP", "DATETIME": "TIMESTAMP", "TIMESTAMPTZ": "TIMESTAMP",
}  # fmt: skip
_CONDITIONS = {
    "starts_with", "ends_with", "contains", "regexp_like", "regexp_match", "array_has",
    "array_contains",
}  # fmt: skip
_FUNCTIONS = _CONDITIONS | {
    "abs", "array_length", "ascii", "btrim", "cardinality", "char_length", "character_length",
    "coalesce", "concat", "concat_ws", "current_date", "current_timestamp", "date_part",
    "date_trunc", "greatest", "least", "left", "length", "levenshtein", "lower", "lpad", "ltrim",
    "mod", "now", "nullif", "octet_length", "power", "regexp_replace", "replace", "reverse",
    "right", "round", "rpad", "rtrim", "sign", "split_part", "sqrt", "strpos", "to_char",
    "to_timestamp", "upper",
}  # fmt: skip
_DATE_PARTS = {"year", "month", "day", "hour", "minute", "second", "week", "quarter"}
# Separates the values of a list in one text: a character that no text of a table has.
_SEPARATOR = "chr(31)"
_TRUE = {"true", "yes", "y", "1", "on"}
_FALSE = {"false", "no", "n", "0", "off"}


class FilterCompiler:
    """Compiles filters over the given columns.

    columns: the types of the columns that a filter may name. values: of a column, for dates that
    are written as texts and for messages.
    """

    def __init__(self, columns: Mapping[str, pa.DataType], values: ColumnValues) -> None:
        self._columns, self._values = columns, values

    def compile(self, where: str) -> str:
        """Returns the SQL of a filter. Raises BadFilter with the reason alone."""
        tree = parse(where, self._columns)
        try:
            return self._condition(tree, 0)
        except _UnknownColumn as error:
            if heading := heading_of(where, self._columns):
                raise BadFilter(f"the column is called {heading}") from None
            raise BadFilter(str(error)) from None

    def _condition(self, node: exp.Expr, depth: int) -> str:
        """Returns SQL for a node that is true or false."""
        if depth > MAX_DEPTH:
            raise BadFilter("it is nested too deeply")
        if isinstance(node, exp.And | exp.Or):
            parts = [self._condition(part, depth + 1) for part in node.flatten(unnest=False)]
            return balanced(parts, "AND" if isinstance(node, exp.And) else "OR")
        if isinstance(node, exp.Paren):
            return f"({self._condition(node.this, depth + 1)})"
        if isinstance(node, exp.Not):
            return f"NOT ({self._condition(node.this, depth + 1)})"
        if type(node) in _COMPARISONS:
            return self._comparison(node.this, _COMPARISONS[type(node)], node.expression, depth)
        if isinstance(node, exp.Between) and not node.args.get("symmetric"):
            low = self._comparison(node.this, ">=", node.args["low"], depth)
            return f"({low} AND {self._comparison(node.this, '<=', node.args['high'], depth)})"
        if isinstance(node, exp.In):
            return self._membership(node, depth)
        if isinstance(node, exp.Is) and isinstance(node.expression, exp.Null | exp.Boolean):
            this = self._value(node.this, depth + 1)
            return f"({this} IS {self._value(node.expression, depth)})"
        if isinstance(node, exp.Like | exp.ILike):
            return self._like(node, depth)
        return self._plain_condition(node, depth)

    def _plain_condition(self, node: exp.Expr, depth: int) -> str:
        name = node.name.lower() if isinstance(node, exp.Anonymous) else None
        if name == "has":
            return self._has(node.expressions)
        is_flag = isinstance(node, exp.Column) and pa.types.is_boolean(self._type_of(node))
        literal = isinstance(node, exp.Boolean | exp.Null)
        cast = isinstance(node, exp.Cast) and node.to.this.name == "BOOLEAN"
        if name in _CONDITIONS or is_flag or literal or cast:
            return self._value(node, depth)
        self._value(node, depth)  # an unknown column or function is the greater fault
        raise BadFilter("it compares nothing; write a condition such as price < 5")

    def _value(self, node: exp.Expr, depth: int) -> str:
        """Returns SQL for a node of any type."""
        if depth > MAX_DEPTH:
            raise BadFilter("it is nested too deeply")
        if isinstance(node, exp.Column):
            return f"`{self._name(node)}`"
        if isinstance(node, exp.Literal):
            return quoted([node.name]) if node.is_string else number(node.name)
        if isinstance(node, exp.Boolean):
            return "TRUE" if node.this else "FALSE"
        if isinstance(node, exp.Null):
            return "NULL"
        if isinstance(node, exp.Paren):
            return f"({self._value(node.this, depth + 1)})"
        if isinstance(node, exp.Neg):
            return f"-({self._value(node.this, depth + 1)})"
        if type(node) in _ARITHMETIC:
            left, right = (self._value(part, depth + 1) for part in (node.this, node.expression))
            return f"({left} {_ARITHMETIC[type(node)]} {right})"
        if isinstance(node, exp.Cast):
            return self._cast(node, depth)
        return self._function(node, depth)

    def _cast(self, node: exp.Cast, depth: int) -> str:
        kind = _TYPES.get(node.to.this.name)
        if kind is None:
            raise BadFilter(f"no type {node.to.sql()}; use {', '.join(sorted(set(_TYPES)))}")
        word = "TRY_CAST" if isinstance(node, exp.TryCast) else "CAST"
        return f"{word}({self._value(node.this, depth + 1)} AS {kind})"

    def _function(self, node: exp.Expr, depth: int) -> str:
        if isinstance(node, exp.Extract):
            name, arguments = node.name.lower(), [node.expression]
        elif isinstance(node, exp.Trim) and not node.expression and not node.args.get("position"):
            name, arguments = "btrim", [node.this]
        elif isinstance(node, exp.CurrentDate | exp.CurrentTimestamp) and not node.this:
            return "current_date" if isinstance(node, exp.CurrentDate) else "current_timestamp"
        elif isinstance(node, exp.Anonymous):
            name, arguments = node.name.lower(), node.expressions
        else:
            raise BadFilter(f"{node.sql()!r} is not supported; compare columns with values")
        values = [self._value(argument, depth + 1) for argument in arguments]
        if name in _DATE_PARTS and len(values) == 1:
            return f"date_part('{name}', {values[0]})"
        if name not in _FUNCTIONS:
            raise BadFilter(f"no function {name}; there are {', '.join(sorted(_FUNCTIONS))}, has")
        return f"{name}({', '.join(values)})"

    def _comparison(self, left: exp.Expr, operator: str, right: exp.Expr, depth: int) -> str:
        left, right = left.unnest(), right.unnest()
        if _literal(left) is not None and isinstance(right, exp.Column):
            left, operator, right = right, _MIRRORED[operator], left
        literal = _literal(right)
        if not isinstance(left, exp.Column) or literal is None:
            try:
                sides = [self._value(side, depth + 1) for side in (left, right)]
            except _UnknownColumn as error:
                raise error.as_text() if error.node is right else error from None
            return f"({sides[0]} {operator} {sides[1]})"
        name = self._name(left)
        kind = self._columns[name]
        if pa.types.is_timestamp(kind):
            return self._date_comparison(name, operator, literal)
        if pa.types.is_string(kind) and isinstance(right, exp.Literal) and right.is_string:
            return self._text_comparison(name, operator, literal)
        column, value = self._typed(name, right, literal)
        return f"({column} {operator} {value})"

    def _typed(self, name: str, node: exp.Expr, literal: str) -> tuple[str, str]:
        """Returns a column and a literal as SQL of one type. Raises BadFilter."""
        kind, column = self._columns[name], f"`{name}`"
        is_text = isinstance(node, exp.Literal) and node.is_string
        if pa.types.is_boolean(kind):
            if literal.lower() in _TRUE | _FALSE:
                return column, str(literal.lower() in _TRUE).upper()
        elif pa.types.is_integer(kind) or pa.types.is_floating(kind):
            if not isinstance(node, exp.Boolean) and NUMBER.fullmatch(literal.strip()):
                digits = number(literal.strip())
                whole = re.fullmatch(r"[+-]?\d{1,18}", digits)
                if pa.types.is_integer(kind) and not whole:
                    column = f"CAST({column} AS DOUBLE)"
                return column, digits
            if re.fullmatch(r"[+-]?\d+,\d+", literal.strip()):
                raise BadFilter(
                    f"a decimal number has a point, as in {literal.strip().replace(',', '.')}"
                )
        elif pa.types.is_string(kind) and is_text:
            return column, quoted([literal])
        elif pa.types.is_list(kind):
            raise self._is_list(name, literal)
        else:
            raise BadFilter(f"{self._described(name)}; a text stands in single quotes: '{literal}'")
        typed = f'"{literal}"' if is_text else literal
        raise BadFilter(f"{typed} is not a {type_word(kind)}; {self._described(name)}")

    def _date_comparison(self, name: str, operator: str, literal: str) -> str:
        span = dates.read_date(literal)
        if span is None:
            raise BadFilter(f'"{literal}" is not a date; {self._described(name)}')
        start, end = (
            f"timestamp '{each:%Y-%m-%d %H:%M:%S.%f}+00:00'" for each in (span.start, span.end)
        )
        return within(f"`{name}`", operator, start, end, instant=span.start == span.end)

    def _text_comparison(self, name: str, operator: str, literal: str) -> str:
        """Compares a text; one that is a date, in a column of dates, as a date."""
        plain = f"(`{name}` {operator} {quoted([literal])})"
        if not any(char.isdigit() for char in literal):
            return plain
        written = dates.written_dates(self._values(name, None))
        if written is None:
            return plain
        span = dates.read_date(literal, written.order)
        if span is None:
            return plain
        if written.order is None and written.separator != ".":
            raise BadFilter(
                f"{self._described(name)}, which does not say whether the day or the month comes "
                "first; dates as 2024-12-31 in the table can be compared"
            )
        column = f"`{name}`"
        start, end = (f"'{each:%Y%m%d}'" for each in (span.start, span.end))
        sortable = written.sortable(column)
        instant = span.start == span.end
        compared = within(sortable, operator, start, end, instant=instant)
        return f"({written.is_date(column)} AND {compared})"

    def _membership(self, node: exp.In, depth: int) -> str:
        if node.args.get("query") or node.args.get("unnest") or node.args.get("field"):
            raise BadFilter("IN takes a list: category IN ('a', 'b')")
        if not node.expressions:
            raise BadFilter("the list after IN is empty")
        this = node.this.unnest()
        literals = [_literal(part.unnest()) for part in node.expressions]
        if isinstance(this, exp.Column) and None not in literals:
            kind = self._type_of(this)
            if not pa.types.is_timestamp(kind):
                pairs = [
                    self._typed(self._name(this), part.unnest(), literal or "")
                    for part, literal in zip(node.expressions, literals, strict=True)
                ]
                column = max((column for column, _ in pairs), key=len)
                return f"({column} IN ({', '.join(value for _, value in pairs)}))"
            parts = [self._comparison(this, "=", part, depth) for part in node.expressions]
            return balanced(parts, "OR")
        values = [self._value(part, depth + 1) for part in node.expressions]
        return f"({self._value(this, depth + 1)} IN ({', '.join(values)}))"

    def _like(self, node: exp.Like | exp.ILike, depth: int) -> str:
        pattern = node.expression.unnest()
        if not (isinstance(pattern, exp.Literal) and pattern.is_string):
            if (
                isinstance(pattern, exp.Column)
                and column_named(pattern.name, self._columns) is None
            ):
                raise _UnknownColumn(pattern, self._columns).as_text()
            raise BadFilter("LIKE takes a text in single quotes: name LIKE 'a%'")
        this = node.this.unnest()
        if isinstance(this, exp.Column) and pa.types.is_list(self._type_of(this)):
            raise self._is_list(self._name(this), pattern.name.strip("%"))
        if isinstance(this, exp.Column) and not pa.types.is_string(self._type_of(this)):
            raise BadFilter(f"{self._described(self._name(this))}; LIKE is for texts")
        word = "ILIKE" if isinstance(node, exp.ILike) else "LIKE"
        negated = "NOT " if node.args.get("negate") else ""
        return f"({self._value(this, depth + 1)} {negated}{word} {quoted([pattern.name])})"

    def _has(self, arguments: Sequence[exp.Expr]) -> str:
        """Returns SQL for whether a list, or a text that lists values, has a value, in any case."""
        if len(arguments) != 2 or not isinstance(arguments[0], exp.Column):
            raise BadFilter("has takes a column and a text: has(tags, 'sweet')")
        name, value = self._name(arguments[0]), _literal(arguments[1])
        if value is None or not value.strip():
            raise BadFilter("has takes a column and a text: has(tags, 'sweet')")
        kind, column = self._columns[name], f"`{name}`"
        if pa.types.is_list(kind):
            values = _between(f"lower(array_to_string({column}, {_SEPARATOR}))")
            return f"(strpos({values}, {_between(quoted([value.strip().lower()]))}) > 0)"
        if not pa.types.is_string(kind):
            raise BadFilter(f"{self._described(name)}; has is for lists")
        listed = ";".join(part.strip() for part in re.split(r"[;|,]", value.lower()))
        cells = f"regexp_replace(lower(btrim({column})), '\\s*[;|,]\\s*', ';', 'g')"
        return f"(strpos(concat(';', {cells}, ';'), {quoted([f';{listed};'])}) > 0)"

    def _is_list(self, name: str, literal: str) -> BadFilter:
        return BadFilter(f"{self._described(name)}; write has({name}, {quoted([literal])})")

    def _type_of(self, node: exp.Column) -> pa.DataType:
        return self._columns[self._name(node)]

    def _name(self, node: exp.Column) -> str:
        if node.table:
            raise BadFilter(f"no column {node.sql()}; quote a name with a point: `{node.sql()}`")
        name = column_named(node.name, self._columns)
        if name is None:
            raise _UnknownColumn(node, self._columns)
        return name

    def _described(self, name: str) -> str:
        """Returns the type of a column with two of its values."""
        found = [shown(value) for value in self._values(name, 2)]
        examples = f", such as {' and '.join(found)}" if found else ""
        return f"{name} is a {type_word(self._columns[name])}{examples}"


class _UnknownColumn(BadFilter):
    def __init__(self, node: exp.Column, columns: Mapping[str, pa.DataType]) -> None:
        near = nearest_column(node.name, columns)
        super().__init__(f"no column {node.name}" + (f"; did you mean {near}?" if near else ""))
        self.node = node

    def as_text(self) -> BadFilter:
        """Returns the error for a name that stands where a value is expected."""
        name = self.node.name
        return BadFilter(f"no column {name}; a text stands in single quotes: '{name}'")


def _between(text: str) -> str:
    return f"concat({_SEPARATOR}, {text}, {_SEPARATOR})"


def _literal(node: exp.Expr) -> str | None:
    """Returns a literal as it was typed, without quotes; None for other nodes."""
    if isinstance(node, exp.Literal):
        return node.name
    if isinstance(node, exp.Boolean):
        return str(node.this).lower()
    if isinstance(node, exp.Neg) and isinstance(node.this, exp.Literal) and not node.this.is_string:
        return f"-{node.this.name}"
    return None
