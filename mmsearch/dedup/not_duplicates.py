"""Items that a user has marked as not duplicates: stored permanently, and never grouped again.

A stored set holds two or more items, each by its key and its content, and rules out every pair
among them. An item is identified by its content, so that it may be moved, or else by its key, so
that it may be edited. Copies with the same content are distinguished by their keys.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from mmsearch.dedup.items import Item
from mmsearch.dedup.tiers.texts import normalised
from mmsearch.errors import CorruptIndex
from mmsearch.records import Floats, Ids
from mmsearch.store import Store
from mmsearch.store.filters import LIVE
from mmsearch.store.user_state import changing_section, read_section

SECTION = "not_duplicates"
# By the index of a stored set, which of its items an item of the store may be.
_Roles = Mapping[int, frozenset[int]]
_NO_ROLES: _Roles = {}


@dataclass(frozen=True, slots=True)
class MarkedItem:
    """An item as the user saw it.

    content: hash of its image, else of its normalised text.
    """

    key: str
    content: str

    @classmethod
    def of(cls, item: Item) -> Self:
        """Identifies an item."""
        return cls(item.key, item.image_hash or text_content(item.text))


@dataclass(frozen=True, slots=True)
class RememberedSet:
    """Items of which no two are duplicates.

    name: of the group they formed, else of the set.
    since: time of the mark, in ISO format.
    """

    name: str
    since: str
    items: tuple[MarkedItem, ...]


class NotDuplicates:
    """Pairs among the items of one run that the user has ruled out."""

    def __init__(self, roles: Mapping[int, _Roles] | None = None) -> None:
        """Takes the roles by the index of an item, for items in any stored set."""
        self._roles = roles or {}

    @classmethod
    def among(
        cls,
        marked: Sequence[MarkedItem],
        remembered: Sequence[RememberedSet],
        present: Iterable[str],
    ) -> Self:
        """Matches the items of a run with stored sets.

        marked: the items in the order of the indices of pairs.
        present: all keys of the store, including items outside of the run.
        """
        if not remembered:
            return cls()
        present = set(present)
        by_content: dict[str, list[tuple[int, int]]] = defaultdict(list)
        by_key: dict[str, list[tuple[int, int]]] = defaultdict(list)
        for number, each in enumerate(remembered):
            for role, item in enumerate(each.items):
                by_content[item.content].append((number, role))
                by_key[item.key].append((number, role))
        roles: dict[int, _Roles] = {}
        for place, item in enumerate(marked):
            numbers = {n for n, _ in (*by_content[item.content], *by_key[item.key])}
            own = {n: _roles_of(item, remembered[n].items, present) for n in sorted(numbers)}
            if any(own.values()):
                roles[place] = {n: which for n, which in own.items() if which}
        return cls(roles)

    def rules_out(self, one: int, two: int) -> bool:
        """Whether two items, by index, are not duplicates."""
        return _conflict(self._roles.get(one, _NO_ROLES), self._roles.get(two, _NO_ROLES))

    def allowed(self, pairs: Ids) -> NDArray[np.bool_]:
        """Mask of the pairs that are not ruled out, bool (m,).

        pairs: int64 (m, 2), indices of items.
        """
        allowed = np.ones(len(pairs), np.bool_)
        if self._roles:
            named = np.fromiter(self._roles, np.int64, len(self._roles))
            for row in np.flatnonzero(np.isin(pairs, named).all(axis=1)).tolist():
                allowed[row] = not self.rules_out(*pairs[row].tolist())
        return allowed

    def split(self, groups: Sequence[list[int]], pairs: Ids, scores: Floats) -> list[list[int]]:
        """Splits groups so that none contains a ruled out pair, even indirectly.

        A group is rebuilt from its strongest pairs first, as far as the marks allow.

        groups: ascending indices of items.
        pairs, scores: int64 (m, 2) and float (m,), the pairs that formed the groups.
        """
        group_of = {
            place: number
            for number, group in enumerate(groups)
            if self._divided(group)
            for place in group
        }
        if not group_of:
            return list(groups)
        inside: dict[int, list[tuple[int, int]]] = defaultdict(list)
        order = np.lexsort((pairs[:, 1], pairs[:, 0], -scores))
        for one, two in pairs[order].tolist():
            if one in group_of and group_of[one] == group_of.get(two):
                inside[group_of[one]].append((one, two))
        parts = [
            part
            for number, group in enumerate(groups)
            for part in (self._parts(inside[number]) if group[0] in group_of else [group])
        ]
        return sorted(parts)

    def _divided(self, group: Sequence[int]) -> bool:
        named = [place for place in group if place in self._roles]
        together: dict[int, frozenset[int]] = {}
        for place in named:
            if _conflict(together, self._roles[place]):
                return True
            together = _united(together, self._roles[place])
        return False

    def _parts(self, pairs: Iterable[tuple[int, int]]) -> list[list[int]]:
        """Merges pairs into clusters of two or more, skipping merges that are ruled out."""
        cluster: dict[int, list[int]] = {}
        roles: dict[int, _Roles] = {}
        for pair in pairs:
            one, two = (cluster.setdefault(place, [place]) for place in pair)
            if one is two:
                continue
            # The roles of a cluster are stored under its first index.
            first, second = (roles.get(c[0], self._roles.get(c[0], _NO_ROLES)) for c in (one, two))
            if _conflict(first, second):
                continue
            roles[one[0]] = _united(first, second)
            one += two
            for place in two:
                cluster[place] = one
        found = {id(each): sorted(each) for each in cluster.values() if len(each) > 1}
        return list(found.values())


def text_content(text: str) -> str:
    """Content hash of an item without an image."""
    digest = hashlib.blake2b(normalised(text).encode("utf-8", "backslashreplace"), digest_size=16)
    return f"text:{digest.hexdigest()}"


def ruled_out_pairs(marked: Sequence[MarkedItem], store: Store) -> NotDuplicates:
    """The pairs among the items that the store's user has ruled out. Raises CorruptIndex."""
    remembered = read_remembered(store.folder)
    keys = store.scan(["key"], LIVE).column("key").to_pylist() if remembered else []
    return NotDuplicates.among(marked, remembered, keys)


