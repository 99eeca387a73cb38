"""Assigns roles to a table's columns: image, texts, id and metadata.

Options take precedence; roles that they leave open are guessed by `roles`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from mmsearch.errors import InputError
from mmsearch.records import Value
from mmsearch.sources.fields import MAX_METADATA_TEXT, safe_column_name
from mmsearch.sources.lists import find_separator, separator_of, split_list
from mmsearch.sources.options import SourceOptions
from mmsearch.sources.roles import find_group, find_ids, find_images, find_texts, words_of
from mmsearch.sources.survey import Survey
from mmsearch.sources.values import Kind, convert

# Columns of digits that are codes, not numbers.
_CODES = frozenset({"sku", "asin", "gtin", "ean", "upc", "isbn", "barcode", "zip", "postcode"})

# Cells of a column of paths, of which one that exists is preferred to a column of bytes.
_TRIED = 20


@dataclass(frozen=True, slots=True)
class TableColumns:
    """The roles of a table's columns, by their original names.

    images: in the order of an item's images. texts: in the order in which they are joined. id:
    None for row numbers. metadata: original name → name in the store, with texts and id unless they
    are too long for filters. kinds: of the metadata columns. group: the column whose value is the
    same in all rows of one item.
    separators: of those of lists, as `find_separator` returns them.
    """

    images: tuple[str, ...]
    texts: tuple[str, ...]
    id: str | None
    metadata: Mapping[str, str] = field(default_factory=dict)
    kinds: Mapping[str, Kind] = field(default_factory=dict)
    group: str | None = None
    separators: Mapping[str, str] = field(default_factory=dict)

    @property
    def image(self) -> str | None:
        """The column of an item's first image."""
        return self.images[0] if self.images else None

    def value(self, column: str, cell: object) -> Value:
        """Converts a cell of a metadata column. Raises ValueError."""
        if column in self.separators:
            return split_list(cell, self.separators[column])
        return convert(cell, self.kinds[column])

    def describe(self) -> str:
        """Describes the roles in one line."""
        shown = {*self.texts, self.id}
        filters = [safe for name, safe in self.metadata.items() if name not in shown]
        parts = (
            f"image: {_quoted(self.images)}",
            f"text: {_quoted(self.texts)}",
            f"id: {_quoted([self.id]) if self.id else 'row number'}",
            *([f"rows grouped by: '{self.group}'"] if self.group else []),
            f"filters: {', '.join(filters) or 'none'}",
        )
        return " · ".join(parts)


def recognise(
    survey: Survey,
    options: SourceOptions,
    *,
    exists: Callable[[str], bool],
    broken: Callable[[Sequence[str], Sequence[str]], Mapping[str, str]],
    pictures: Sequence[str] = (),
    table: str,
) -> TableColumns:
    """Assigns roles to the columns of a table.

    exists: whether a cell names an existing image. broken: which of these columns of ids are none,
    where the value of the second ones may repeat in rows that follow each other. pictures: columns
    of images as bytes. table: its name, for messages. Raises InputError for missing columns.
    """
    _require_columns(survey, options, table)
    images = requested_images(survey, options)
    if images is None:
        images = find_images(survey, exists)
        if pictures and not (images and any(map(exists, survey.texts(images[0])[:_TRIED]))):
            images = tuple(pictures)
    others = [name for name in survey.columns if name not in images]
    group = options.group_by
    if group is None and options.id_column is None:
        group = find_group(survey, options.text_columns or find_texts(survey, others))
        if group is not None and broken([group], [group]):
            group = None
    identity = options.id_column or group
    if identity is None:
        candidates = find_ids(survey, {*images, *options.text_columns})
        faults = broken(candidates, ()) if candidates else {}
        identity = next((name for name in candidates if name not in faults), None)
    others = [name for name in others if name != identity]
    texts = options.text_columns or tuple(find_texts(survey, others))
    named = (each.rpartition("=") for each in options.columns)
    typed = {name.strip(): kind.strip() for name, _, kind in named}
    return _with_metadata(survey, TableColumns(images, texts, identity, group=group), typed)


def require_content(survey: Survey, columns: TableColumns, table: str) -> None:
    """Raises InputError for a table with neither images nor texts. table: its name."""
    if not columns.images and not columns.texts:
        raise InputError(
            f"{table} has no column of pictures or texts; say which it is with `image_column` or "
            f"`text_columns`, its columns are {_quoted(survey.columns)}"
        )


def requested_images(survey: Survey, options: SourceOptions) -> tuple[str, ...] | None:
    """Returns the columns of images that the options name; None if they leave it open.

    'none' stands for no column, unless one is called so.
    """
    requested = options.image_column
    if requested is None or requested in survey.columns:
        return None if requested is None else (requested,)
    if requested.lower() == "none":
        return ()
    return tuple(name.strip() for name in requested.split(",") if name.strip())


def _require_columns(survey: Survey, options: SourceOptions, table: str) -> None:
    requested = {
        "image_column": requested_images(survey, options) or (),
        "text_columns": options.text_columns,
        "id_column": [options.id_column] if options.id_column else [],
        "group_by": [options.group_by] if options.group_by else [],
    }
    for parameter, names in requested.items():
        for name in names:
            if name not in survey.columns:
                raise InputError(
                    f"`{parameter}`: {table} has no column '{name}'; its columns are "
                    f"{_quoted(survey.columns)}"
                )


def _with_metadata(survey: Survey, roles: TableColumns, typed: Mapping[str, str]) -> TableColumns:
    """Adds the columns of metadata. typed: the kinds that the user named."""
    names: dict[str, str] = {}
    kinds: dict[str, Kind] = {}
    separators: dict[str, str] = {}
    taken: set[str] = set()
    for column in survey.columns:
        kind = survey.kinds.get(column)
        if column in roles.images or kind in (None, Kind.NESTED) or _is_long(survey, column):
            continue
        names[column] = safe_column_name(column, taken)
        taken.add(names[column])
        is_code = column == roles.id or (kind is Kind.INT and _CODES.intersection(words_of(column)))
        kinds[column] = Kind.TEXT if is_code or kind is None else kind
        cells = [row.get(column) for row in survey.sample]
        separator = None
        if typed.get(column) == "list":
            separator = separator_of(cells) or ""
        elif kind is Kind.TEXT and not is_code and column not in typed:
            separator = find_separator(column, cells)
        if separator is not None:
            kinds[column], separators[column] = Kind.LIST, separator
    return replace(roles, metadata=names, kinds=kinds, separators=separators)


def _is_long(survey: Survey, column: str) -> bool:
    cells = survey.texts(column)
    return bool(cells) and sum(map(len, cells)) > MAX_METADATA_TEXT * len(cells)


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in names) or "none"
