"""Labelled sets: items, and the distinct images and texts that they share.

Equal captions are one text and files with equal bytes are one image, so that a duplicate counts as
relevant too. All other modules use positions in these two pools.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mmsearch.errors import InputError
from mmsearch.media import content_hash
from mmsearch.progress import ProgressListener
from mmsearch.records import Failure, Record, Value, printable_path
from mmsearch.sources import Source, safe_column_name
from mmsearch.text import first_line, visible

# The position of a missing image or text.
NONE = -1


@dataclass(frozen=True, slots=True)
class LabelledItem:
    """An item with labels.

    image, text: positions in the pools, or NONE. label: its class; group: items of a group are
    variants of each other; None where unknown.
    """

    key: str
    image: int
    text: int
    label: str | None
    group: str | None


@dataclass(slots=True)
class Pool:
    """The distinct images and texts of a labelled set. titles: of the images."""

    images: list[Path] = field(default_factory=list)
    titles: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    _hashes: dict[str, int] = field(default_factory=dict)
    _words: dict[str, int] = field(default_factory=dict)

    def add_image(self, path: Path, title: str = "") -> int:
        """Adds an image and returns its position. Raises UnreadableMedia."""
        position = self._hashes.setdefault(content_hash(path), len(self.images))
        if position == len(self.images):
            self.images.append(path)
            self.titles.append(title or visible(printable_path(path.name)))
        return position

    def add_text(self, text: str) -> int:
        """Adds a text and returns its position; case and white space are ignored."""
        position = self._words.setdefault(" ".join(text.casefold().split()), len(self.texts))
        if position == len(self.texts):
            self.texts.append(text)
        return position


@dataclass(frozen=True, slots=True)
class LabelledSet:
    """Labelled items with their pool, and what could not be read."""

    items: Sequence[LabelledItem]
    pool: Pool
    failures: Sequence[Failure]


def read_catalog(
    sources: Sequence[Source],
    *,
    classes: str | None,
    group: str | None,
    progress: ProgressListener,
) -> LabelledSet:
    """Reads a labelled set from sources.

    classes, group: columns with each item's class and group, by their original name or that in the
    store. Raises InputError if there are no items, or none has such a column.
    """
    pool, failures, items = Pool(), list[Failure](), list[LabelledItem]()
    columns: dict[str, None] = {}
    for source in sources:
        progress.start(f"reading {source.name}", None)
        for record in source:
            progress.advance(1)
            if isinstance(record, Failure):
                failures.append(record)
            else:
                columns.update(dict.fromkeys(record.metadata))
                items += _items(record, pool, failures, classes=classes, group=group)
    if not items:
        raise InputError("nothing to evaluate: the source holds no readable image or text")
    for name, column in (("classes", classes), ("group", group)):
        if column is not None:
            require_column(f"`{name}`", column, columns)
    return LabelledSet(items, pool, failures)


def _items(
    record: Record, pool: Pool, failures: list[Failure], *, classes: str | None, group: str | None
) -> Iterator[LabelledItem]:
    image = text = NONE
    if record.image is not None:
        try:
            image = pool.add_image(record.image, first_line(record.text or ""))
        except InputError as error:
            failures.append(Failure(record.key, record.uri, "read", str(error)))
    if record.text is not None:
        text = pool.add_text(record.text)
    if image != NONE or text != NONE:
        yield LabelledItem(record.key, image, text, cell(record, classes), cell(record, group))


def cell(record: Record, column: str | None) -> str | None:
    """Returns the record's value in a column, by its original name or that in the store."""
    if column is None:
        return None
    value: Value = record.metadata.get(column, record.metadata.get(_safe(column)))
    if isinstance(value, list):
        return "; ".join(value)
    return str(value).strip() or None if value is not None else None


def require_column(parameter: str, column: str, columns: Collection[str]) -> None:
    """Raises InputError unless the column exists. columns: by their names in the store."""
    if not {column, _safe(column)} & set(columns):
        raise InputError(
            f"{parameter}: no item has a column '{column}'; there are "
            f"{', '.join(columns) or 'none'}"
        )


def _safe(column: str) -> str:
    return safe_column_name(column, ())
