"""Filters: SQL conditions over a store's columns, as people type them → SQL that LanceDB runs.

`syntax` parses them, `columns` finds the columns that they name, `dates` reads dates, and
`compiler` writes the SQL. Only what the compiler knows gets through: columns that users may see,
literals, comparisons, and the functions of an allow-list.
"""

import re
from collections.abc import Sequence

LIVE = "_missing IS NULL"


def live_and(sql: str | None) -> str:
    """Restricts a compiled filter to live rows."""
    return LIVE if sql is None else f"{LIVE} AND ({sql})"


def quoted(values: Sequence[str]) -> str:
    """Returns the values as SQL literals, separated by commas."""
    return ", ".join("'" + value.replace("'", "''") + "'" for value in values)


def filter_fault(error: BaseException) -> str:
    """Returns LanceDB's message about a compiled filter without its internals."""
    text = re.sub(r", /\S+:\d+:\d+\b", "", " ".join(str(error).split()))
    return text.rpartition("Error during planning: ")[2].strip(" .,)")
