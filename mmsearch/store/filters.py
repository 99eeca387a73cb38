"""SQL filters: validated, restricted to live rows, with error messages in the user's terms."""

import re
from collections.abc import Sequence

from mmsearch.errors import BadFilter

LIVE = "_missing IS NULL"

# String literals and quoted names in SQL; a quote inside is doubled.
_STRINGS = re.compile(r"'[^']*'|\"[^\"]*\"|`[^`]*`")
_TYPE_WORDS = {"Int64": "whole number", "Int32": "whole number", "Float64": "number",
               "Utf8": "text (texts go in single quotes)", "Timestamp": "time",
               "Boolean": "true or false"}  # fmt: skip


def live_and(where: str | None) -> str:
    """Restricts a filter to live rows. Raises BadFilter where its brackets do not match."""
    if where is None:
        return LIVE
    depth = 0
    for bracket in re.findall(r"[()]", _STRINGS.sub("", where)):
        depth += 1 if bracket == "(" else -1
        if depth < 0:
            break
    if depth:
        raise BadFilter(f"the filter {where!r} has an unmatched bracket")
    # In brackets: Lance silently ignores what follows a complete expression. The line break ends a
    # comment.
    return f"{LIVE} AND ({where}\n)"


def quoted(values: Sequence[str]) -> str:
    """Returns the values as SQL literals, separated by commas."""
    return ", ".join("'" + value.replace("'", "''") + "'" for value in values)


def filter_fault(error: BaseException, where: str) -> str:
    """Rewrites LanceDB's message about a filter without its internals.

    For the messages of lancedb 0.40; an unknown one is returned whole.
    """
    text = re.sub(r", /\S+:\d+:\d+\b", "", " ".join(str(error).split()))
    if mixed := re.search(r"Received literal \w+\((.*?)\) and could not .* type '(\w+)", text):
        return f"{mixed[1]} is not a {_TYPE_WORDS.get(mixed[2], mixed[2])}"
    if syntax := re.search(r"sql parser error: .*found: ?(.*?)\)?$", text):
        return "it is incomplete" if syntax[1] == ")" else f"bad syntax at {syntax[1]!r}"
    if name := re.search(r"No field named (.*?)\. ", text):
        hint = " (texts go in single quotes)" if '"' in where else ""
        return f"no column {name[1]}{hint}"
    return text.rpartition("Error during planning: ")[2].strip(" .,)")