def read_remembered(folder: Path) -> list[RememberedSet]:
    """Reads the stored sets, oldest first. Raises CorruptIndex.

    folder: of the store.
    """
    return [_parsed(each) for each in read_section(folder, SECTION)]


def remember(folder: Path, items: Iterable[MarkedItem], *, name: str = "") -> RememberedSet:
    """Rules out every pair among the items permanently. name: of the group that they formed."""
    ordered = tuple(sorted(set(items), key=lambda item: (item.key, item.content)))
    since = datetime.now(UTC).isoformat(timespec="seconds")
    new = RememberedSet(name or _name(ordered), since, ordered)
    with changing_section(folder, SECTION) as objects:
        if not any(_parsed(each).items == ordered for each in objects):
            objects.append(asdict(new))
    return new


def forget_set(folder: Path, name: str) -> int:
    """Removes the sets with a name, and returns how many there were."""
    with changing_section(folder, SECTION) as objects:
        before = len(objects)
        objects[:] = [each for each in objects if each["name"] != name]
        return before - len(objects)


def forget_pair(folder: Path, one: MarkedItem, two: MarkedItem) -> int:
    """Allows a pair of items again, and returns how many sets ruled it out."""
    with changing_section(folder, SECTION) as objects:
        left: list[dict[str, Any]] = []
        count = 0
        for each in map(_parsed, objects):
            first, second = (_found(item, each.items) for item in (one, two))
            if first is None or second is None or first == second:
                left.append(asdict(each))
                continue
            count += 1
            for gone in (first, second):
                items = tuple(item for item in each.items if item != gone)
                if len(items) > 1:
                    left.append(asdict(RememberedSet(_name(items), each.since, items)))
        objects[:] = left
        return count


def _parsed(fields: Mapping[str, Any]) -> RememberedSet:
    try:
        items = tuple(MarkedItem(**item) for item in fields["items"])
        return RememberedSet(fields["name"], fields["since"], items)
    except (KeyError, TypeError) as fault:
        raise CorruptIndex(
            f"the store's user state has a damaged entry of '{SECTION}' ({fault}); restore "
            "user_state.json from a backup"
        ) from fault


def _roles_of(
    item: MarkedItem, remembered: Sequence[MarkedItem], present: set[str]
) -> frozenset[int]:
    """Which of the stored items this one is, or may be. present: all keys of the store."""
    same = [role for role, each in enumerate(remembered) if each.content == item.content]
    if not same:
        return frozenset(r for r, each in enumerate(remembered) if each.key == item.key)
    named = [role for role in same if remembered[role].key == item.key]
    if named or len(same) == 1:
        return frozenset(named or same)
    # One of several copies with the same content has moved: it may be any with a missing key.
    return frozenset(role for role in same if remembered[role].key not in present)


def _conflict(one: _Roles, two: _Roles) -> bool:
    return any(one[n] != two[n] or len(one[n]) > 1 for n in one.keys() & two.keys())


def _united(one: _Roles, two: _Roles) -> dict[int, frozenset[int]]:
    return {n: one.get(n, frozenset()) | two.get(n, frozenset()) for n in one.keys() | two.keys()}


def _found(item: MarkedItem, items: Sequence[MarkedItem]) -> MarkedItem | None:
    """The stored item that matches: by content and key, by content, or by key."""
    ranked = sorted(items, key=lambda each: (each.content != item.content, each.key != item.key))
    best = ranked[0]
    return best if best.content == item.content or best.key == item.key else None


def _name(items: Sequence[MarkedItem]) -> str:
    said = "\n".join(f"{item.key} {item.content}" for item in items)
    return hashlib.blake2b(said.encode("utf-8", "backslashreplace"), digest_size=5).hexdigest()
