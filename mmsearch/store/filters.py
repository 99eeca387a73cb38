"""SQL filters: validated, restricted to live rows, with error messages in the user's terms."""

import re
from collections.abc import Collection, Sequence
from difflib import get_close_matches

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
    depth, plain = 0, _STRINGS.sub("", where)
    if currency := re.search(r"[$€£¥]", plain):
        # Lance panics at a dollar sign.
        raise BadFilter(
            f"the filter {where!r} cannot be run: write the number without {currency[0]}"
        )
    for bracket in re.findall(r"[()]", plain):
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


def filter_fault(error: BaseException, where: str, columns: Collection[str]) -> str:
    """Rewrites LanceDB's message about a filter without its internals, with what to write instead.

    For the messages of lancedb 0.40; an unknown one is returned whole.
    """
    text = re.sub(r", /\S+:\d+:\d+\b", "", " ".join(str(error).split()))
    if mixed := re.search(r"Received literal \w+\((.*?)\) and could not .* type '(\w+)", text):
        return f"{mixed[1]} is not a {_TYPE_WORDS.get(mixed[2], mixed[2])}"
    if "is not supported SQL" in text and re.search(r"\d,\d", _STRINGS.sub("", where)):
        return "a decimal number has a point, as in 0.5"
    if "Unterminated string" in text:
        return "a quote is not closed; one inside a text is doubled: 'it''s'"
    if operator := re.search(r"Operator (\S+) is not supported", text):
        return f"unknown operator {operator[1]}; use AND, OR, NOT, LIKE, IN or a comparison"
    if "infer common argument type for logical" in text:
        return "it compares nothing; write a condition such as price < 5"
    if "sql parser error" in text and (spelt := _column_spelt_as_heading(where, columns)):
        return f"the column is called {spelt}"
    if syntax := re.search(r"sql parser error: .*found: ?(.*?)\)?$", text):
        return "it is incomplete" if syntax[1] == ")" else f"bad syntax at {syntax[1]!r}"
    if name := re.search(r"No field named (.*?)\. ", text):
        return name_fault(name[1].strip('"'), where, columns)
    return text.rpartition("Error during planning: ")[2].strip(" .,)")


def name_fault(name: str, where: str, columns: Collection[str]) -> str:
    """Returns what is wrong with a name in a filter that no column has, and what to write."""
    if spelt := _column_spelt_as_heading(where, columns):
        return f"the column is called {spelt}"
    value = re.search(rf"(=|<>|[<>]|\bI?LIKE)\s*([\"`]?){re.escape(name)}\2", where, re.IGNORECASE)
    near = get_close_matches(name.lower(), columns, n=1)
    if value:
        return f"no column {name}; a text stands in single quotes: '{name}'"
    return f"no column {name}" + (f"; did you mean {near[0]}?" if near else "")


def _column_spelt_as_heading(where: str, columns: Collection[str]) -> str:
    return next((name for name in columns if _is_heading_of(name, where)), "")


def _is_heading_of(name: str, where: str) -> bool:
    """Whether the filter has the words of a column's name, but with other signs between them."""
    words = r"[\W_]+".join(map(re.escape, name.split("_")))
    found = re.search(rf"\b{words}\b", _STRINGS.sub("", where), re.IGNORECASE)
    return "_" in name and found is not None and found[0].lower() != name
