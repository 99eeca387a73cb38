"""A catalog becomes items to train on: pictures, texts, classes, and groups that stay together.

What `index` reads can be trained on. Items need not have both modalities; a class's name is a text
for its pictures. A picture that cannot be read costs its item that picture, never the run.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from mmsearch.errors import InputError
from mmsearch.evaluation.labels import cell, require_column
from mmsearch.evaluation.zero_shot import class_title
from mmsearch.finetuning.data.fingerprints import Prints, read_prints
from mmsearch.finetuning.data.groups import RawItem, group_items
from mmsearch.media import MediaBounds
from mmsearch.progress import ProgressListener
from mmsearch.records import Failure, Record
from mmsearch.sources import Source, TableSource
from mmsearch.sources.captions import TEXT_FIELDS

SplitName: TypeAlias = Literal["train", "val", "test"]
SPLIT_NAMES: tuple[SplitName, ...] = get_args(SplitName)

# No class.
UNLABELLED = -1
# Fewer leave nothing to validate and to test with.
FEWEST_ITEMS = 10
FEWEST_GROUPS = 3
_SPLIT_WORDS: dict[str, SplitName] = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
}
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class TrainItem:
    """texts: all its own texts, the one that `index` encodes first; one is drawn per use.

    group: items of one product, of equal bytes or of nearly the same picture share it, and no split
    parts them. label: a place in TrainCatalog.classes, or UNLABELLED. split: what a column says.
    """

    key: str
    picture: Path | None
    texts: tuple[str, ...]
    group: int
    label: int
    split: SplitName | None = None


@dataclass(frozen=True, slots=True)
class TrainCatalog:
    """classes: as labelled, in alphabetical order. failures: what could not be read.

    notes: what the user should know of how the items were understood.
    """

    items: Sequence[TrainItem]
    classes: tuple[str, ...] = ()
    failures: Sequence[Failure] = ()
    notes: Sequence[str] = ()

    @property
    def class_titles(self) -> tuple[str, ...]:
        """The classes as they stand in prompts."""
        return tuple(class_title(name) for name in self.classes)


@dataclass(frozen=True, slots=True)
class _Columns:
    classes: str | None
    group: str | None
    split: str | None
    texts: tuple[str, ...]

    def named(self) -> Iterator[tuple[str, str]]:
        """Each with the parameter that names it."""
        one = (("classes", self.classes), ("group", self.group), ("split_column", self.split))
        yield from ((f"`{parameter}`", name) for parameter, name in one if name is not None)
        yield from (("`FinetuneOptions.text_columns`", name) for name in self.texts)


@dataclass(slots=True)
class _Reading:
    items: list[RawItem] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    names: dict[str, None] = field(default_factory=dict)


def read_train_catalog(
    sources: Sequence[Source],
    *,
    progress: ProgressListener,
    classes: str | None = None,
    group: str | None = None,
    split_column: str | None = None,
    text_columns: Sequence[str] = (),
    near_duplicates: bool = True,
    bounds: MediaBounds | None = None,
) -> TrainCatalog:
    """classes, group, split_column: of each item's class, product and split, by either name.

    text_columns: each of them is a text of its own, beside the one that `index` encodes. Where none
    is named, those that the source joins into that one are. near_duplicates: look for pictures that
    are nearly the same, which takes up to a minute for 3,000 of them.
    Raises InputError, in one line, if there is too little to train on or a column is missing.
    """
    columns = _Columns(classes, group, split_column, tuple(text_columns))
    reading = _Reading()
    for source in sources:
        progress.start(f"reading {source.name}", None)
        own = columns.texts or _joined_columns(source)
        for record in source:
            progress.advance(1)
            if isinstance(record, Failure):
                reading.failures.append(record)
            else:
                reading.names.update(dict.fromkeys(record.metadata))
                reading.items.append(_raw(record, columns, own))
    for flag, name in columns.named():
        require_column(flag, name, reading.names)
    prints = read_prints(
        [item.picture for item in reading.items], bounds or MediaBounds(), progress
    )
    items, prints = _without_broken(reading, prints)
    _require_enough(items, columns)
    groups = group_items(items, prints, near_duplicates=near_duplicates, progress=progress)
    return _catalog(items, groups, reading.failures)


def _joined_columns(source: Source) -> tuple[str, ...]:
    """The columns whose cells the source joins into an item's text."""
    return source.columns.texts if isinstance(source, TableSource) else TEXT_FIELDS


