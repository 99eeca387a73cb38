"""Edited copies: descriptors propose pairs of pictures, an alignment confirms or refuses them.

Pictures that match as they stand are gathered around one of them first; crops, frames and tilts
are then looked for among what is left. Fifty copies of one picture so cost about fifty checks.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from mmsearch.dedup.thumbnails.alignment import (
    Alignment,
    align,
    align_closely,
    align_roughly,
    compare_unmoved,
    window_maps,
)
from mmsearch.dedup.thumbnails.greedy_matching import Check, gather, gather_likeliest, joined
from mmsearch.dedup.thumbnails.proposals import (
    Views,
    Ways,
    best_ways,
    propose_near,
    propose_twins,
    propose_wholes,
    turned_by,
    ways_of,
)
from mmsearch.dedup.thumbnails.star_clusters import Looks, Stars, frames_of, rim_ways
from mmsearch.dedup.thumbnails.views import INVERSE, WINDOWS
from mmsearch.records import Floats, Ids, Pixels

# Measured on photographs of shelves and garments with edited copies (docs/dedup.md): distinct
# shots of one thing stay below, but for bursts of one second.
EDITED_AGREEMENT = 0.72
# Copies that agree this well are certain: they need not be compared with each other.
CERTAIN = 0.85
_TWIN_AGREEMENT = 0.9
# Correlation of coarse pictures, roughly aligned: copies lie far above.
_ROUGHLY = 0.93
# Mean difference of grey levels below which two thumbnails may be of the same pixels.
_SAME_LEVELS = 1.0
_WAYS_ALIGNED = 4
_CHECKED_AT_ONCE = 4096
# Compared with every old picture's windows at once.
_FEW_NEW = 512
Align: TypeAlias = Callable[[Pixels, Pixels, Floats], Alignment]


@dataclass(frozen=True, slots=True)
class EditedPairs:
    """pairs: int64 (m, 2), rows of the pictures given, the smaller first. agreement: float32 (m,).

    orientation: int64 (m,), a place in ORIENTATIONS: how the second is turned to lie on the first.
    """

    pairs: Ids
    agreement: Floats
    orientation: Ids

    def __len__(self) -> int:
        return len(self.pairs)

    def __iter__(self) -> Iterator[tuple[int, int, float, int]]:
        """One row, the other, agreement, orientation."""
        columns = *self.pairs.T.tolist(), self.agreement.tolist(), self.orientation.tolist()
        return zip(*columns, strict=True)

    def take(self, which: NDArray[np.bool_] | Ids) -> "EditedPairs":
        return EditedPairs(self.pairs[which], self.agreement[which], self.orientation[which])

    @classmethod
    def of(cls, ways: Ways, agreement: Floats) -> "EditedPairs":
        """All pairs of the ways, each once, with the best agreement, in ascending order."""
        swapped = ways.whole > ways.other
        orientation = np.where(swapped, INVERSE[ways.orientation], ways.orientation)
        return cls.joined([cls(np.sort(ways.pairs, axis=1), agreement, orientation)])

    @classmethod
    def joined(cls, parts: Sequence["EditedPairs"]) -> "EditedPairs":
        """All pairs, each once, with the best agreement, in ascending order."""
        every = cls(
            np.concatenate([np.zeros((0, 2), np.int64), *(part.pairs for part in parts)]),
            np.concatenate([np.zeros(0, np.float32), *(part.agreement for part in parts)]),
            np.concatenate([np.zeros(0, np.int64), *(part.orientation for part in parts)]),
        )
        keys = (every.orientation, -every.agreement, every.pairs[:, 1], every.pairs[:, 0])
        ordered = every.take(np.lexsort(keys))
        first = np.ones(len(ordered), np.bool_)
        first[1:] = (ordered.pairs[1:] != ordered.pairs[:-1]).any(axis=1)
        return ordered.take(first)


@dataclass(frozen=True, slots=True)
class Edited:
    """found: of n pictures. stars: of n rows, those that agree as they stand, around one each."""

    found: EditedPairs
    stars: Stars

    @classmethod
    def nothing(cls) -> "Edited":
        """Of no pictures."""
        return cls(EditedPairs.joined([]), Stars.alone(0))


def find_edited(
    thumbnails: Pixels, *, threshold: float = EDITED_AGREEMENT, known: Edited | None = None
) -> Edited:
    """thumbnails: uint8 (n, SIDE, SIDE), of n different files, perhaps memory-mapped.

    known: what was found of the first of them, as many as its stars have rows: of these only pairs
    with the others are looked for.
    """
    known = known or Edited.nothing()
    first, count = len(known.stars.hubs), len(thumbnails)
    if first >= count:
        return known
    views = Views.of(thumbnails)
    before = known.stars.with_more(count)
    twins, stars = _find_twins(views, before, first)
    looks = frames_of(stars)
    new = _to_look_for(stars, looks, frames_of(before), first)
    sure = known.found.pairs[known.found.agreement >= CERTAIN]
    clusters = joined(np.arange(count), *sure.T)
    near = _find_near(thumbnails, views, stars, looks, new, clusters, first, threshold)
    equal = _maybe_equal(thumbnails, views, stars, first)
    return Edited(EditedPairs.joined([known.found, twins, near, equal]), stars)


def align_pairs(thumbnails: Pixels, pairs: Ids) -> EditedPairs:
    """The best agreement of each pair of rows, int64 (m, 2), whatever it is.

    Tries every orientation as a whole, and the likeliest windows of either in every orientation.
    """
    views = Views.of(thumbnails)
    ways, maps = _likely(views, ways_of(views, pairs), count=_WAYS_ALIGNED, least=-1)
    return EditedPairs.of(ways, _checked(thumbnails, views, ways, maps)[0])


def _find_twins(views: Views, stars: Stars, new_from: int) -> tuple[EditedPairs, Stars]:
    """Pairs that agree as they stand, in one of the eight orientations."""
    ways = propose_twins(views, np.arange(new_from, len(stars.hubs)), stars.centres)

    def check(chosen: Ids) -> Floats:
        part = ways.take(chosen)
        others = turned_by(views.medium[part.other], part.other_turn)
        return compare_unmoved(views.medium[part.whole], others)

    rank = _rank(ways, stars, new_from)
    agreement, hubs = gather(ways.pairs, rank, _in_blocks(check), certain=_TWIN_AGREEMENT)
    sure = agreement >= _TWIN_AGREEMENT
    found = EditedPairs.of(ways.take(sure), agreement[sure])
    fresh, turns = stars.hubs.copy(), stars.turns.copy()
    for one, two, _, turn in found:
        if hubs[two] == one:
            fresh[two], turns[two] = one, turn
        elif hubs[one] == two:
            fresh[one], turns[one] = two, INVERSE[turn]
    return found, Stars(fresh, turns)


def _to_look_for(stars: Stars, looks: Looks, before: Looks, new_from: int) -> Ids:
    """The hubs that are new, and those that new pictures around them have turned otherwise: crops
    of a mirrored copy are only found once there is an original to say that it is mirrored."""
    (frames, turns), (frames_before, turns_before) = looks, before
    return np.array(
        [
            hub
            for hub in stars.centres.tolist()
            if hub >= new_from
            or frames[hub] != frames_before[hub]
            or turns[hub] != turns_before.get(hub)
        ],
        np.int64,
    )


def _find_near(
    thumbnails: Pixels,
    views: Views,
    stars: Stars,
    looks: Looks,
    new: Ids,
    clusters: Ids,
    new_from: int,
    threshold: float,
) -> EditedPairs:
    """Pairs of hubs that agree once one is laid over the other as a crop, border or tilt asks.

    looks: what `frames_of` says of the stars. new: the hubs of which pairs are looked for.
    clusters: int64 (n,), the first row of those that are known to belong together.
    """
    centres = stars.centres
    frames, turns = looks
    old = np.setdiff1d(centres, new)
    # What is new is asked for in all, and what is old in the new: a crop finds its whole only
    # from the side of the whole.

    def of(rows: Ids) -> list[list[int]]:
        return [turns[row] for row in rows.tolist()]

    proposed = [propose_near(views, new, centres, frames=frames, turns=of(new))]
    if old.size and new.size:
        propose = propose_wholes if len(new) <= _FEW_NEW else propose_near
        proposed.append(propose(views, old, new, frames=frames, turns=of(old)))
    ways, maps = _likely(views, Ways.joined(proposed), count=1, least=_ROUGHLY)

    def check(chosen: Ids) -> Floats:
        agreement, maps[chosen] = _checked(thumbnails, views, ways.take(chosen), maps[chosen])
        return agreement

    rank = _rank(ways, stars, new_from)
    agreement, hubs = gather_likeliest(
        ways.pairs, ways.likeness, rank, check, certain=CERTAIN, clusters=clusters
    )
    moved = np.flatnonzero(agreement >= CERTAIN)
    rim, source = rim_ways(stars, ways, hubs, moved)
    every = Ways.joined([ways, rim])
    rim_agreement = _aligned(align, thumbnails, rim, maps[source]).agreement
    agreement = np.concatenate([agreement, rim_agreement])
    confirmed = agreement >= threshold
    return EditedPairs.of(every.take(confirmed), agreement[confirmed])


def _maybe_equal(thumbnails: Pixels, views: Views, stars: Stars, new_from: int) -> EditedPairs:
    """Pairs around one hub that may be of the very same pixels, both turned alike."""
    found: list[tuple[int, int]] = []
    for rim in stars.rims().values():
        by_turn: dict[int, list[int]] = defaultdict(list)
        for row in rim:
            by_turn[int(stars.turns[row])].append(row)
        for rows in by_turn.values():
            if len(rows) > 1 and rows[-1] >= new_from:
                found += _equal_levels(thumbnails, np.array(rows), new_from)
    pairs = np.array(found, np.int64).reshape(-1, 2)
    agreement = compare_unmoved(*(views.medium[rows] for rows in (pairs[:, 0], pairs[:, 1])))
    none = np.zeros(len(pairs), np.int64)
    sure = agreement >= CERTAIN
    return EditedPairs.joined([EditedPairs(pairs, agreement, none).take(sure)])


def _equal_levels(thumbnails: Pixels, rows: Ids, new_from: int) -> list[tuple[int, int]]:
    """Of the rows, ascending, the pairs with a new one whose grey levels hardly differ."""
    levels = thumbnails[rows].astype(np.int16)
    found = []
    for place in range(len(rows) - 1):
        if rows[-1] < new_from:
            break
        differences = np.abs(levels[place + 1 :] - levels[place]).mean(axis=(1, 2))
        others = rows[place + 1 :][differences < _SAME_LEVELS]
        found += [(int(rows[place]), other) for other in others.tolist() if other >= new_from]
    return found


def _likely(views: Views, ways: Ways, *, count: int, least: float) -> tuple[Ways, Floats]:
    """The ways that a rough alignment leaves, the best `count` of each pair, and their maps.

    least: what they must correlate by.
    """
    maps = window_maps([WINDOWS[number] for number in ways.window.tolist()])
    rough = _aligned(align_roughly, views.small, ways, maps)
    ranked = replace(ways, likeness=rough.agreement)
    best = best_ways(ranked, count)
    best = best[ranked.likeness[best] >= least]
    return ranked.take(best), rough.maps[best]


def _checked(thumbnails: Pixels, views: Views, ways: Ways, maps: Floats) -> tuple[Floats, Floats]:
    """The agreement of each way, float32 (m,), 0 where a close look leaves no hope; closer maps."""
    closely = _aligned(align_closely, views.medium, ways, maps)
    agreement = np.zeros(len(ways), np.float32)
    left = np.flatnonzero(closely.agreement)
    agreement[left] = _aligned(align, thumbnails, ways.take(left), closely.maps[left]).agreement
    return agreement, closely.maps


def _aligned(how: Align, pictures: Pixels, ways: Ways, maps: Floats) -> Alignment:
    """pictures: uint8 (n, side, side). maps: where each way begins."""
    done = [Alignment(np.zeros(0, np.float32), np.zeros((0, 2, 3), np.float32))]
    for start in range(0, len(ways), _CHECKED_AT_ONCE):
        rows = slice(start, start + _CHECKED_AT_ONCE)
        ones = turned_by(pictures[ways.whole[rows]], ways.whole_turn[rows])
        twos = turned_by(pictures[ways.other[rows]], ways.other_turn[rows])
        done.append(how(ones, twos, maps[rows]))
    return Alignment(
        np.concatenate([each.agreement for each in done]),
        np.concatenate([each.maps for each in done]),
    )


def _rank(ways: Ways, stars: Stars, new_from: int) -> Ids:
    """int64 (n,): large stars lead, then rows with many ways, then what is known."""
    count = len(stars.hubs)
    sizes = np.bincount(stars.hubs, minlength=count)
    busy = np.bincount(ways.pairs.ravel(), minlength=count)
    order = np.lexsort((np.arange(count) >= new_from, -busy, -sizes))
    rank = np.empty(count, np.int64)
    rank[order] = np.arange(count)
    return rank


def _in_blocks(check: Check) -> Check:
    """The same check, on so many at once that their pictures fit in memory."""

    def checked(chosen: Ids) -> Floats:
        starts = range(0, len(chosen), _CHECKED_AT_ONCE)
        return np.concatenate([check(chosen[at : at + _CHECKED_AT_ONCE]) for at in starts])

    return checked
