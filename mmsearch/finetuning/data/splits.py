"""Splits items into train, validation and test: grouped, stratified, saved and reused.

Groups are never separated. They are placed largest first, each where it brings the class counts and
the total closest to the requested shares, as scikit-learn's StratifiedGroupKFold does for equal
folds. Items of a saved split stay where they are; only new ones are placed.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mmsearch.errors import InputError
from mmsearch.files import write_atomically
from mmsearch.finetuning.data.training_set import SPLIT_NAMES, SplitName, TrainingItem, TrainingSet
from mmsearch.records import Ids, printable_path

DEFAULT_SHARES = (70.0, 20.0, 10.0)
FORMAT_VERSION = 1
FILE_NAME = "split.json"
# The file name until version 0.1.
OLD_FILE_NAME = "split.jsonl"


@dataclass(frozen=True, slots=True)
class Split:
    """Positions in TrainingSet.items, int64, ascending. notes: for the user."""

    train: Ids
    val: Ids
    test: Ids
    notes: tuple[str, ...] = ()

    def of(self, name: SplitName) -> Ids:
        """Returns the positions of one split."""
        return {"train": self.train, "val": self.val, "test": self.test}[name]


@dataclass(frozen=True, slots=True)
class _Group:
    """A group of items that stay together.

    places: positions in the items. allowed: splits that column and file permit.
    settled: those of its items that column or file already place.
    """

    places: tuple[int, ...]
    allowed: frozenset[SplitName]
    settled: frozenset[int]


def split_items(
    training_set: TrainingSet,
    *,
    shares: Sequence[float] = DEFAULT_SHARES,
    seed: int = 0,
    file: Path | None = None,
    allow_straddling: bool = False,
) -> Split:
    """Assigns each item to a split.

    shares: of train, val and test, in any unit. file: where the split is saved and reused.
    Items with a `split` of their own keep it; a split that no item names is taken out of train.
    allow_straddling: separate groups where column or file do. Raises InputError if they do without
    it, or if a split would be empty.
    """
    items, weights = training_set.items, _weights(shares)
    found = saved_split_file(file) if file is not None else None
    saved = read_split_file(found) if found is not None else {}
    allowed = _allowed(items, saved, weights, found)
    whole, separated = _groups(items, allowed)
    assigned, left_out = _place_separated(
        separated, allowed, items, allow=allow_straddling, file=found
    )
    assigned |= _place(items, _placing_order(items, whole, weights, seed), assigned, weights)
    _fill_empty(items, whole, assigned, weights)
    if file is not None:
        kept = {items[place].key: name for place, name in assigned.items()}
        write_split_file(file, {**saved, **kept}, shares=shares, seed=seed)
    train, val, test = (
        np.array(sorted(place for place, at in assigned.items() if at == name), np.int64)
        for name in SPLIT_NAMES
    )
    notes = _notes(assigned, saved, items, left_out=left_out, file=found or file)
    return Split(train, val, test, tuple(notes))


def _weights(shares: Sequence[float]) -> dict[SplitName, float]:
    """Returns the shares by split, which sum to 1."""
    if len(shares) != len(SPLIT_NAMES) or min(shares) < 0 or not (shares[0] > 0 and shares[1] > 0):
        raise InputError(
            "shares must be those of train, val and test, such as 70:20:10, with train and val "
            f"greater than 0, got {':'.join(f'{share:g}' for share in shares)}"
        )
    return {name: share / sum(shares) for name, share in zip(SPLIT_NAMES, shares, strict=True)}


def _allowed(
    items: Sequence[TrainingItem],
    saved: Mapping[str, SplitName],
    weights: Mapping[SplitName, float],
    file: Path | None,
) -> list[frozenset[SplitName] | None]:
    """Returns each item's splits that column and file permit, None if neither has it."""
    named = {item.split for item in items if item.split is not None}
    absent = {name for name in SPLIT_NAMES if name not in named and weights[name] > 0}
    result: list[frozenset[SplitName] | None] = []
    for item in items:
        by_column: frozenset[SplitName] | None = None
        if item.split is not None:
            by_column = frozenset({item.split, *(absent if item.split == "train" else ())})
        if item.key not in saved:
            result.append(by_column)
        elif by_column is None or saved[item.key] in by_column:
            result.append(frozenset({saved[item.key]}))
        else:
            raise InputError(
                f"`split_column` has {item.key} in {item.split}, but {_shown(file)} has it in "
                f"{saved[item.key]}; delete that file to split again"
            )
    return result


