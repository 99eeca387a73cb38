"""Items become a training, a validation and a test split: grouped, stratified, saved, reused.

A group is never parted. Groups go, largest first, where they bring the counts of classes and the
total nearest to the shares asked for; scikit-learn's StratifiedGroupKFold does so for equal folds.
What is saved stays where it is: only items that are new are placed.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mmsearch.errors import InputError
from mmsearch.finetuning.data.split_file import read_split_file, saved_split_file, write_split_file
from mmsearch.finetuning.data.training_set import SPLIT_NAMES, SplitName, TrainCatalog, TrainItem
from mmsearch.records import Ids, printable_path

DEFAULT_SHARES = (70.0, 20.0, 10.0)


@dataclass(frozen=True, slots=True)
class Split:
    """int64, ascending: places in TrainCatalog.items. notes: what the user should know."""

    train: Ids
    val: Ids
    test: Ids
    notes: tuple[str, ...] = ()

    def of(self, name: SplitName) -> Ids:
        return {"train": self.train, "val": self.val, "test": self.test}[name]


@dataclass(frozen=True, slots=True)
class _Group:
    """places: in the items. allowed: where it may go, as the column and the file have it.

    settled: those of its items that either of them places; the others are new.
    """

    places: tuple[int, ...]
    allowed: frozenset[SplitName]
    settled: frozenset[int]


def split_items(
    catalog: TrainCatalog,
    *,
    shares: Sequence[float] = DEFAULT_SHARES,
    seed: int = 0,
    file: Path | None = None,
    allow_straddling: bool = False,
) -> Split:
    """shares: of train, val and test, in any unit. file: where the split is kept, and reused from.

    Items whose `split` a column names stay there; a split that the column never names is taken out
    of train. allow_straddling: part groups where the column or the file does.
    Raises InputError where they do and may not, or where a split would be empty.
    """
    weights = _weights(shares)
    found = saved_split_file(file) if file is not None else None
    saved = read_split_file(found) if found is not None else {}
    allowed = _allowed(catalog.items, saved, weights, found)
    whole, parted = _groups(catalog.items, allowed)
    assigned, left_out = _part(parted, allowed, catalog.items, allow=allow_straddling, file=found)
    assigned |= _place(catalog.items, whole, assigned, weights, seed)
    _fill_empty(catalog.items, whole, assigned, weights)
    if file is not None:
        kept = {catalog.items[place].key: name for place, name in assigned.items()}
        write_split_file(file, {**saved, **kept}, shares=shares, seed=seed)
    return _split(assigned, _notes(assigned, saved, catalog.items, left_out, found or file))


def _weights(shares: Sequence[float]) -> dict[SplitName, float]:
    """By split, summing to 1."""
    if len(shares) != len(SPLIT_NAMES) or min(shares) < 0 or not (shares[0] > 0 and shares[1] > 0):
        raise InputError(
            "the shares are those of train, val and test, such as 70:20:10; train and val must be "
            f"above 0, got {':'.join(f'{share:g}' for share in shares)}"
        )
    return {name: share / sum(shares) for name, share in zip(SPLIT_NAMES, shares, strict=True)}


def _allowed(
    items: Sequence[TrainItem],
    saved: Mapping[str, SplitName],
    weights: Mapping[SplitName, float],
    file: Path | None,
) -> list[frozenset[SplitName] | None]:
    """For each item where the column and the file let it be; None: neither knows it."""
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
                f"`split_column` puts {item.key} into {item.split}, but {_shown(file)} holds it in "
                f"{saved[item.key]}; remove that file to split anew"
            )
    return result


def _groups(
    items: Sequence[TrainItem], allowed: Sequence[frozenset[SplitName] | None]
) -> tuple[list[_Group], list[_Group]]:
    """The groups that may stay whole, and those that the column or the file parts."""
    places: dict[int, list[int]] = defaultdict(list)
    for place, item in enumerate(items):
        places[item.group].append(place)
    whole: list[_Group] = []
    parted: list[_Group] = []
    for members in places.values():
        common = frozenset(SPLIT_NAMES)
        settled = set()
        for place in members:
            limits = allowed[place]
            if limits is not None:
                common &= limits
                settled.add(place)
        group = _Group(tuple(members), common, frozenset(settled))
        (whole if common else parted).append(group)
    return whole, parted


def _part(
    parted: Sequence[_Group],
    allowed: Sequence[frozenset[SplitName] | None],
    items: Sequence[TrainItem],
    *,
    allow: bool,
    file: Path | None,
) -> tuple[dict[int, SplitName], int]:
    """Where the items of parted groups are, and how many new ones are in no split.

    A new item may be like two old ones of two splits, which nobody moves: it would leak from one
    into the other wherever it went, so it stays out.
    """
    assigned: dict[int, SplitName] = {}
    left_out, straddling = 0, []
    for group in parted:
        new = len(group.places) - len(group.settled)
        if not new or any(items[place].split for place in group.settled):
            straddling.append(group)
        left_out += new
        for place in group.settled:
            limits = allowed[place] or frozenset()
            assigned[place] = next(name for name in SPLIT_NAMES if name in limits)
    if straddling and not allow:
        first = " and ".join(items[place].key for place in sorted(straddling[0].settled)[:2])
        named = any(item.split for item in items)
        source = "`split_column`" if named else _shown(file)
        mend = "mend the column, or leave it out" if named else "remove it to split anew"
        raise InputError(
            f"{source} parts {len(straddling)} groups of one product or picture, so that tests "
            f"would see what was trained on; the first holds {first}; {mend}, or take it as it is "
            "with `allow_straddling=True`"
        )
    return assigned, left_out


def _place(
    items: Sequence[TrainItem],
    groups: Sequence[_Group],
    assigned: Mapping[int, SplitName],
    weights: Mapping[SplitName, float],
    seed: int,
) -> dict[int, SplitName]:
    """Each group's items where the counts are then nearest to the shares, in chi-square terms."""
    label_totals = Counter(item.label for item in items)
    counts: dict[SplitName, Counter[int]] = {name: Counter() for name in SPLIT_NAMES}
    totals: Counter[SplitName] = Counter(assigned.values())
    for place, name in assigned.items():
        counts[name][items[place].label] += 1
    placed: dict[int, SplitName] = {}
    for group in _in_order(items, groups, weights, seed):
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
    """How much (held - target)² / target grows by what is added."""
    return added * (added + 2 * (held - target)) / target


