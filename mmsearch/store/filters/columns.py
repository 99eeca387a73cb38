"""Finds the column that a filter means: in any case, or by the heading that it had in its table."""

import re
import unicodedata
from collections.abc import Collection
from difflib import get_close_matches

_NOT_ALPHANUMERIC = re.compile(r"[\W_]+")


def column_named(name: str, columns: Collection[str]) -> str | None:
    """Returns the column of this name or heading, None where none or several match.

    >>> column_named("Price (EUR)", ["price_eur", "title"])
    'price_eur'
    """
    if name in columns:
        return name
    for form in (str.casefold, _words, _bare):
        same = [column for column in columns if form(column) == form(name)]
        if same:
            return same[0] if len(same) == 1 else None
    # A column that would hide one of the store's own is stored under a longer name.
    return column_named(f"meta_{name}", columns) if not name.startswith("meta_") else None


def nearest_column(name: str, columns: Collection[str]) -> str | None:
    """Returns the column whose name is most like this one, None where none is."""
    forms = {_bare(column): column for column in columns}
    near = get_close_matches(_bare(name), forms, n=1)
    return forms[near[0]] if near else None


def _words(name: str) -> str:
    return _NOT_ALPHANUMERIC.sub("_", unicodedata.normalize("NFC", name).casefold()).strip("_")


def _bare(name: str) -> str:
    """Returns the letters and digits of a name, without accents."""
    letters = unicodedata.normalize("NFKD", name).casefold()
    return "".join(char for char in letters if char.isalnum())
