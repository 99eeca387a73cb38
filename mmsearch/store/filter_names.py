"""Finds names in a filter that no column has, without LanceDB, which takes seconds to load."""

import re
from collections.abc import Sequence

from mmsearch.errors import BadFilter
from mmsearch.store.filters import name_fault

_STRINGS = re.compile(r"'[^']*'|\"[^\"]*\"|`[^`]*`")
# Names beside these are columns, unless they are words of SQL or functions.
_OPERATOR = r"(?:[=<>!]|(?:NOT\s+)?(?:I?LIKE|IN|BETWEEN)\b|IS\b)"
_COMPARED = re.compile(rf"(?<![\w.`'\"])([A-Za-z_]\w*)\s*{_OPERATOR}", re.IGNORECASE)
_COMPARED_WITH = re.compile(r"[=<>]\s*([A-Za-z_]\w*)\b(?!\s*[('.`])")
_UNFINISHED = re.compile(r"(?:[=<>]|\b(?:AND|OR|NOT|LIKE|IN|BETWEEN))\s*$", re.IGNORECASE)
_SQL_WORDS = {
    "and", "or", "not", "is", "null", "true", "false", "case", "when", "then", "else", "end",
    "current_date", "current_time", "current_timestamp",
}  # fmt: skip


def require_columns(where: str, columns: Sequence[str]) -> None:
    """Raises BadFilter where the filter ends too early, or compares what is no column.

    Only names beside operators are looked at; LanceDB checks the rest.
    """
    bare = _STRINGS.sub("''", where)
    if _UNFINISHED.search(bare):
        raise BadFilter(
            f"the filter {where!r} cannot be run: it is incomplete; "
            f"columns: {', '.join(sorted(columns))}"
        )
    known = {column.lower() for column in columns} | _SQL_WORDS
    for pattern in (_COMPARED, _COMPARED_WITH):
        for name in pattern.findall(bare):
            if name.lower() not in known and not name.startswith("_"):
                raise BadFilter(
                    f"the filter {where!r} cannot be run: {name_fault(name, where, columns)}; "
                    f"columns: {', '.join(sorted(columns))}"
                )
