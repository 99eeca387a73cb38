"""Guesses the roles of a table's columns, from their names and contents."""

import re
from collections.abc import Callable

from mmsearch.sources.image_paths import is_url, looks_like_image
from mmsearch.sources.survey import Survey
from mmsearch.sources.values import Kind

_IMAGE_WORDS = frozenset(
    {"image", "images", "img", "picture", "pic", "photo", "thumbnail", "file", "filename",
     "filepath", "path", "src", "url"}
)  # fmt: skip
_TITLES = ("title", "name", "headline", "heading")
_BODIES = (
    "caption", "description", "desc", "text", "summary", "abstract", "body", "content", "details",
    "overview", "prompt", "alt", "comment", "review",
)  # fmt: skip
# Words before 'name' where the column does not name the item itself.
_NOT_THE_ITEMS = frozenset(
    {"author", "brand", "category", "city", "color", "colour", "country", "file", "first", "folder",
     "last", "manufacturer", "parent", "seller", "store", "supplier", "user", "vendor"}
)  # fmt: skip
_IDS = ("id", "key", "uid", "uuid", "guid", "sku", "asin", "gtin", "ean", "upc", "isbn", "handle")
_TYPE_WORDS = frozenset({"str", "string", "int", "integer", "float", "bool"})
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_]+")

# The share of cells of a kind from which a column is of that kind.
_MOST = 0.5
# Categories repeat and are short, which shows from this many rows on.
_ENOUGH_ROWS = 20
_CATEGORY_WORDS = 4.0
_LOOKED_AT = 200


def find_image(survey: Survey, exists: Callable[[str], bool]) -> str | None:
    """Returns the column with the most existing images, else the one that looks most like it."""
    best, best_rank = None, (0.0, 0.0, 0)
    for column in survey.columns:
        named = len(_IMAGE_WORDS.intersection(words_of(column)))
        cells = survey.texts(column)[:_LOOKED_AT]
        if not survey.rows and named and words_of(column) != ["url"]:
            return column
        there = _share(exists, cells)
        like = _share(looks_like_image, cells)
        addressed = like if like > _MOST else 0.0
        if not addressed and _names_image(column):
            addressed = _share(is_url, cells)
        if (there > 0 or addressed > _MOST) and (there, addressed, named) > best_rank:
            best, best_rank = column, (there, addressed, named)
    return best


def find_id(survey: Survey, taken: set[str | None]) -> str | None:
    """Returns the best-named column whose sample has a distinct value in each row."""
    named = [
        (rank, position, column)
        for position, column in enumerate(survey.columns)
        if column not in taken and (rank := _id_rank(column)) is not None
    ]
    return next((name for _, _, name in sorted(named) if _identifies(survey, name)), None)


def find_texts(survey: Survey, columns: list[str]) -> list[str]:
    """Returns the text columns: titles, then descriptions by name, then by content."""
    prose = [name for name in columns if _is_text(survey, name)]
    titles = _named(prose, _TITLES)
    if not titles:
        candidates = [name for name in prose if _ends_as_title(name) and not _repeats(survey, name)]
        titles = sorted(candidates, key=lambda name: -_distinct(survey, name))[:1]
    bodies = _named(prose, _BODIES)
    bodies += [name for name in prose if words_of(name)[-1:] and words_of(name)[-1] in _BODIES]
    natural = [name for name in prose if _is_natural(survey, name)]
    found = list(dict.fromkeys((*titles, *bodies, *natural)))
    if not found and len(columns) == 1 and len(prose) == 1:
        return prose
    return found


def words_of(name: str) -> list[str]:
    """Splits a name: 'Iconic Image Path (str)' or 'iconicImagePath' → iconic, image, path."""
    words = [word.lower() for word in _WORD.findall(name)]
    return [word for word in words if word not in _TYPE_WORDS] or words


def _names_image(column: str) -> bool:
    return bool({"image", "images", "img", "picture", "photo"}.intersection(words_of(column)))


def _id_rank(column: str) -> int | None:
    words = words_of(column)
    if len(words) == 1 and words[0] in _IDS:
        return _IDS.index(words[0])
    return len(_IDS) if words and words[-1] in _IDS else None


def _identifies(survey: Survey, column: str) -> bool:
    if survey.kinds.get(column, Kind.TEXT) not in (Kind.TEXT, Kind.INT):
        return False
    values = survey.texts(column)
    return len(values) == len(survey.sample) == len(set(values))


def _is_text(survey: Survey, column: str) -> bool:
    if survey.kinds.get(column, Kind.TEXT) is not Kind.TEXT:
        return False
    cells = survey.texts(column)[:_LOOKED_AT]
    if not cells:
        return not survey.rows
    return _share(lambda cell: is_url(cell) or _is_path(cell), cells) <= _MOST


def _is_path(cell: str) -> bool:
    return re.fullmatch(r"\S*[/\\]\S*|\S+\.[A-Za-z0-9]{2,5}", cell) is not None


def _named(columns: list[str], names: tuple[str, ...]) -> list[str]:
    """Returns the columns with exactly these names, in their order."""
    ranked = [(names.index(words[0]), name) for name in columns if (words := words_of(name))
              and len(words) == 1 and words[0] in names]  # fmt: skip
    return [name for _, name in sorted(ranked, key=lambda pair: pair[0])]


def _ends_as_title(column: str) -> bool:
    words = words_of(column)
    return bool(words) and words[-1] in _TITLES and not _NOT_THE_ITEMS.intersection(words[:-1])


def _is_natural(survey: Survey, column: str) -> bool:
    """Whether a column holds prose: long texts of words that rarely repeat."""
    cells = survey.texts(column)[:_LOOKED_AT]
    if not cells or _repeats(survey, column):
        return False
    letters = sum(sum(c.isalpha() or c.isspace() for c in cell) for cell in cells)
    spoken = letters > 0.8 * sum(map(len, cells))
    # Lists of tags, words with separators, are for filters.
    listed = _share(lambda cell: len(re.split(r"[;,|]", cell)) > len(cell.split()) / 2, cells)
    return spoken and _mean_words(cells) >= _CATEGORY_WORDS and listed <= _MOST


def _repeats(survey: Survey, column: str) -> bool:
    cells = survey.texts(column)
    return len(cells) >= _ENOUGH_ROWS and _distinct(survey, column) < _MOST


def _distinct(survey: Survey, column: str) -> float:
    cells = survey.texts(column)
    return len(set(cells)) / len(cells) if cells else 0.0


def _mean_words(cells: list[str]) -> float:
    return sum(len(cell.split()) for cell in cells) / len(cells)


def _share(test: Callable[[str], bool], cells: list[str]) -> float:
    return sum(map(test, cells)) / len(cells) if cells else 0.0