def _groups(
    items: Sequence[TrainingItem], allowed: Sequence[frozenset[SplitName] | None]
) -> tuple[list[_Group], list[_Group]]:
    """Returns the groups that stay whole, and those that column or file separate."""
    places: dict[int, list[int]] = defaultdict(list)
    for place, item in enumerate(items):
        places[item.group].append(place)
    whole: list[_Group] = []
    separated: list[_Group] = []
    for members in places.values():
        common = frozenset(SPLIT_NAMES)
        settled = set()
        for place in members:
            limits = allowed[place]
            if limits is not None:
                common &= limits
                settled.add(place)
        group = _Group(tuple(members), common, frozenset(settled))
        (whole if common else separated).append(group)
    return whole, separated


def _place_separated(
    groups: Sequence[_Group],
    allowed: Sequence[frozenset[SplitName] | None],
    items: Sequence[TrainingItem],
    *,
    allow: bool,
    file: Path | None,
) -> tuple[dict[int, SplitName], int]:
    """Returns the splits of items in separated groups, and how many new items are left out.

    A new item may resemble two old ones in different splits, which are never moved: it would leak
    from one into the other wherever it went, so it is left out.
    """
    assigned: dict[int, SplitName] = {}
    left_out, leaks = 0, list[_Group]()
    for group in groups:
        new = len(group.places) - len(group.settled)
        if not new or any(items[place].split for place in group.settled):
            leaks.append(group)
        left_out += new
        for place in group.settled:
            limits = allowed[place] or frozenset()
            assigned[place] = next(name for name in SPLIT_NAMES if name in limits)
    if leaks and not allow:
        first = " and ".join(items[place].key for place in sorted(leaks[0].settled)[:2])
        named = any(item.split for item in items)
        source = "`split_column`" if named else _shown(file)
        remedy = "correct the column" if named else "delete it to split again"
        raise InputError(
            f"{source} splits {len(leaks)} groups of one product or image across train and test "
            f"(data leakage); the first contains {first}; {remedy}, or set `allow_straddling=True` "
            "to accept it"
        )
    return assigned, left_out


def _place(
    items: Sequence[TrainingItem],
    groups: Iterable[_Group],
    assigned: Mapping[int, SplitName],
    weights: Mapping[SplitName, float],
) -> dict[int, SplitName]:
    """Places each group where the counts then match the shares best, by chi-square distance."""
    label_totals = Counter(item.label for item in items)
    counts: dict[SplitName, Counter[int]] = {name: Counter() for name in SPLIT_NAMES}
    totals: Counter[SplitName] = Counter(assigned.values())
    for place, name in assigned.items():
        counts[name][items[place].label] += 1
    placed: dict[int, SplitName] = {}
    for group in groups:
        labels = Counter(items[place].label for place in group.places)
        size = len(group.places)
        best, least = None, float("inf")
        for name in _open(group, weights):
            share = weights[name] or 1.0
            cost = _excess(size, totals[name], share * len(items)) + sum(
                _excess(count, counts[name][label], share * label_totals[label])
                for label, count in labels.items()
            )
            if cost < least:
                best, least = name, cost
        assert best is not None
        totals[best] += size
        counts[best] += labels
        placed |= dict.fromkeys(group.places, best)
    return placed


def _excess(added: int, held: int, target: float) -> float:
    """Returns the increase of (held - target)² / target."""
    return added * (added + 2 * (held - target)) / target


