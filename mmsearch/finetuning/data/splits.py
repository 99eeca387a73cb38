"""Splits items into train, validation and test: grouped, stratified, saved and reused.

Groups are never separated. They are placed largest first, each where class counts and total then
come closest to the requested shares, as scikit-learn's StratifiedGroupKFold does for equal folds.
Items of a saved split stay where they are; only new ones are placed.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
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
    """Items that stay together.

    places: their positions. limits: the splits that column or file permit, of the items that they
    mention. choices: the splits that the whole group may go to, none if column or file separate it.
    """

    places: tuple[int, ...]
    limits: Mapping[int, frozenset[SplitName]]
    choices: tuple[SplitName, ...]


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
    if len(shares) != len(SPLIT_NAMES) or min(shares) < 0 or not (shares[0] > 0 and shares[1] > 0):
        raise InputError(
            "shares must be those of train, val and test, such as 70:20:10, with train and val "
            f"greater than 0, got {':'.join(f'{share:g}' for share in shares)}"
        )
    weights = {name: share / sum(shares) for name, share in zip(SPLIT_NAMES, shares, strict=True)}
    found = saved_split_file(file) if file is not None else None
    saved = read_split_file(found) if found is not None else {}
    shown = "the saved split" if file is None else printable_path(found or file)
    splitter = _Splitter(training_set.items, weights, saved, shown)
    left_out = splitter.keep_separated(allow=allow_straddling)
    splitter.place(seed)
    splitter.fill_empty()
    by_key = {training_set.items[place].key: name for place, name in splitter.assigned.items()}
    if file is not None:
        write_split_file(file, {**saved, **by_key}, shares=shares, seed=seed)
    places = {
        name: sorted(place for place, at in splitter.assigned.items() if at == name)
        for name in SPLIT_NAMES
    }
    sizes = ", ".join(f"{name} {len(found):,}" for name, found in places.items())
    notes = [f"split: {sizes}"]
    if saved:
        new = len(by_key.keys() - saved.keys())
        notes = [f"split from {shown}: {sizes}; {new:,} items are new"]
    if left_out:
        notes.append(
            f"{left_out:,} new items resemble items of two splits and are left out; delete "
            f"{shown} to split again"
        )
    train, val, test = (np.array(places[name], np.int64) for name in SPLIT_NAMES)
    return Split(train, val, test, tuple(notes))


class _Splitter:
    """Places items in splits: `assigned`, by position.

    weights: shares that sum to 1. saved: splits by key, from a file that messages call `shown`.
    """

    def __init__(
        self,
        items: Sequence[TrainingItem],
        weights: Mapping[SplitName, float],
        saved: Mapping[str, SplitName],
        shown: str,
    ) -> None:
        """Raises InputError where an item's own split contradicts the saved one."""
        self.assigned: dict[int, SplitName] = {}
        self._items, self._weights, self._saved, self._shown = items, weights, saved, shown
        named = {item.split for item in items}
        self._absent = {name for name in SPLIT_NAMES if name not in named and weights[name] > 0}
        members: dict[int, list[int]] = defaultdict(list)
        for place, item in enumerate(items):
            members[item.group].append(place)
        groups = [self._group(places) for places in members.values()]
        self._whole = [group for group in groups if group.choices]
        self._separated = [group for group in groups if not group.choices]

    def _group(self, places: Sequence[int]) -> _Group:
        limits = {
            place: limit
            for place in places
            if (limit := self._limit(self._items[place])) is not None
        }
        common = frozenset(SPLIT_NAMES).intersection(*limits.values())
        choices = [name for name in SPLIT_NAMES if name in common]
        if len(choices) > 1:
            choices = [name for name in choices if self._weights[name] > 0]
        return _Group(tuple(places), limits, tuple(choices))

    def _limit(self, item: TrainingItem) -> frozenset[SplitName] | None:
        """Returns the splits that column and file permit, None if neither mentions the item."""
        by_column: frozenset[SplitName] | None = None
        if item.split is not None:
            by_column = frozenset({item.split, *(self._absent if item.split == "train" else ())})
        by_file = self._saved.get(item.key)
        if by_file is None:
            return by_column
        if by_column is not None and by_file not in by_column:
            raise InputError(
                f"`split_column` has {item.key} in {item.split}, but {self._shown} has it in "
                f"{by_file}; delete that file to split again"
            )
        return frozenset({by_file})

    def keep_separated(self, *, allow: bool) -> int:
        """Assigns the items of separated groups, and returns how many new items are left out.

        A new item may resemble two old ones in different splits, which are never moved: it would
        leak from one into the other wherever it went, so it is left out. Raises InputError for
        leaks between old items, unless they are allowed.
        """
        left_out, leaks = 0, list[_Group]()
        for group in self._separated:
            new = len(group.places) - len(group.limits)
            if not new or any(self._items[place].split for place in group.limits):
                leaks.append(group)
            left_out += new
            for place, limit in group.limits.items():
                self.assigned[place] = next(name for name in SPLIT_NAMES if name in limit)
        if leaks and not allow:
            first = " and ".join(self._items[place].key for place in sorted(leaks[0].limits)[:2])
            named = any(item.split for item in self._items)
            source = "`split_column`" if named else self._shown
            remedy = "correct the column" if named else "delete it to split again"
            raise InputError(
                f"{source} splits {len(leaks)} groups of one product or image across train and "
                f"test (data leakage); the first contains {first}; {remedy}, or set "
                "`allow_straddling=True` to accept it"
            )
        return left_out

    def place(self, seed: int) -> None:
        """Places each group where the counts then match the shares best, by chi-square distance.

        Groups without a choice come first, then the largest; ties are random, but independent of
        the order of the items.
        """
        items = self._items
        groups = sorted(self._whole, key=lambda g: min(items[place].key for place in g.places))
        ties = np.random.default_rng(seed).permutation(len(groups)).tolist()
        order = sorted(
            range(len(groups)),
            key=lambda at: (len(groups[at].choices) > 1, -len(groups[at].places), ties[at]),
        )
        label_totals = Counter(item.label for item in items)
        counts: dict[SplitName, Counter[int]] = {name: Counter() for name in SPLIT_NAMES}
        totals: Counter[SplitName] = Counter(self.assigned.values())
        for place, name in self.assigned.items():
            counts[name][items[place].label] += 1

        def cost(labels: Counter[int], name: SplitName) -> float:
            share = self._weights[name] or 1.0
            return _excess(labels.total(), totals[name], share * len(items)) + sum(
                _excess(count, counts[name][label], share * label_totals[label])
                for label, count in labels.items()
            )

        for at in order:
            group = groups[at]
            labels = Counter(items[place].label for place in group.places)
            best = min(group.choices, key=partial(cost, labels))
            totals[best] += len(group.places)
            counts[best] += labels
            self.assigned |= dict.fromkeys(group.places, best)

    def fill_empty(self) -> None:
        """Gives an empty split the smallest group of a split that has others.

        Raises InputError if there is none.
        """
        groups, items, assigned = self._whole, self._items, self.assigned
        for name in SPLIT_NAMES:
            if self._weights[name] == 0 or name in assigned.values():
                continue
            holding = Counter(assigned[group.places[0]] for group in groups)
            free = [
                group
                for group in groups
                if name in group.choices and holding[assigned[group.places[0]]] > 1
            ]
            if not free:
                largest = max(Counter(item.group for item in items).values())
                raise InputError(
                    f"the {name} split is empty: there are {len(groups)} groups of one product or "
                    f"image, the largest with {largest} of {len(items)} items; add items, or "
                    "check the column given as group"
                )
            smallest = min(free, key=lambda group: (len(group.places), items[group.places[0]].key))
            assigned |= dict.fromkeys(smallest.places, name)


def _excess(added: int, held: int, target: float) -> float:
    """Returns the increase of (held - target)² / target."""
    return added * (added + 2 * (held - target)) / target


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
