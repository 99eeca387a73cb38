"""Which items must stay together: of one product, of equal bytes, of nearly the same picture.

Equal texts tie items as well, but only where the text can be one product's: see `_tied_by_text`.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from mmsearch.arrays import connected_components
from mmsearch.dedup.thumbnails.edited_copies import find_edited
from mmsearch.dedup.thumbnails.fingerprints import SIDE
from mmsearch.dedup.tiers.texts import normalised
from mmsearch.evaluation.zero_shot import class_title
from mmsearch.finetuning.data.fingerprints import Prints
from mmsearch.progress import ProgressListener
from mmsearch.records import Pixels

# A text that this share of all items have names a kind of thing, not one: the smallest split is
# usually a tenth, and a group may not outgrow it.
_KIND_SHARE = 0.05
# A text that half of a class's items have describes the class.
_CLASS_SHARE = 0.5
# Of the 256 patches of a thumbnail: a drawing with fewer agrees with too many others. Levels of
# standard deviation below which a patch is flat.
_LEAST_TELLING, _FLAT_LEVELS = 64, 4.0


@dataclass(frozen=True, slots=True)
class RawItem:
    """One item as its source tells it. texts: the one that `index` encodes first."""

    key: str
    uri: str
    picture: Path | None
    texts: tuple[str, ...]
    group: str | None = None
    label: str | None = None
    split: str | None = None


def group_items(
    items: Sequence[RawItem], prints: Prints, *, near_duplicates: bool, progress: ProgressListener
) -> list[int]:
    """The number of each item's group, in order of first appearance."""
    ties = [_equal([item.group for item in items]), _equal(prints.hashes), _tied_by_text(items)]
    if near_duplicates:
        progress.start("looking for near-duplicate pictures", None)
        ties.append(_nearly_equal(prints))
    numbers: list[int] = connected_components(len(items), chain.from_iterable(ties)).tolist()
    return numbers


def _nearly_equal(prints: Prints) -> Iterator[tuple[int, int]]:
    first: dict[str, int] = {}
    for place, digest in enumerate(prints.hashes):
        if digest is not None:
            first.setdefault(digest, place)
    digests = sorted(first, key=lambda digest: prints.rows[digest])
    thumbnails = prints.thumbnails[[prints.rows[digest] for digest in digests]]
    for one, other in find_edited(thumbnails).found.pairs.tolist():
        if min(_telling(thumbnails[row]) for row in (one, other)) >= _LEAST_TELLING:
            yield first[digests[one]], first[digests[other]]


def _telling(thumbnail: Pixels) -> int:
    """thumbnail: uint8 (SIDE, SIDE). How many patches of 8 x 8 show anything."""
    patches = thumbnail.reshape(SIDE // 8, 8, SIDE // 8, 8).swapaxes(1, 2)
    return int((patches.reshape(-1, 64).std(axis=1) > _FLAT_LEVELS).sum())


def _equal(values: Sequence[str | None]) -> Iterator[tuple[int, int]]:
    first: dict[str, int] = {}
    for place, value in enumerate(values):
        if value is not None and first.setdefault(value, place) != place:
            yield first[value], place


def _tied_by_text(items: Sequence[RawItem]) -> Iterator[tuple[int, int]]:
    """Items with an equal text are one product's, unless something else explains the text.

    A class does, where the text is its name or half of its items have it: one description shared by
    the 30 photos of a class must not make the class one group that no split can share. So does a
    group column: it says what a product is. A text of several classes, or of a twentieth of all
    items, is a kind's.
    """
    holders: dict[str, list[int]] = defaultdict(list)
    for place, item in enumerate(items):
        if item.group is None and item.texts:
            holders[normalised(item.texts[0])].append(place)
    sizes = Counter(item.label for item in items if item.texts)
    for text, places in holders.items():
        labels = {items[place].label for place in places}
        if len(places) < 2 or not text or len(places) > max(2, _KIND_SHARE * len(items)):
            continue
        if len(labels) > 1 or _explained(text, next(iter(labels)), len(places), sizes):
            continue
        yield from ((places[0], place) for place in places[1:])


def _explained(text: str, label: str | None, held: int, sizes: Counter[str | None]) -> bool:
    if label is None:
        return False
    return text == normalised(class_title(label)) or held >= _CLASS_SHARE * sizes[label]
