"""Pairs become groups: connected, but not by chains that drift from one picture to another.

Where A is like B and B like C, but A not like C, all three become one group only if the middle one
is certain of both; else groups join only if more than half of the pairs between them are there.
"""

from collections import defaultdict
from collections.abc import Sequence
from heapq import heappop, heappush
from math import acos

import numpy as np

from mmsearch.dedup.gathering import joined
from mmsearch.records import Floats, Ids

# More than this share of the pairs between two groups must be found for them to become one.
DENSE = 0.5


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
            local = [(one, two) for one, two in places.reshape(-1, 2).tolist()]
            within = _component(local, scores[part].tolist(), certain, inferred)
            groups += [rows[group].tolist() for group in within]
    return sorted(groups)


def _component(
    pairs: Sequence[tuple[int, int]], scores: Sequence[float], certain: float, inferred: float
) -> list[list[int]]:
    """The groups of rows that are all connected, numbered from 0."""
    known = sorted((-score, *pair) for pair, score in zip(pairs, scores, strict=True))
    sure = [(a, b, -score) for score, a, b in known if -score >= certain]
    star = _stars(1 + max(b for _, b in pairs), sure, _angle(inferred))
    links: dict[int, dict[int, float]] = defaultdict(dict)
    for score, a, b in known:
        # Centres speak for their stars: links from rim to rim would drift on from star to star.
        one, two = star[a], star[b]
        if one != two and (one, two) == (a, b):
            links[one][two] = links[two][one] = -score
    members: dict[int, list[int]] = defaultdict(list)
    for centre, cluster in _densely_joined(links).items():
        members[cluster].append(centre)
    inside: dict[int, list[int]] = defaultdict(list)
    for row, centre in enumerate(star):
        inside[centre].append(row)
    groups = [
        sorted(row for centre in centres for row in inside[centre]) for centres in members.values()
    ]
    groups += [rows for centre, rows in inside.items() if centre not in links]
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


def _densely_joined(links: dict[int, dict[int, float]]) -> dict[int, int]:
    """Clusters of linked nodes: strongest link first, joined where they are densely linked."""
    cluster = {node: node for node in links}
    members = {node: [node] for node in links}
    between = {node: dict.fromkeys(others, 1) for node, others in links.items()}
    order = sorted(
        (-score, a, b) for a, others in links.items() for b, score in others.items() if a < b
    )
    changed = True
    while changed:
        changed, left = False, []
        for link in order:
            one, two = sorted((cluster[link[1]], cluster[link[2]]))
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
        order = left
    return cluster
