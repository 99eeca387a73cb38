"""Pairs become groups: connected, but not by chains that drift from one picture to another.

Where A is like B and B like C, but A not like C, all three become one group only if the middle one
is certain of both; else groups join only if more than half of the pairs between them are there.
"""

from collections import defaultdict
from collections.abc import Sequence
from heapq import heappop, heappush
from math import acos

import numpy as np
from numpy.typing import NDArray

from mmsearch.dedup.thumbnails.greedy_matching import joined
from mmsearch.records import Floats, Ids

# More than this share of the pairs between two groups must be found for them to become one.
DENSE = 0.5
# Partners from which on a picture should share some with each, and what share of the fewer ones.
_SEVERAL, _SHARED = 3, 0.1


def without_bridges(pairs: Ids, scores: Floats) -> NDArray[np.bool_]:
    """bool (m,): the pairs that stand, of pictures that are copies of each other.

    pairs: int64 (m, 2), each once. scores: float (m,), above 1 where the files are equal. Not those
    of two pictures that each have several partners, but hardly one in common: a crop of one picture
    and a crop of another that looks like it would make one group of all copies of both.
    """
    near: dict[int, set[int]] = defaultdict(set)
    listed = pairs.tolist()
    for one, two in listed:
        near[one].add(two)
        near[two].add(one)

    def stands(one: int, two: int) -> bool:
        fewest = min(len(near[one]), len(near[two]))
        return fewest < _SEVERAL or len(near[one] & near[two]) > _SHARED * fewest

    return np.array([stands(*pair) for pair in listed], np.bool_) | (scores > 1)


def group_pairs(
    count: int,
    pairs: Ids,
    scores: Floats,
    *,
    certain: float,
    inferred: float = 1.0,
) -> list[list[int]]:
    """pairs: int64 (m, 2), of rows below count, each once. scores: float (m,).

    certain: the score from which a pair leaves no doubt. inferred: where scores are correlations,
    what a chain of certain pairs must still imply between its ends → groups of two or more rows,
    ascending within and by their first; the same for any order of the pairs.
    """
    if not len(pairs):
        return []
    pairs = np.sort(pairs, axis=1)
    roots = joined(np.arange(count), *pairs.T)[pairs[:, 0]]
    order = np.lexsort((pairs[:, 1], pairs[:, 0], roots))
    starts = np.flatnonzero(np.diff(roots[order], prepend=-1)).tolist()
    groups: list[list[int]] = []
    for start, end in zip(starts, [*starts[1:], len(order)], strict=True):
        part = order[start:end]
        rows, places = np.unique(pairs[part], return_inverse=True)
        if 2 * len(part) == len(rows) * (len(rows) - 1):
            groups.append(rows.tolist())
        else:
            within = _component(places.reshape(-1, 2), scores[part], certain, inferred)
            groups += [rows[group].tolist() for group in within]
    return sorted(groups)


def _component(pairs: Ids, scores: Floats, certain: float, inferred: float) -> list[list[int]]:
    """The groups of rows that are all connected, numbered from 0."""
    order = np.lexsort((pairs[:, 1], pairs[:, 0], -scores))
    columns = scores[order].tolist(), *pairs[order].T.tolist()
    known = [*zip(*columns, strict=True)]
    sure = [(a, b, score) for score, a, b in known if score >= certain]
    star = _stars(1 + int(pairs.max()), sure, _angle(inferred))
    # Centres speak for their stars: links from rim to rim would drift on from star to star.
    links = [(a, b) for _, a, b in known if star[a] == a and star[b] == b]
    members: dict[int, list[int]] = defaultdict(list)
    clusters = _densely_joined(links)
    for centre, cluster in clusters.items():
        members[cluster].append(centre)
    inside: dict[int, list[int]] = defaultdict(list)
    for row, centre in enumerate(star):
        inside[centre].append(row)
    groups = [
        sorted(row for centre in centres for row in inside[centre]) for centres in members.values()
    ]
    groups += [rows for centre, rows in inside.items() if centre not in clusters]
    return [group for group in groups if len(group) > 1]


def _stars(count: int, pairs: Sequence[tuple[int, int, float]], widest: float) -> list[int]:
    """For each row the centre that it is certain of: the busiest rows take their neighbours.

    And the neighbours' neighbours while the angles add up to no more than the widest.
    """
    near: dict[int, list[tuple[int, float]]] = defaultdict(list)
    for a, b, score in pairs:
        near[a].append((b, _angle(score)))
        near[b].append((a, _angle(score)))
    star = [*range(count)]
    taken: set[int] = set()
    for centre in sorted(near, key=lambda row: (-len(near[row]), row)):
        if centre not in taken:
            for row in _within(centre, near, taken, widest):
                star[row] = centre
                taken.add(row)
    return star


def _within(
    centre: int, near: dict[int, list[tuple[int, float]]], taken: set[int], widest: float
) -> set[int]:
    """The free rows around the centre, itself among them (Dijkstra's shortest paths)."""
    found: set[int] = set()
    waiting = [(0.0, centre)]
    while waiting:
        angle, row = heappop(waiting)
        if row in found:
            continue
        found.add(row)
        for other, step in near[row]:
            # A direct pair needs no inference.
            if other not in taken and (row == centre or angle + step <= widest):
                heappush(waiting, (angle + step, other))
    return found


def _angle(correlation: float) -> float:
    """Two correlations' angles, added, bound the angle between the ends: it is a metric."""
    return acos(min(max(correlation, -1.0), 1.0))


def _densely_joined(links: Sequence[tuple[int, int]]) -> dict[int, int]:
    """Clusters of linked nodes: joined where they are densely linked, the strongest link, which
    comes first, before all others."""
    between: dict[int, dict[int, int]] = defaultdict(dict)
    for one, two in links:
        between[one][two] = between[two][one] = 1
    cluster = {node: node for node in between}
    members = {node: [node] for node in between}
    changed = True
    while changed:
        changed, left = False, list[tuple[int, int]]()
        for link in links:
            one, two = sorted((cluster[link[0]], cluster[link[1]]))
            if one == two:
                continue
            if between[one][two] <= DENSE * len(members[one]) * len(members[two]):
                left.append(link)
                continue
            changed = True
            for node in members[two]:
                cluster[node] = one
            members[one] += members.pop(two)
            for other, number in between.pop(two).items():
                del between[other][two]
                if other != one:
                    between[one][other] = between[one].get(other, 0) + number
                    between[other][one] = between[one][other]
        links = left
    return cluster
