"""Assigns roles to a table's columns: image, texts, id and metadata.

Options take precedence; roles that they leave open are guessed by `roles`.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from mmsearch.errors import InputError
from mmsearch.sources.fields import MAX_METADATA_TEXT, safe_column_name
from mmsearch.sources.options import SourceOptions
from mmsearch.sources.roles import find_id, find_image, find_texts, words_of
from mmsearch.sources.survey import Survey
from mmsearch.sources.values import Kind

# Columns of digits that are codes, not numbers.
_CODES = frozenset({"sku", "asin", "gtin", "ean", "upc", "isbn", "barcode", "zip", "postcode"})


@dataclass(frozen=True, slots=True)
class TableColumns:
    """The roles of a table's columns, by their original names.

    texts: in the order in which they are joined. metadata: original name → name in the store, with
    texts and id unless they are too long for filters. kinds: of the metadata columns.
    """

    image: str | None
    texts: tuple[str, ...]
    id: str | None
    metadata: Mapping[str, str] = field(default_factory=dict)
    kinds: Mapping[str, Kind] = field(default_factory=dict)

    def describe(self) -> str:
        """Describes the roles in one line."""
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
    """Assigns roles to the columns of a table.

    exists: whether a cell names an existing image. table: its name, for messages. Raises InputError
    for missing columns, and for a table with neither images nor texts.
    """
    _require_columns(survey, options, table)
    image = options.image_column or find_image(survey, exists)
    identity = options.id_column or find_id(survey, taken={image, *options.text_columns})
    others = [name for name in survey.columns if name not in (image, identity)]
    texts = options.text_columns or tuple(find_texts(survey, others))
    if survey.rows and image is None and not texts and not options.gives_vectors:
        raise InputError(
            f"{table} has no column of pictures or texts; say which it is with `image_column` or "
            f"`text_columns`, its columns are {_quoted(survey.columns)}"
        )
    return _with_metadata(survey, image, texts, identity)


def _require_columns(survey: Survey, options: SourceOptions, table: str) -> None:
    requested = {
        "image_column": [options.image_column] if options.image_column else [],
        "text_columns": options.text_columns,
        "id_column": [options.id_column] if options.id_column else [],
    }
    for parameter, names in requested.items():
        for name in names:
            if name not in survey.columns:
                raise InputError(
                    f"`{parameter}`: {table} has no column '{name}'; its columns are "
                    f"{_quoted(survey.columns)}"
                )


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


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in names) or "none"