def _open(group: _Group, weights: Mapping[SplitName, float]) -> list[SplitName]:
    if len(group.allowed) == 1:
        return list(group.allowed)
    return [name for name in SPLIT_NAMES if name in group.allowed and weights[name] > 0]


def _placing_order(
    items: Sequence[TrainingItem],
    groups: Sequence[_Group],
    weights: Mapping[SplitName, float],
    seed: int,
) -> Iterator[_Group]:
    """Yields groups without a choice, then the largest; ties at random, whatever the item order."""
    known = sorted(groups, key=lambda group: min(items[place].key for place in group.places))
    ties = np.random.default_rng(seed).permutation(len(known)).tolist()
    order = sorted(
        range(len(known)),
        key=lambda at: (len(_open(known[at], weights)) > 1, -len(known[at].places), ties[at]),
    )
    return (known[at] for at in order)


def _fill_empty(
    items: Sequence[TrainingItem],
    groups: Sequence[_Group],
    assigned: dict[int, SplitName],
    weights: Mapping[SplitName, float],
) -> None:
    """Gives an empty split the smallest group of a split that has others.

    Raises InputError if there is none.
    """
    for name in SPLIT_NAMES:
        if weights[name] == 0 or name in assigned.values():
            continue
        holding = Counter(assigned[group.places[0]] for group in groups)
        free = [
            group
            for group in groups
            if name in _open(group, weights) and holding[assigned[group.places[0]]] > 1
        ]
        if not free:
            largest = max(Counter(item.group for item in items).values())
            raise InputError(
                f"the {name} split is empty: there are {len(groups)} groups of one product or "
                f"image, the largest with {largest} of {len(items)} items; add items, or check the "
                "column given as group"
            )
        smallest = min(free, key=lambda group: (len(group.places), items[group.places[0]].key))
        assigned |= dict.fromkeys(smallest.places, name)


def _notes(
    assigned: Mapping[int, SplitName],
    saved: Mapping[str, SplitName],
    items: Sequence[TrainingItem],
    *,
    left_out: int,
    file: Path | None,
) -> Iterator[str]:
    sizes = Counter(assigned.values())
    shown = ", ".join(f"{name} {sizes[name]:,}" for name in SPLIT_NAMES)
    new = sum(items[place].key not in saved for place in assigned)
    if saved:
        yield f"split from {_shown(file)}: {shown}; {new:,} items are new"
    else:
        yield f"split: {shown}"
    if left_out:
        yield (
            f"{left_out:,} new items resemble items of two splits and are left out; delete "
            f"{_shown(file)} to split again"
        )


def _shown(file: Path | None) -> str:
    return printable_path(file) if file is not None else "the saved split"


def saved_split_file(path: Path) -> Path | None:
    """Returns the file with the split to reuse: `path`, or one beside it with the old name."""
    old = path.with_name(OLD_FILE_NAME)
    return next((each for each in (path, old) if each.exists()), None)


def read_split_file(path: Path) -> dict[str, SplitName]:
    """Returns the split of each item by key. Raises InputError for an invalid file."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format_version"] != FORMAT_VERSION:
            raise ValueError(f"its format is {content['format_version']}, not {FORMAT_VERSION}")
        splits: dict[str, SplitName] = dict(content["items"])
        unknown = set(splits.values()) - set(SPLIT_NAMES)
        if unknown:
            raise ValueError(f"it names the split {min(map(repr, unknown))}")
    except (OSError, ValueError, TypeError, KeyError) as fault:
        raise InputError(
            f"{printable_path(path)} is not a saved split ({fault}); delete it to split again"
        ) from fault
    return splits


def write_split_file(
    path: Path, splits: Mapping[str, SplitName], *, shares: Sequence[float], seed: int
) -> None:
    """Writes the split of each item by key. Raises OSError."""
    content = {
        "format_version": FORMAT_VERSION,
        "shares": list(shares),
        "seed": seed,
        "items": dict(sorted(splits.items())),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, json.dumps(content, ensure_ascii=False, indent=0) + "\n")
