"""Greedy clustering of rows around centres with as few pairwise checks as possible.

`gather` suits candidate pairs that are mostly right: rows that rank before all of their neighbours
    become centres and are checked against each of them; certain members are not checked again.
    `gather_likeliest` suits pairs that are mostly wrong: each row is first checked against its most
    similar neighbour, and after that clusters are compared instead of rows, so that ten crops of
    one image and ten of a similar one are rejected once, not a hundred times.
"""

from collections.abc import Callable

import numpy as np

from mmsearch.records import Floats, Ids

Check = Callable[[Ids], Floats]
# Number of the most similar pairs checked between two clusters; one of them may be unusable.
_TRIED = 2


def gather(edges: Ids, rank: Ids, check: Check, *, certain: float) -> tuple[Floats, Ids]:
    """Clusters rows around centres, checking an edge only if its rows are not connected yet.

    edges: int64 (m, 2), candidate pairs of rows.
    rank: int64 (n,), distinct priorities; the lowest of its neighbourhood is a centre.
    check: maps indices of edges, int64 (e,), to their agreement, float32 (e,).
    certain: agreement from which a row becomes a member.
    Returns the agreement of every edge, -1 where it was not checked, and the centre of every row,
    itself if it has none. A centre is never a member of another cluster.
    """
    agreement = np.full(len(edges), -1, np.float32)
    checked = np.zeros(len(edges), np.bool_)
    hubs, roots = np.arange(len(rank)), np.arange(len(rank))
    # Rows that are connected already are not compared.
    while (left := np.flatnonzero(~checked & (roots[edges[:, 0]] != roots[edges[:, 1]]))).size:
        one, two = edges[left].T
        first = rank.copy()
        np.minimum.at(first, one, rank[two])
        np.minimum.at(first, two, rank[one])
        leads = first == rank
        chosen = left[leads[one] | leads[two]]
        agreement[chosen] = check(chosen)
        checked[chosen] = True
        sure = chosen[agreement[chosen] >= certain]
        swapped = leads[edges[sure, 1]]
        leader = np.where(swapped, edges[sure, 1], edges[sure, 0])
        other = np.where(swapped, edges[sure, 0], edges[sure, 1])
        free = (hubs[leader] == leader) & (hubs[other] == other)
        # A row with several possible centres joins the one with the best agreement.
        order = np.lexsort((rank[leader], -agreement[sure], ~free))
        rows, places = np.unique(other[order], return_index=True)
        claimed = free[order][places]
        hubs[rows[claimed]] = leader[order][places][claimed]
        roots = joined(roots, roots[leader], roots[other])
    return agreement, hubs


def gather_likeliest(
    edges: Ids,
    likeness: Floats,
    rank: Ids,
    check: Check,
    *,
    certain: float,
    clusters: Ids | None = None,
) -> tuple[Floats, Ids]:
    """Clusters rows as `gather` does, for candidate pairs that are mostly wrong.

    First the most similar edge of each cluster is checked; then, twice, the most similar few
    between any two clusters, and within each cluster those of its centre, its first row by rank.

    likeness: float32 (m,), similarities of the edges.
    clusters: int64 (n,), the least row of each row's known cluster; by default the row itself.
    """
    agreement = np.full(len(edges), -1, np.float32)
    roots = np.arange(len(rank)) if clusters is None else clusters
    leads = np.ones(len(rank), np.bool_)
    for step in range(3):
        if step == 0:
            chosen = np.unique(np.concatenate([_top(roots[row], likeness, 1) for row in edges.T]))
        else:
            inside = roots[edges[:, 0]] == roots[edges[:, 1]]
            left = agreement < 0
            led = np.flatnonzero(left & inside & leads[edges].any(axis=1))
            between = np.flatnonzero(left & ~inside)
            low, high = np.sort(roots[edges[between]], axis=1).T
            best = _top(low * len(rank) + high, likeness[between], _TRIED)
            chosen = np.concatenate([led, between[best]])
        agreement[chosen] = check(chosen)
        sure = chosen[agreement[chosen] >= certain]
        roots = joined(roots, *edges[sure].T)
        first = np.full(len(rank), len(rank))
        np.minimum.at(first, roots, rank)
        leads = first[roots] == rank
    hubs = np.arange(len(rank))
    for leader, other in (edges.T, edges.T[::-1]):
        led = (agreement >= certain) & leads[leader]
        hubs[other[led]] = leader[led]
    return agreement, hubs


def _top(keys: Ids, likeness: Floats, count: int) -> Ids:
    """Indices of the `count` most similar entries of each key."""
    order = np.lexsort((-likeness, keys))
    top: Ids = order[places_in_runs(keys[order]) < count]
    return top


def places_in_runs(keys: Ids) -> Ids:
    """Position of each element within its run of equal keys.

    keys: int64 (n,), not negative, equal ones adjacent.
    """
    starts = np.flatnonzero(np.diff(keys, prepend=-1))
    places: Ids = np.arange(len(keys)) - np.repeat(starts, np.diff([*starts, len(keys)]))
    return places


def joined(roots: Ids, ones: Ids, twos: Ids) -> Ids:
    """Merges clusters along pairs of rows.

    roots: int64 (n,), the least row of each row's cluster; returned likewise.
    """
    least = roots.copy()
    while True:
        ones, twos = least[ones], least[twos]
        np.minimum.at(least, np.maximum(ones, twos), np.minimum(ones, twos))
        shorter = least[least]
        if (shorter == least).all() and (least[ones] == least[twos]).all():
            return least
        least = shorter