def _open(group: _Group, weights: Mapping[SplitName, float]) -> list[SplitName]:
    if len(group.allowed) == 1:
        return list(group.allowed)
    return [name for name in SPLIT_NAMES if name in group.allowed and weights[name] > 0]


def _in_order(
    items: Sequence[TrainItem],
    groups: Sequence[_Group],
    weights: Mapping[SplitName, float],
    seed: int,
) -> Iterator[_Group]:
    """What has no choice first, then the largest; equals by chance, the same in any item order."""
    known = sorted(groups, key=lambda group: min(items[place].key for place in group.places))
    luck = np.random.default_rng(seed).permutation(len(known)).tolist()
    order = sorted(
        range(len(known)),
        key=lambda at: (len(_open(known[at], weights)) > 1, -len(known[at].places), luck[at]),
    )
    return (known[at] for at in order)


def _fill_empty(
    items: Sequence[TrainItem],
    groups: Sequence[_Group],
    assigned: dict[int, SplitName],
    weights: Mapping[SplitName, float],
) -> None:
    """A split that got nothing takes the smallest group of a split that has others.

    Raises InputError where there is none.
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
                f"nothing is left for {name}: {len(groups)} groups of one product or picture, the "
                f"largest of {largest} of the {len(items)} items; add items, or check the column "
                "of groups"
            )
        smallest = min(free, key=lambda group: (len(group.places), items[group.places[0]].key))
        assigned |= dict.fromkeys(smallest.places, name)


def _split(assigned: Mapping[int, SplitName], notes: Iterator[str]) -> Split:
    train, val, test = (
        np.array(sorted(place for place, at in assigned.items() if at == name), np.int64)
        for name in SPLIT_NAMES
    )
    return Split(train, val, test, tuple(notes))


def _notes(
    assigned: Mapping[int, SplitName],
    saved: Mapping[str, SplitName],
    items: Sequence[TrainItem],
    left_out: int,
    file: Path | None,
) -> Iterator[str]:
    sizes = Counter(assigned.values())
    shown = ", ".join(f"{name} {sizes[name]:,}" for name in SPLIT_NAMES)
    new = sum(items[place].key not in saved for place in assigned)
    if saved:
        yield f"split as saved in {_shown(file)}: {shown}; {new:,} items are new"
    else:
        yield f"split: {shown}"
    if left_out:
        yield (
            f"{left_out:,} new items are like items of two splits and are in none; remove "
            f"{_shown(file)} to split anew"
        )


def _shown(file: Path | None) -> str:
    return printable_path(file) if file is not None else "the saved split"
