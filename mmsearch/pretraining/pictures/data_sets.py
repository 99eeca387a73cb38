"""The picture sets that `--data NAME=PATH` may name, and any catalog that `mmsearch index` reads.

A reader takes the path of an unpacked package and yields Pictures in a fixed order; a path that is
not what it expects is an InputError that says what was looked for.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from mmsearch.pretraining.pictures.data import Picture, concept_of
from mmsearch.pretraining.pictures.emoji import (
    Reader,
    emoji_3d_reader,
    emoji_png_reader,
    iconify_reader,
)
from mmsearch.pretraining.pictures.openclipart import read_openclipart
from mmsearch.pretraining.pictures.photos import read_clothing, read_grocery
from mmsearch.records import Record
from mmsearch.sources import SourceOptions, open_source


def read_catalog(path: Path) -> Iterator[Picture]:
    """Any folder or table that `mmsearch index` reads: its items with both picture and text."""
    for item in open_source(path, name="catalog", options=SourceOptions()):
        if isinstance(item, Record) and item.image is not None and item.text:
            lines = [line.strip() for line in item.text.splitlines() if line.strip()]
            yield Picture(
                key=item.key,
                source="catalog",
                concept=concept_of(lines[0]),
                captions=tuple(dict.fromkeys(lines)),
                path=item.image,
                photo=True,
            )


def read_all(data: Mapping[str, Path]) -> Sequence[Picture]:
    """Reads every picture set that is named, in a fixed order."""
    emoji = data.get("emojilib", Path())
    readers: dict[str, Reader] = {
        "openclipart": read_openclipart,
        "emoji-png": emoji_png_reader(emoji),
        "emoji-3d": emoji_3d_reader(emoji),
        "noto": iconify_reader(emoji),
        "noto-v1": iconify_reader(emoji),
        "fxemoji": iconify_reader(emoji),
        "fluent": iconify_reader(emoji),
        "fluent-flat": iconify_reader(emoji),
        "grocery": read_grocery,
        "clothing": read_clothing,
        "catalog": read_catalog,
    }
    return [p for name in readers if name in data for p in readers[name](data[name])]