def _raw(record: Record, columns: _Columns, text_columns: Sequence[str]) -> RawItem:
    texts = (record.text, *(cell(record, name) for name in text_columns))
    return RawItem(
        record.key,
        record.uri,
        record.image,
        tuple(dict.fromkeys(text for text in texts if text)),
        group=cell(record, columns.group),
        label=cell(record, columns.classes),
        split=cell(record, columns.split),
    )


def _without_broken(reading: _Reading, prints: Prints) -> tuple[list[RawItem], Prints]:
    """The items that still have something to train on, and their fingerprints."""
    items, kept = [], []
    for place, item in enumerate(reading.items):
        if (reason := prints.broken.get(place)) is not None:
            reading.failures.append(Failure(item.key, item.uri, "decode", reason))
            item = replace(item, picture=None)
        if item.picture is not None or item.texts:
            items.append(item)
            kept.append(place)
    return items, prints.of(kept)


def _require_enough(items: Sequence[RawItem], columns: _Columns) -> None:
    if len(items) < FEWEST_ITEMS:
        raise InputError(
            f"too little to fine-tune on: {len(items)} items can be read, at least "
            f"{FEWEST_ITEMS} are needed to train, validate and test; add more"
        )
    if not any(item.picture for item in items):
        raise InputError("nothing to fine-tune on: no item has a picture; name `image_column`")
    labels = {item.label for item in items if item.picture and item.label}
    if columns.classes and len(labels) == 1:
        raise InputError(
            f"`classes`: all pictures have the one class '{min(filter(None, labels))}'; a column "
            "with at least two classes is needed, or none"
        )
    if not labels and not any(item.picture and item.texts for item in items):
        raise InputError(
            "nothing to fine-tune on: no picture has a text; name the columns of texts with "
            "`text_columns`, or the column of class names with `classes`"
        )


def _catalog(
    raws: Sequence[RawItem], groups: Sequence[int], failures: Sequence[Failure]
) -> TrainCatalog:
    if len(set(groups)) < FEWEST_GROUPS:
        raise InputError(
            f"the {len(raws)} items are {len(set(groups))} groups of one product or picture; at "
            f"least {FEWEST_GROUPS} are needed, since no group may be in two splits"
        )
    classes = tuple(sorted({raw.label for raw in raws if raw.label is not None}))
    label = {name: place for place, name in enumerate(classes)}
    items = [
        TrainItem(
            raw.key,
            raw.picture,
            raw.texts,
            group,
            UNLABELLED if raw.label is None else label[raw.label],
            _split_name(raw),
        )
        for raw, group in zip(raws, groups, strict=True)
    ]
    return TrainCatalog(items, classes, tuple(failures), tuple(_notes(items, classes)))


def _split_name(raw: RawItem) -> SplitName | None:
    if raw.split is None:
        return None
    name = _SPLIT_WORDS.get(raw.split.casefold())
    if name is None:
        raise InputError(
            f"`split_column`: {raw.key} says '{raw.split}'; the column must say train, val or test"
        )
    return name


def _notes(items: Sequence[TrainItem], classes: Sequence[str]) -> Iterator[str]:
    groups = len({item.group for item in items})
    pictures = sum(item.picture is not None for item in items)
    texts = sum(bool(item.texts) for item in items)
    yield f"{len(items):,} items in {groups:,} groups: {pictures:,} pictures, {texts:,} with texts"
    counts = Counter(item.label for item in items)
    single = [name for place, name in enumerate(classes) if counts[place] == 1]
    if single:
        shown = ", ".join(single[:_SHOWN]) + (", …" if len(single) > _SHOWN else "")
        yield (
            f"{len(single)} of {len(classes)} classes have one item, which is trained on and not "
            f"measured: {shown}"
        )
