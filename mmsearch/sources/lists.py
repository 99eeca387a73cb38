"""Finds the columns of a table whose cells list several values, such as tags, and splits them.

A cell is a list of JSON or Parquet, or a text with one separator throughout. 'Berlin, Germany' is
no list: there are fewer values than cells only where the values are combined freely.
"""

from collections.abc import Sequence

from mmsearch.sources.fields import clean_text, scalar_text
from mmsearch.sources.roles import words_of

# A separator that a value of another one's lists may contain comes later.
_SEPARATORS = "|;,"
# Headings of columns of lists, for which a value that repeats is enough.
_LIST_WORDS = frozenset(
    {"allergens", "categories", "collections", "colors", "colours", "features", "genres",
     "ingredients", "keywords", "labels", "materials", "sizes", "styles", "subjects", "tag",
     "tags", "topics"}
)  # fmt: skip
# Of columns with other headings: how many cells, and the share of them with several values.
_ENOUGH_CELLS, _SEVERAL_VALUES = 20, 0.2
# A longer value is a sentence.
_MOST_CHARACTERS = 60


def find_separator(column: str, cells: Sequence[object]) -> str | None:
    """Returns what separates the values in a column's cells; None unless they are lists.

    It is '' where the cells are lists of JSON or Parquet.
    """
    separator = separator_of(cells)
    if not separator:
        return separator
    texts = [cell for cell in cells if isinstance(cell, str) and cell.strip()]
    lists = [split_list(text, separator) or [] for text in texts]
    values = [value.casefold() for each in lists for value in each]
    if max(map(len, values), default=0) > _MOST_CHARACTERS:
        return None
    distinct = len(set(values))
    if not _LIST_WORDS.isdisjoint(words_of(column)):
        return separator if distinct < len(values) else None
    several = sum(len(each) > 1 for each in lists)
    combined = distinct < len({tuple(each) for each in lists}) and distinct <= len(values) / 2
    often = len(texts) >= _ENOUGH_CELLS and several >= _SEVERAL_VALUES * len(texts)
    return separator if combined and often else None


def separator_of(cells: Sequence[object]) -> str | None:
    """Returns what would separate the values if the cells were lists, as `find_separator` does."""
    if any(isinstance(cell, list) for cell in cells):
        return ""
    texts = [cell for cell in cells if isinstance(cell, str)]
    return next((each for each in _SEPARATORS if any(each in text for text in texts)), None)


def split_list(cell: object, separator: str) -> list[str] | None:
    """Returns the distinct values of a cell in their order, None without any.

    separator: as `find_separator` returns it.

    >>> split_list("sweet; red;sweet;", ";")
    ['sweet', 'red']
    """
    if isinstance(cell, list):
        values = [scalar_text(value) for value in cell]
    elif isinstance(cell, str) and separator:
        values = [clean_text(value) for value in cell.split(separator)]
    else:
        values = [scalar_text(cell)]
    return list(dict.fromkeys(value for value in values if value)) or None
