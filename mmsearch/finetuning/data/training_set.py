"""Reads a training set: items with images, texts, classes, and groups that must stay together.

Everything that `index` reads can be trained on. An item may lack a modality; a class name is a text
for the class's images. An item whose image cannot be read keeps its texts.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from mmsearch.errors import InputError
from mmsearch.evaluation.labels import cell, require_column
from mmsearch.evaluation.zero_shot import class_title
from mmsearch.finetuning.data.groups import (
    Fingerprints,
    RawItem,
    group_items,
    read_fingerprints,
)
from mmsearch.media import MediaBounds
from mmsearch.progress import ProgressListener
from mmsearch.records import Failure, Record
from mmsearch.sources import Source, TableSource
from mmsearch.sources.captions import TEXT_FIELDS
from mmsearch.text import one_line

SplitName: TypeAlias = Literal["train", "val", "test"]
SPLIT_NAMES: tuple[SplitName, ...] = get_args(SplitName)

# Label of items without a class.
UNLABELLED = -1
# Minima that leave something to validate and to test on.
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
_SHOWN_TEXT = 40


@dataclass(frozen=True, slots=True)
class TrainingItem:
    """An item to train on.

    texts: its own texts, first the one that `index` encodes; training samples one at a time.
    group: shared by items that no split may separate. label: index into TrainingSet.classes, or
    UNLABELLED. split: as given by a column.
    """

    key: str
    image: Path | None
    texts: tuple[str, ...]
    group: int
    label: int
    split: SplitName | None = None


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """Items to train on; classes are in alphabetical order.

    failures: what could not be read. notes: for the user, on how the items were interpreted.
    """

    items: Sequence[TrainingItem]
    classes: tuple[str, ...] = ()
    failures: Sequence[Failure] = ()
    notes: Sequence[str] = ()

    @property
    def class_titles(self) -> tuple[str, ...]:
        """The class names as used in prompts."""
        return tuple(class_title(name) for name in self.classes)


@dataclass(frozen=True, slots=True)
class _Columns:
    classes: str | None
    group: str | None
    split: str | None
    texts: tuple[str, ...]

    def named(self) -> Iterator[tuple[str, str]]:
        """Yields each column with the parameter that names it."""
        one = (("classes", self.classes), ("group", self.group), ("split_column", self.split))
        yield from ((f"`{parameter}`", name) for parameter, name in one if name is not None)
        yield from (("`FinetuneOptions.text_columns`", name) for name in self.texts)


@dataclass(slots=True)
class _Reading:
    items: list[RawItem] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    names: dict[str, None] = field(default_factory=dict)


def read_training_set(
    sources: Sequence[Source],
    *,
    progress: ProgressListener,
    classes: str | None = None,
    group: str | None = None,
    split_column: str | None = None,
    text_columns: Sequence[str] = (),
    near_duplicates: bool = True,
    bounds: MediaBounds | None = None,
) -> TrainingSet:
    """Reads all sources into one training set.

    classes, group, split_column: columns of an item's class, product and split.
    text_columns: each is a text of its own, beside the one that `index` encodes; by default those
    that the source joins into that one. near_duplicates: whether to group near-duplicate images,
    which takes up to a minute for 3,000 of them.
    Raises InputError if there is too little to train on or a column is missing.
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
    for parameter, name in columns.named():
        require_column(parameter, name, reading.names)
    images = [item.image for item in reading.items]
    fingerprints = read_fingerprints(images, bounds or MediaBounds(), progress)
    items, fingerprints = _without_unreadable(reading, fingerprints)
    _require_enough(items, columns, reading.failures)
    groups = group_items(items, fingerprints, near_duplicates=near_duplicates, progress=progress)
    return _training_set(items, groups, reading.failures)


def _joined_columns(source: Source) -> tuple[str, ...]:
    """Returns the columns that the source joins into an item's text."""
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


def _without_unreadable(
    reading: _Reading, fingerprints: Fingerprints
) -> tuple[list[RawItem], Fingerprints]:
    """Returns the items that have something to train on, and their fingerprints."""
    items, kept = [], []
    for number, item in enumerate(reading.items):
        if (reason := fingerprints.failures.get(number)) is not None:
            reading.failures.append(Failure(item.key, item.path, "decode", reason))
            item = replace(item, image=None)
        if item.image is not None or item.texts:
            items.append(item)
            kept.append(number)
    return items, fingerprints.of(kept)


def _require_enough(
    items: Sequence[RawItem], columns: _Columns, failures: Sequence[Failure]
) -> None:
    if len(items) < FEWEST_ITEMS:
        raise InputError(
            f"too few items to fine-tune on: {len(items)} can be read, but training, validation "
            f"and test need at least {FEWEST_ITEMS}"
        )
    if not any(item.image for item in items):
        if failures:
            raise InputError(
                "no image could be read to fine-tune on; the first failure is "
                f"{failures[0].key}: {failures[0].reason}"
            )
        raise InputError("no item has an image to fine-tune on; set `image_column`")
    labels = {item.label for item in items if item.image and item.label}
    if columns.classes and len(labels) == 1:
        raise InputError(
            f"`classes`: all images are of class '{min(filter(None, labels))}'; name a column with "
            "at least two classes, or none"
        )
    if not labels and not any(item.image and item.texts for item in items):
        raise InputError(
            "no image has a text or a class to fine-tune on; set `text_columns` or `classes`"
        )
    texts = {text for item in items if item.image for text in item.texts}
    if not labels and len(texts) == 1:
        raise InputError(
            f"all images have the same text, '{one_line(min(texts))[:_SHOWN_TEXT]}', so there is "
            "nothing to learn; set `text_columns` to texts that tell the items apart, or `classes`"
        )


def _training_set(
    raws: Sequence[RawItem], groups: Sequence[int], failures: Sequence[Failure]
) -> TrainingSet:
    if len(set(groups)) < FEWEST_GROUPS:
        raise InputError(
            f"the {len(raws)} items form {len(set(groups))} groups of one product or image; at "
            f"least {FEWEST_GROUPS} are needed, because no group may be in two splits"
        )
    classes = tuple(sorted({raw.label for raw in raws if raw.label is not None}))
    labels = {name: label for label, name in enumerate(classes)}
    items = [
        TrainingItem(
            raw.key,
            raw.image,
            raw.texts,
            group,
            UNLABELLED if raw.label is None else labels[raw.label],
            _split_name(raw),
        )
        for raw, group in zip(raws, groups, strict=True)
    ]
    return TrainingSet(items, classes, tuple(failures), tuple(_notes(items, classes)))


def _split_name(raw: RawItem) -> SplitName | None:
    if raw.split is None:
        return None
    name = _SPLIT_WORDS.get(raw.split.casefold())
    if name is None:
        raise InputError(f"`split_column`: {raw.key} has '{raw.split}'; use train, val or test")
    return name


def _notes(items: Sequence[TrainingItem], classes: Sequence[str]) -> Iterator[str]:
    groups = len({item.group for item in items})
    images = sum(item.image is not None for item in items)
    texts = sum(bool(item.texts) for item in items)
    yield f"{len(items):,} items in {groups:,} groups: {images:,} images, {texts:,} with texts"
    counts = Counter(item.label for item in items)
    single = [name for label, name in enumerate(classes) if counts[label] == 1]
    if single:
        shown = ", ".join(single[:_SHOWN]) + (", …" if len(single) > _SHOWN else "")
        yield (
            f"{len(single)} of {len(classes)} classes have a single item, which is not evaluated: "
            f"{shown}"
        )
