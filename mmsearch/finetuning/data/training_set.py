"""Reads a training set: items with images, texts, classes, and groups that must stay together.

Everything that `index` reads can be trained on. An item may lack a modality; a class name is a text
for the class's images. An item whose image cannot be read keeps its texts.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from mmsearch.errors import InputError
from mmsearch.evaluation.labels import cell, require_column
from mmsearch.evaluation.zero_shot import class_title
from mmsearch.finetuning.data.groups import RawItem, group_items, read_fingerprints
from mmsearch.media import MediaBounds
from mmsearch.progress import ProgressListener
from mmsearch.records import Failure
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
    read: list[RawItem] = []
    failures: list[Failure] = []
    names: dict[str, None] = {}
    for source in sources:
        progress.start(f"reading {source.name}", None)
        joined = source.columns.texts if isinstance(source, TableSource) else TEXT_FIELDS
        for record in source:
            progress.advance(1)
            if isinstance(record, Failure):
                failures.append(record)
                continue
            names.update(dict.fromkeys(record.metadata))
            texts = (record.text, *(cell(record, name) for name in text_columns or joined))
            distinct = tuple(dict.fromkeys(text for text in texts if text))
            # Each image is a positive of the item's texts; none may be in another split.
            own_group = record.key if record.more_images else None
            for number, image in enumerate(record.images or (None,), 1):
                read.append(
                    RawItem(
                        record.key if number == 1 else f"{record.key}#image={number}",
                        image.uri if image else record.uri,
                        image.path if image else None,
                        distinct,
                        group=cell(record, group) or own_group,
                        label=cell(record, classes),
                        split=cell(record, split_column),
                    )
                )
    named = {"`classes`": classes, "`group`": group, "`split_column`": split_column}
    columns = [*named.items(), *(("`FinetuneOptions.text_columns`", name) for name in text_columns)]
    for parameter, column in columns:
        if column is not None:
            require_column(parameter, column, names)
    images = [item.image for item in read]
    fingerprints = read_fingerprints(images, bounds or MediaBounds(), progress)
    items, kept = [], []
    for number, item in enumerate(read):
        if (reason := fingerprints.failures.get(number)) is not None:
            failures.append(Failure(item.key, item.path, "decode", reason))
            item = replace(item, image=None)
        if item.image is not None or item.texts:
            items.append(item)
            kept.append(number)
    _require_enough(items, classes, failures)
    groups = group_items(
        items, fingerprints.of(kept), near_duplicates=near_duplicates, progress=progress
    )
    return _training_set(items, groups, failures)


def _require_enough(
    items: Sequence[RawItem], classes: str | None, failures: Sequence[Failure]
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
    if classes and len(labels) == 1:
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
    labels: dict[str | None, int] = {name: label for label, name in enumerate(classes)}
    labels[None] = UNLABELLED
    items = []
    for raw, group in zip(raws, groups, strict=True):
        split = None if raw.split is None else _SPLIT_WORDS.get(raw.split.casefold())
        if raw.split is not None and split is None:
            raise InputError(f"`split_column`: {raw.key} has '{raw.split}'; use train, val or test")
        items.append(TrainingItem(raw.key, raw.image, raw.texts, group, labels[raw.label], split))
    return TrainingSet(items, classes, tuple(failures), tuple(_notes(items, classes)))


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
