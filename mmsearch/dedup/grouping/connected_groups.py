"""Clusters pairs into groups without chains that drift from one image to another.

Where A is similar to B and B to C, but A not to C, the three form one group only if B is certain of
both; otherwise groups are merged only if more than half of the pairs between them exist.
"""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from mmsearch.dedup.thumbnails.greedy_matching import joined
from mmsearch.records import Floats, Ids

# Two groups are merged if more than this share of the pairs between them exists.
DENSE = 0.5


def components(count: int, pairs: Ids) -> list[list[int]]:
    """Connected groups of two or more rows, sorted within and by their first row.

    count: number of rows.
    pairs: int64 (m, 2).
    """
    roots = joined(np.arange(count), *pairs.T)
    together: dict[int, list[int]] = defaultdict(list)
    for row in np.unique(pairs).tolist():
        together[int(roots[row])].append(row)
    return [together[root] for root in sorted(together)]


def group_pairs(
    count: int,
    pairs: Ids,
    scores: Floats,
    *,
    certain: float,
) -> list[list[int]]:
    """Clusters rows into groups; the result does not depend on the order of the pairs.

    count: number of rows.
    pairs: int64 (m, 2), unique.
    scores: float (m,).
    certain: score from which a pair is certain.
    Returns groups of two or more rows, sorted within and by their first row.
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
            within = _component(places.reshape(-1, 2), scores[part], certain)
            groups += [rows[group].tolist() for group in within]
    return sorted(groups)


def _component(pairs: Ids, scores: Floats, certain: float) -> list[list[int]]:
    """Groups of connected rows, numbered from 0."""
    order = np.lexsort((pairs[:, 1], pairs[:, 0], -scores))
    columns = scores[order].tolist(), *pairs[order].T.tolist()
    known = [*zip(*columns, strict=True)]
    star = _stars(1 + int(pairs.max()), [(a, b) for score, a, b in known if score >= certain])
    # Only centres link clusters: links between members would drift from cluster to cluster.
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


def _stars(count: int, pairs: Sequence[tuple[int, int]]) -> list[int]:
    """Assigns each row to a centre that it forms a pair with; rows with most pairs come first."""
    near: dict[int, list[int]] = defaultdict(list)
    for a, b in pairs:
        near[a].append(b)
        near[b].append(a)
    star = [*range(count)]
    taken: set[int] = set()
    for centre in sorted(near, key=lambda row: (-len(near[row]), row)):
        if centre not in taken:
            for row in {centre, *near[centre]} - taken:
                star[row] = centre
                taken.add(row)
    return star


def _densely_joined(links: Sequence[tuple[int, int]]) -> dict[int, int]:
    """Merges densely linked clusters, strongest links, which come first, before all others."""
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
