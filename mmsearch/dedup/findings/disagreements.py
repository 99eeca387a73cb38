"""Findings from groups of both modalities: where images and texts agree or contradict."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import combinations

from mmsearch.dedup.items import Item
from mmsearch.dedup.results import Finding, Group
from mmsearch.dedup.tiers.texts import excerpt, normalised
from mmsearch.records import Value
from mmsearch.store.rows import text_of

# File metadata does not describe the product.
_FILE_COLUMNS = {"folder", "modified", "bytes", "format"}


def cross_modal_findings(groups: Sequence[Group]) -> Iterator[Finding]:
    """Combines groups of images and groups of texts; deterministic for the same groups."""
    pictures = {
        item.uid: group.id for group in groups if group.family == "picture" for item in group.items
    }
    texts = {
        item.uid: group.id for group in groups if group.family == "text" for item in group.items
    }
    for group in groups:
        if group.family == "picture":
            yield from _one_picture(group, texts)
        elif group.family == "text":
            yield from _one_text(group, pictures)


def _one_picture(group: Group, texts: dict[int, str]) -> Iterator[Finding]:
    with_text = [item for item in group.items if normalised(item.text)]
    by_text: dict[str, list[Item]] = defaultdict(list)
    for item in with_text:
        by_text[texts.get(item.uid, normalised(item.text))].append(item)
    for items in by_text.values():
        if len(items) > 1:
            yield Finding.of("same product twice", items, "picture and text agree")
            yield from _other_attributes(items)
    if len(by_text) > 1:
        firsts = [items[0] for items in by_text.values()]
        said = "; ".join(f"{item.key}: {excerpt(item.text)}" for item in firsts)
        yield Finding.of("same picture, different text", firsts, said)


def _one_text(group: Group, pictures: dict[int, str]) -> Iterator[Finding]:
    shown: dict[str, Item] = {}
    for item in group.items:
        if item.image_hash:
            shown.setdefault(pictures.get(item.uid, item.image_hash), item)
    if len(shown) > 1:
        items = [*shown.values()]
        yield Finding.of("same text, different picture", items, excerpt(group.kept.text))


def _other_attributes(items: Sequence[Item]) -> Iterator[Finding]:
    for one, two in combinations(items, 2):
        differences = [
            f"{name}: {text_of(one.metadata[name])} / {text_of(two.metadata[name])}"
            for name in sorted(one.metadata.keys() & two.metadata.keys())
            if name.lower() not in _FILE_COLUMNS
            and _differ(one.metadata[name], two.metadata[name])
            and not _is_identity(one, one.metadata[name])
        ]
        if differences:
            yield Finding.of("same product, other attributes", (one, two), "; ".join(differences))


def _differ(one: Value, two: Value) -> bool:
    return one is not None and two is not None and one != two


def _is_identity(item: Item, value: Value) -> bool:
    """Whether the value is an id or a path, which differs between any two rows."""
    said = str(value)
    return item.key.endswith(f"/{said}") or (bool(item.uri) and item.uri.endswith(f"/{said}"))
