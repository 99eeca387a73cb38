"""Links verified clusters: which member stands for one, and which links between them hold."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mmsearch.dedup.comparison import PairComparison
from mmsearch.dedup.grouping.verification import (
    Cluster,
    Comparer,
    Verifier,
    likely_originals_first,
)
from mmsearch.dedup.items import Item
from mmsearch.records import Floats

# Share of an image from which another image is no part of it but a version of the whole.
_WHOLE = 0.9
# Share of the smaller area from which two areas count as one.
_SAME_AREA = 0.5
# Maximum distance of the borders of equal areas, in halves of the sides.
_EQUAL_AREA = 0.05
# Number of comparisons that may support a link.
_SUPPORTING = 4


def without_other_parts(
    pairs: Sequence[tuple[int, int]], comparer: Comparer
) -> list[tuple[int, int]]:
    """Drops pairs that would connect the parts of a collage: it keeps only its largest part.

    pairs: of indices, compared before.
    """
    parts: dict[int, list[tuple[float, Floats, tuple[int, int]]]] = {}
    for pair in pairs:
        for whole, other in (pair, pair[::-1]):
            found = comparer.known(whole, other)
            if found is not None and found.first_share < _WHOLE:
                parts.setdefault(whole, []).append((found.first_share, _area(found), pair))
    dropped = set[tuple[int, int]]()
    for several in parts.values():
        _, largest, _ = max(several, key=lambda part: part[0])
        dropped.update(pair for _, area, pair in several if not _overlap(largest, area))
    return [pair for pair in pairs if pair not in dropped]


def supported(
    links: Sequence[tuple[int, int]], members: Sequence[tuple[int, int]], verifier: Verifier
) -> list[tuple[int, int]]:
    """Drops links that connect two parts of which no other images are alike.

    Two images with one caption or frame may be confirmed by it, and would connect all copies of
    both.

    links: confirmed pairs of indices.
    members: pairs of an index and the one that represents it.
    """
    near: dict[int, set[int]] = defaultdict(set)
    for one, two in [*links, *members]:
        near[one].add(two)
        near[two].add(one)
    kept = list[tuple[int, int]]()
    tries: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for one, two in links:
        if len(near[one]) == 1 or len(near[two]) == 1:
            kept.append((one, two))
            continue
        beside_one, beside_two = (
            likely_originals_first(near[place] - {other}, verifier.items)
            for place, other in ((one, two), (two, one))
        )
        first, second = beside_one[0], beside_two[0]
        every = [(first, two), (one, second), (first, second)]
        tries[one, two] = [*every, *((one, place) for place in beside_two[1:])][:_SUPPORTING]
    for number in range(_SUPPORTING):
        tried = {link: pairs[number] for link, pairs in tries.items() if number < len(pairs)}
        verifier.comparer.prepare(
            [pair for pair in tried.values() if pair[0] != pair[1]], "comparing linked parts"
        )
        met = [link for link, pair in tried.items() if verifier.alike(*pair)]
        kept += met
        for link in met:
            del tries[link]
    return kept


@dataclass(frozen=True, slots=True)
class Representatives:
    """Chooses the member that stands for a cluster where others are sought."""

    items: Sequence[Item]
    comparer: Comparer

    def of(self, cluster: Cluster) -> int:
        """A member that shows what most members show, in colour: no crop, frame or collage.

        The centre was chosen by metadata alone, which may be those of a copy.
        """
        places = [cluster.centre]
        areas = [np.array([-1, -1, 1, 1], np.float32)]
        grey = [False]
        for place in cluster.places:
            found = self.comparer.known(cluster.centre, place)
            if found is None or found.judgement == "different":
                continue
            places.append(place)
            areas.append(_area(found, clipped=False))
            grey.append(found.grey_side == 2)
            grey[0] |= found.grey_side == 1
        every = np.stack(areas)
        alike = np.abs(every[:, None] - every[None]).max(axis=2) < _EQUAL_AREA
        votes = dict(zip(places, alike.sum(axis=1).tolist(), strict=True))
        coloured = [place for place, is_grey in zip(places, grey, strict=True) if not is_grey]
        usual = coloured or places
        most = max(votes[place] for place in usual)
        chosen = [place for place in usual if votes[place] == most]
        return likely_originals_first(chosen, self.items)[0]


def _area(found: PairComparison, *, clipped: bool = True) -> Floats:
    """Bounding box of the second image in the first, float32 (4,): left, top, right, bottom.

    In normalised coordinates, -1 to 1.
    """
    inverse = np.linalg.inv(found.matrix)
    corners = inverse @ np.array([[-1, 1, -1, 1], [-1, -1, 1, 1], [1, 1, 1, 1]])
    placed = corners[:2] / corners[2]
    box = np.concatenate([placed.min(axis=1), placed.max(axis=1)]).astype(np.float32)
    return np.clip(box, -1, 1) if clipped else box


def _overlap(one: Floats, two: Floats) -> bool:
    """Whether one of two areas lies mostly in the other."""
    sides = np.minimum(one[2:], two[2:]) - np.maximum(one[:2], two[:2])
    smaller = min(float(np.prod(each[2:] - each[:2])) for each in (one, two))
    return bool((sides > 0).all()) and float(np.prod(sides)) > _SAME_AREA * smaller
