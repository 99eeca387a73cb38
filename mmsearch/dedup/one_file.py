"""Merges items that are one file indexed under several names, which is not a copy of itself.

Sources may overlap, and links give a file more names. Rows of one table that name the same file
stay separate: they are different products.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace

from mmsearch.dedup.items import Item
from mmsearch.dedup.tiers.texts import normalised
from mmsearch.records import real_path


def without_other_names(items: Sequence[Item]) -> list[Item]:
    """The items in their order, each file once, preferably by an item with a text.

    An item is protected if any of its names is.
    """
    by_content: dict[tuple[str, str], list[Item]] = defaultdict(list)
    for item in items:
        if item.uri:
            # Only files with equal content can be one file, so few need a stat call.
            by_content[item.image_hash, "" if item.image_hash else item.text].append(item)
    changed: dict[int, Item | None] = {}
    for alike in by_content.values():
        if len({(item.source, item.uri) for item in alike}) > 1:
            for names in _by_file(alike):
                changed.update(_reduced(names))
    chosen = (changed.get(item.uid, item) for item in items)
    return [item for item in chosen if item is not None]


def _by_file(items: Sequence[Item]) -> Iterator[list[Item]]:
    by_file: dict[tuple[int, int], list[Item]] = defaultdict(list)
    for item in items:
        try:
            status = real_path(item.uri).stat()
        except (OSError, ValueError):
            continue
        by_file[status.st_dev, status.st_ino].append(item)
    return iter(by_file.values())


def _reduced(names: Sequence[Item]) -> Iterator[tuple[int, Item | None]]:
    """Yields uids of items that are one file; None for redundant names."""
    chosen = min(names, key=lambda item: (not normalised(item.text), item.uid))
    protected = any(item.protected for item in names)
    for item in names:
        is_chosen = (item.source, item.uri) == (chosen.source, chosen.uri)
        yield item.uid, replace(item, protected=protected) if is_chosen else None
