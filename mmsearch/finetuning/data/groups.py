"""Groups of items that must not be separated by a split, and the fingerprints that find them.

Items belong together if they are one product, have equal image files or near-duplicate images, or
share a text that only one product can have: see `_same_text`.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np

from mmsearch.arrays import connected_components
from mmsearch.dedup.thumbnails.edited_copies import find_edited
from mmsearch.dedup.thumbnails.fingerprints import SIDE, read_print
from mmsearch.dedup.tiers.texts import normalised
from mmsearch.errors import InputError
from mmsearch.evaluation.zero_shot import class_title
from mmsearch.media import MediaBounds, content_hash
from mmsearch.progress import ProgressListener
from mmsearch.records import Pixels

# A text of at least this share of all items describes a kind of item, not one product: the smallest
# split is usually a tenth, and a group must not outgrow it.
_KIND_SHARE = 0.05
# A text of at least half of a class's items describes the class.
_CLASS_SHARE = 0.5
# Thumbnails have 256 patches. A drawing with fewer textured ones resembles too many others; a patch
# is flat if its standard deviation is below this.
_LEAST_TEXTURED, _FLAT_LEVELS = 64, 4.0
_THREADS, _BATCH = 4, 256


@dataclass(frozen=True, slots=True)
class RawItem:
    """An item as its source yields it; the first of its texts is the one that `index` encodes."""

    key: str
    path: str
    image: Path | None
    texts: tuple[str, ...]
    group: str | None = None
    label: str | None = None
    split: str | None = None


@dataclass(frozen=True, slots=True)
class Fingerprints:
    """Content hashes and thumbnails of items' images.

    hashes: by item, None without an image. rows: row in `thumbnails` by hash.
    thumbnails: uint8 (d, SIDE, SIDE), of the d distinct files. failures: reasons by item.
    """

    hashes: Sequence[str | None]
    rows: dict[str, int]
    thumbnails: Pixels
    failures: dict[int, str]

    def of(self, items: Sequence[int]) -> "Fingerprints":
        """Returns the fingerprints of some of the items; failed ones have no hash."""
        hashes = [None if item in self.failures else self.hashes[item] for item in items]
        return Fingerprints(hashes, self.rows, self.thumbnails, {})


def read_fingerprints(
    images: Sequence[Path | None], bounds: MediaBounds, progress: ProgressListener
) -> Fingerprints:
    """Reads each item's image once; equal files are decoded once."""
    given = [(item, path) for item, path in enumerate(images) if path is not None]
    hashes: list[str | None] = [None] * len(images)
    failures: dict[int, str] = {}
    undecodable: dict[str, str] = {}
    rows: dict[str, int] = {}
    thumbnails: list[Pixels] = []
    progress.start("reading images", len(given))
    with ThreadPoolExecutor(_THREADS) as threads:
        for start in range(0, len(given), _BATCH):
            part = given[start : start + _BATCH]
            new: dict[str, Path] = {}
            found = threads.map(_hash, [path for _, path in part])
            for (item, path), (digest, reason) in zip(part, found, strict=True):
                if digest is None:
                    failures[item] = reason
                    continue
                hashes[item] = digest
                if digest not in rows and digest not in undecodable:
                    new.setdefault(digest, path)
            decoded = threads.map(lambda path: _thumbnail(path, bounds), new.values())
            for digest, thumbnail in zip(new, decoded, strict=True):
                if isinstance(thumbnail, str):
                    undecodable[digest] = thumbnail
                else:
                    rows[digest] = len(thumbnails)
                    thumbnails.append(thumbnail)
            progress.advance(len(part))
    for item, digest in enumerate(hashes):
        if digest in undecodable:
            failures[item] = undecodable[digest]
    stacked = np.stack(thumbnails) if thumbnails else np.zeros((0, SIDE, SIDE), np.uint8)
    return Fingerprints(hashes, rows, stacked, failures)


def _hash(path: Path) -> tuple[str | None, str]:
    try:
        return content_hash(path), ""
    except InputError as error:
        return None, str(error)


def _thumbnail(path: Path, bounds: MediaBounds) -> Pixels | str:
    """Returns a thumbnail, uint8 (SIDE, SIDE), or the reason why there is none."""
    try:
        return read_print(path, bounds).thumbnail
    except InputError as error:
        return str(error)


def group_items(
    items: Sequence[RawItem],
    fingerprints: Fingerprints,
    *,
    near_duplicates: bool,
    progress: ProgressListener,
) -> list[int]:
    """Returns the number of each item's group, in order of first appearance."""
    pairs = [_equal([item.group for item in items]), _equal(fingerprints.hashes), _same_text(items)]
    if near_duplicates:
        progress.start("looking for near-duplicate images", None)
        pairs.append(_near_duplicates(fingerprints))
    numbers: list[int] = connected_components(len(items), chain.from_iterable(pairs)).tolist()
    return numbers


def _equal(values: Sequence[str | None]) -> Iterator[tuple[int, int]]:
    first: dict[str, int] = {}
    for item, value in enumerate(values):
        if value is not None and first.setdefault(value, item) != item:
            yield first[value], item


def _near_duplicates(fingerprints: Fingerprints) -> Iterator[tuple[int, int]]:
    first: dict[str, int] = {}
    for item, digest in enumerate(fingerprints.hashes):
        if digest is not None:
            first.setdefault(digest, item)
    digests = sorted(first, key=lambda digest: fingerprints.rows[digest])
    thumbnails = fingerprints.thumbnails[[fingerprints.rows[digest] for digest in digests]]
    for one, other in find_edited(thumbnails).found.pairs.tolist():
        if min(_textured(thumbnails[row]) for row in (one, other)) >= _LEAST_TEXTURED:
            yield first[digests[one]], first[digests[other]]


def _textured(thumbnail: Pixels) -> int:
    """Returns the number of 8 x 8 patches that are not flat. thumbnail: uint8 (SIDE, SIDE)."""
    patches = thumbnail.reshape(SIDE // 8, 8, SIDE // 8, 8).swapaxes(1, 2)
    return int((patches.reshape(-1, 64).std(axis=1) > _FLAT_LEVELS).sum())


def _same_text(items: Sequence[RawItem]) -> Iterator[tuple[int, int]]:
    """Yields pairs of items with an equal text, unless something else explains the text.

    A description shared by all 30 photos of a class must not turn the class into one group, so a
    class name, or a text of half of a class's items, does not count. Neither does a text of several
    classes or of many items, nor any text where a column defines the products.
    """
    holders: dict[str, list[int]] = defaultdict(list)
    for number, item in enumerate(items):
        if item.group is None and item.texts:
            holders[normalised(item.texts[0])].append(number)
    class_sizes = Counter(item.label for item in items if item.texts)
    for text, members in holders.items():
        labels = {items[number].label for number in members}
        if len(members) < 2 or not text or len(members) > max(2, _KIND_SHARE * len(items)):
            continue
        label = next(iter(labels))
        if len(labels) > 1 or (
            label is not None
            and (
                text == normalised(class_title(label))
                or len(members) >= _CLASS_SHARE * class_sizes[label]
            )
        ):
            continue
        yield from ((members[0], number) for number in members[1:])
