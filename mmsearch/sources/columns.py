"""Which column of a table is the picture, which are the text, which is the id: by name and content.

Everything else becomes metadata. Names decide what they can; contents veto them and find the rest.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from mmsearch.errors import InputError
from mmsearch.sources.fields import MAX_METADATA_TEXT, safe_column_name
from mmsearch.sources.options import SourceOptions
from mmsearch.sources.picture_paths import is_url, looks_like_picture
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
# What comes before 'name' where it does not name the item itself.
_NOT_THE_ITEMS = frozenset(
    {"author", "brand", "category", "city", "color", "colour", "country", "file", "first", "folder",
     "last", "manufacturer", "parent", "seller", "store", "supplier", "user", "vendor"}
)  # fmt: skip
_IDS = ("id", "key", "uid", "uuid", "guid", "sku", "asin", "gtin", "ean", "upc", "isbn", "handle")
# Digits that nobody counts with, and that lose their meaning as numbers.
_CODES = frozenset({"sku", "asin", "gtin", "ean", "upc", "isbn", "barcode", "zip", "postcode"})
_TYPE_WORDS = frozenset({"str", "string", "int", "integer", "float", "bool"})
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_]+")

# A column of which most cells are of a kind is of that kind; the rest are gaps and slips.
_MOST = 0.5
# Categories repeat and are short; from so many rows on, that shows.
_ENOUGH_ROWS = 20
_CATEGORY_WORDS = 4.0
_LOOKED_AT = 200


@dataclass(frozen=True, slots=True)
class TableColumns:
    """The columns' roles, by their original names.

    texts: in the order in which they are joined. metadata: original → name in the store, texts
    and id included unless they are too long to filter by. kinds: of the metadata columns.
    """

    image: str | None
    texts: tuple[str, ...]
    id: str | None
    metadata: Mapping[str, str] = field(default_factory=dict)
    kinds: Mapping[str, Kind] = field(default_factory=dict)

    def describe(self) -> str:
        """One line for the screen."""
        shown = {*self.texts, self.id}
        filters = [safe for name, safe in self.metadata.items() if name not in shown]
        parts = (
            f"image: {_quoted([self.image] if self.image else [])}",
            f"text: {_quoted(self.texts)}",
            f"id: {_quoted([self.id]) if self.id else 'row number'}",
            f"filters: {', '.join(filters) or 'none'}",
        )
        return " · ".join(parts)


def recognise(
    survey: Survey, options: SourceOptions, *, exists: Callable[[str], bool], table: str
) -> TableColumns:
    """exists: whether a cell names an existing picture. table: its name, for messages.

    Raises InputError for columns that are not there, and for a table with neither images nor text.
    """
    _require_columns(survey, options, table)
    image = options.image_column or _find_image(survey, exists)
    identity = options.id_column or _find_id(survey, taken={image, *options.text_columns})
    others = [name for name in survey.columns if name not in (image, identity)]
    texts = options.text_columns or tuple(_find_texts(survey, others))
    if survey.rows and image is None and not texts:
        raise InputError(
            f"{table} has no column of pictures or texts; say which it is with --image-column or "
            f"--text-columns, its columns are {_quoted(survey.columns)}"
        )
    return _with_metadata(survey, image, texts, identity)


def words_of(name: str) -> list[str]:
    """'Iconic Image Path (str)' and 'iconicImagePath' both give iconic, image, path."""
    words = [word.lower() for word in _WORD.findall(name)]
    return [word for word in words if word not in _TYPE_WORDS] or words


def _require_columns(survey: Survey, options: SourceOptions, table: str) -> None:
    asked = {
        "--image-column": [options.image_column] if options.image_column else [],
        "--text-columns": options.text_columns,
        "--id-column": [options.id_column] if options.id_column else [],
    }
    for flag, names in asked.items():
        for name in names:
            if name not in survey.columns:
                raise InputError(
                    f"{flag}: {table} has no column '{name}'; its columns are "
                    f"{_quoted(survey.columns)}"
                )


def _find_image(survey: Survey, exists: Callable[[str], bool]) -> str | None:
    best, best_rank = None, (0.0, 0.0, 0)
    for column in survey.columns:
        named = len(_IMAGE_WORDS.intersection(words_of(column)))
        cells = survey.texts(column)[:_LOOKED_AT]
        if not survey.rows and named and words_of(column) != ["url"]:
            return column
        there = _share(exists, cells)
        like = _share(looks_like_picture, cells)
        addressed = (
            like if like > _MOST else (_share(is_url, cells) if _names_picture(column) else 0)
        )
        if (there > 0 or addressed > _MOST) and (there, addressed, named) > best_rank:
            best, best_rank = column, (there, addressed, named)
    return best


def _names_picture(column: str) -> bool:
    return bool({"image", "images", "img", "picture", "photo"}.intersection(words_of(column)))


def _find_id(survey: Survey, taken: set[str | None]) -> str | None:
    named = [
        (rank, position, column)
        for position, column in enumerate(survey.columns)
        if column not in taken and (rank := _id_rank(column)) is not None
    ]
    return next((name for _, _, name in sorted(named) if _identifies(survey, name)), None)


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


def _find_texts(survey: Survey, columns: list[str]) -> list[str]:
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
    """The columns called exactly so, in the order of `names`."""
    ranked = [(names.index(words[0]), name) for name in columns if (words := words_of(name))
              and len(words) == 1 and words[0] in names]  # fmt: skip
    return [name for _, name in sorted(ranked, key=lambda pair: pair[0])]


def _ends_as_title(column: str) -> bool:
    words = words_of(column)
    return bool(words) and words[-1] in _TITLES and not _NOT_THE_ITEMS.intersection(words[:-1])


def _is_natural(survey: Survey, column: str) -> bool:
    """Long strings of words that hardly repeat: what people write about one item."""
    cells = survey.texts(column)[:_LOOKED_AT]
    if not cells or _repeats(survey, column):
        return False
    letters = sum(sum(c.isalpha() or c.isspace() for c in cell) for cell in cells)
    spoken = letters > 0.8 * sum(map(len, cells))
    # A list of tags is for filtering: it is words with separators and no sentence.
    listed = _share(lambda cell: len(re.split(r"[;,|]", cell)) > len(cell.split()) / 2, cells)
    return spoken and _mean_words(cells) >= _CATEGORY_WORDS and listed <= _MOST


def _repeats(survey: Survey, column: str) -> bool:
    cells = survey.texts(column)
    return len(cells) >= _ENOUGH_ROWS and _distinct(survey, column) < _MOST


def _distinct(survey: Survey, column: str) -> float:
    cells = survey.texts(column)
    return len(set(cells)) / len(cells) if cells else 0.0


def _with_metadata(
    survey: Survey, image: str | None, texts: tuple[str, ...], identity: str | None
) -> TableColumns:
    names: dict[str, str] = {}
    kinds: dict[str, Kind] = {}
    for column in survey.columns:
        kind = survey.kinds.get(column)
        if column == image or kind in (None, Kind.NESTED) or _is_long(survey, column):
            continue
        names[column] = safe_column_name(column, names.values())
        is_code = column == identity or (kind is Kind.INT and _CODES.intersection(words_of(column)))
        kinds[column] = Kind.TEXT if is_code or kind is None else kind
    return TableColumns(image, texts, identity, names, kinds)


def _is_long(survey: Survey, column: str) -> bool:
    cells = survey.texts(column)
    return bool(cells) and sum(map(len, cells)) > MAX_METADATA_TEXT * len(cells)


def _mean_words(cells: list[str]) -> float:
    return sum(len(cell.split()) for cell in cells) / len(cells)


def _share(test: Callable[[str], bool], cells: list[str]) -> float:
    return sum(map(test, cells)) / len(cells) if cells else 0.0


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in names) or "none"
