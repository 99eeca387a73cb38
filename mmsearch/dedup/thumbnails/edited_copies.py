"""Finds edited copies: descriptors propose pairs of images, an alignment accepts or rejects them.

Unmoved matches are clustered around a centre first; crops, frames and tilts are then searched for
among the centres. Fifty copies of one image thus cost about fifty checks.
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
    propose_unmoved,
    propose_wholes,
    turned_by,
    ways_of,
)
from mmsearch.dedup.thumbnails.star_clusters import SearchFrames, Stars, frames_of, member_ways
from mmsearch.dedup.thumbnails.views import INVERSE, WINDOWS
from mmsearch.records import Floats, Ids, Pixels

# Measured on photographs of shelves and garments with edited copies (docs/dedup.md): distinct shots
# of one object stay below, except for bursts within one second.
EDITED_AGREEMENT = 0.72
# Agreement from which a pair is certain: certain copies are not compared with each other.
CERTAIN = 0.85
_UNMOVED_AGREEMENT = 0.9
# Correlation of roughly aligned coarse images; copies are far above.
_ROUGHLY = 0.93
# Agreement of medium-sized images from which full thumbnails are not aligned: they would reject ten
# of 3,479 such pairs of photographs and their copies, and each is compared in detail anyway.
_SURE_CLOSELY = 0.9
# Mean difference of grey levels below which two thumbnails may have equal pixels.
_SAME_LEVELS = 1.0
_WAYS_ALIGNED = 4
_CHECKED_AT_ONCE = 4096
# Up to this many new images are compared with the windows of all known ones at once.
_FEW_NEW = 512
Align: TypeAlias = Callable[[Pixels, Pixels, Floats], Alignment]


@dataclass(frozen=True, slots=True)
class EditedPairs:
    """Pairs of edited copies with their agreement and relative orientation.

    pairs: int64 (m, 2), rows of the images, the smaller first.
    agreement: float32 (m,).
    orientation: int64 (m,), indices into ORIENTATIONS that turn the second image onto the first.
    """

    pairs: Ids
    agreement: Floats
    orientation: Ids

    def __len__(self) -> int:
        return len(self.pairs)

    def __iter__(self) -> Iterator[tuple[int, int, float, int]]:
        """Iterates over (first row, second row, agreement, orientation)."""
        columns = *self.pairs.T.tolist(), self.agreement.tolist(), self.orientation.tolist()
        return zip(*columns, strict=True)

    def take(self, which: NDArray[np.bool_] | Ids) -> "EditedPairs":
        """Selects pairs by a mask or by indices."""
        return EditedPairs(self.pairs[which], self.agreement[which], self.orientation[which])

    @classmethod
    def of(cls, ways: Ways, agreement: Floats) -> "EditedPairs":
        """Builds unique pairs in ascending order from candidates, each with its best agreement."""
        swapped = ways.whole > ways.other
        orientation = np.where(swapped, INVERSE[ways.orientation], ways.orientation)
        return cls.joined([cls(np.sort(ways.pairs, axis=1), agreement, orientation)])

    @classmethod
    def joined(cls, parts: Sequence["EditedPairs"]) -> "EditedPairs":
        """Concatenates pairs: unique, in ascending order, each with its best agreement."""
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
    """Result of a search for edited copies among n images.

    found: the pairs.
    stars: clusters of the images that match without registration.
    """

    found: EditedPairs
    stars: Stars

    @classmethod
    def nothing(cls) -> "Edited":
        """The result for no images."""
        return cls(EditedPairs.joined([]), Stars.alone(0))


def find_edited(
    thumbnails: Pixels, *, threshold: float = EDITED_AGREEMENT, known: Edited | None = None
) -> Edited:
    """Finds the pairs of edited copies among thumbnails.

    thumbnails: uint8 (n, SIDE, SIDE), of n different files, may be memory-mapped.
    threshold: minimum agreement of a pair.
    known: an earlier result for the first rows; pairs among those are not searched for again.
    """
    known = known or Edited.nothing()
    first, count = len(known.stars.hubs), len(thumbnails)
    if first >= count:
        return known
    views = Views.of(thumbnails)
    before = known.stars.with_more(count)
    unmoved, stars = _find_unmoved(views, before, first)
    search_frames = frames_of(stars)
    new = _centres_to_search(stars, search_frames, frames_of(before), first)
    sure = known.found.pairs[known.found.agreement >= CERTAIN]
    clusters = joined(np.arange(count), *sure.T)
    near = _find_near(
        thumbnails,
        views,
        stars,
        search_frames,
        new=new,
        clusters=clusters,
        new_from=first,
        threshold=threshold,
    )
    equal = _maybe_equal(thumbnails, views, stars, first)
    return Edited(EditedPairs.joined([known.found, unmoved, near, equal]), stars)


def align_pairs(thumbnails: Pixels, pairs: Ids) -> EditedPairs:
    """Computes the best agreement of given pairs, without a threshold.

    Tries every orientation of the whole image, and the most similar windows of either one in every
    orientation.

    pairs: int64 (m, 2), rows of the thumbnails.
    """
    views = Views.of(thumbnails)
    ways, maps = _likely(views, ways_of(views, pairs), count=_WAYS_ALIGNED, least=-1)
    return EditedPairs.of(ways, _checked(thumbnails, views, ways, maps)[0])


def _find_unmoved(views: Views, stars: Stars, new_from: int) -> tuple[EditedPairs, Stars]:
    """Finds unmoved matches in any of the eight orientations, and clusters them."""
    ways = propose_unmoved(views, np.arange(new_from, len(stars.hubs)), stars.centres)

    def check(chosen: Ids) -> Floats:
        """Agreement of the chosen candidates, float32."""
        part = ways.take(chosen)
        others = turned_by(views.medium[part.other], part.other_turn)
        return compare_unmoved(views.medium[part.whole], others)

    rank = _rank(ways, stars, new_from)
    agreement, hubs = gather(ways.pairs, rank, _in_blocks(check), certain=_UNMOVED_AGREEMENT)
    sure = agreement >= _UNMOVED_AGREEMENT
    found = EditedPairs.of(ways.take(sure), agreement[sure])
    fresh, turns = stars.hubs.copy(), stars.turns.copy()
    for one, two, _, turn in found:
        if hubs[two] == one:
            fresh[two], turns[two] = one, turn
        elif hubs[one] == two:
            fresh[one], turns[one] = two, INVERSE[turn]
    return found, Stars(fresh, turns)


def _centres_to_search(
    stars: Stars, search_frames: SearchFrames, before: SearchFrames, new_from: int
) -> Ids:
    """Centres to search for crops: new ones, and those whose orientations have changed.

    Crops of a mirrored copy are only found once an original shows that it is mirrored.
    """
    (frames, turns), (frames_before, turns_before) = search_frames, before
    return np.array(
        [
            centre
            for centre in stars.centres.tolist()
            if centre >= new_from
            or frames[centre] != frames_before[centre]
            or turns[centre] != turns_before.get(centre)
        ],
        np.int64,
    )


def _find_near(
    thumbnails: Pixels,
    views: Views,
    stars: Stars,
    search_frames: SearchFrames,
    *,
    new: Ids,
    clusters: Ids,
    new_from: int,
    threshold: float,
) -> EditedPairs:
    """Finds pairs of centres that agree after a crop, a border or a tilt is undone.

    search_frames: the result of `frames_of` for the clusters.
    new: the centres to search for.
    clusters: int64 (n,), the first row of each known cluster.
    """
    centres = stars.centres
    frames, turns = search_frames
    old = np.setdiff1d(centres, new)
    # New images are searched for among all, and old ones among the new: a crop is only found by a
    # query with the whole image.

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
    members, source = member_ways(stars, ways, hubs, moved)
    every = Ways.joined([ways, members])
    members_agreement = _aligned(align, thumbnails, members, maps[source]).agreement
    agreement = np.concatenate([agreement, members_agreement])
    confirmed = agreement >= threshold
    return EditedPairs.of(every.take(confirmed), agreement[confirmed])


def _maybe_equal(thumbnails: Pixels, views: Views, stars: Stars, new_from: int) -> EditedPairs:
    """Pairs around one centre, in the same orientation, whose pixels may be equal."""
    found: list[tuple[int, int]] = []
    for members in stars.members_by_centre().values():
        by_turn: dict[int, list[int]] = defaultdict(list)
        for row in members:
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
    """Pairs with a new row whose grey levels hardly differ. rows: ascending."""
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
    """Filters candidates by a rough alignment; keeps the best `count` of each pair.

    least: minimum correlation.
    Returns the candidates and their maps.
    """
    maps = window_maps([WINDOWS[number] for number in ways.window.tolist()])
    rough = _aligned(align_roughly, views.small, ways, maps)
    ranked = replace(ways, likeness=rough.agreement)
    best = best_ways(ranked, count)
    best = best[ranked.likeness[best] >= least]
    return ranked.take(best), rough.maps[best]


def _checked(thumbnails: Pixels, views: Views, ways: Ways, maps: Floats) -> tuple[Floats, Floats]:
    """Agreement of each candidate, float32 (m,), 0 for rejected ones, and the refined maps."""
    closely = _aligned(align_closely, views.medium, ways, maps)
    agreement = closely.agreement.copy()
    left = np.flatnonzero((agreement > 0) & (agreement < _SURE_CLOSELY))
    agreement[left] = _aligned(align, thumbnails, ways.take(left), closely.maps[left]).agreement
    return agreement, closely.maps


def _aligned(how: Align, pictures: Pixels, ways: Ways, maps: Floats) -> Alignment:
    """Aligns candidates in blocks with the function `how`.

    pictures: uint8 (n, side, side).
    maps: the initial map of each candidate.
    """
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
    """Priority of each row as a centre, int64 (n,): large clusters, many candidates, known rows."""
    count = len(stars.hubs)
    sizes = np.bincount(stars.hubs, minlength=count)
    busy = np.bincount(ways.pairs.ravel(), minlength=count)
    order = np.lexsort((np.arange(count) >= new_from, -busy, -sizes))
    rank = np.empty(count, np.int64)
    rank[order] = np.arange(count)
    return rank


def _in_blocks(check: Check) -> Check:
    """Wraps a check so that it runs on blocks of images that fit in memory."""

    def checked(chosen: Ids) -> Floats:
        starts = range(0, len(chosen), _CHECKED_AT_ONCE)
        return np.concatenate([check(chosen[at : at + _CHECKED_AT_ONCE]) for at in starts])

    return checked
