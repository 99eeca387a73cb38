"""Rows gather around hubs: the fewest checks after which every copy has met the one it belongs to.

Where most candidate pairs are right, the rows that come before all of their neighbours lead: they
are checked against every neighbour, and what surely belongs to them is asked no more. Where most
are wrong, each row first meets its likeliest other one, and from then on clusters meet, not rows:
ten crops of one picture and ten of another that looks like it are refused once, not a hundred
times.
"""

from collections.abc import Callable

import numpy as np

from mmsearch.records import Floats, Ids

Check = Callable[[Ids], Floats]
# Of two clusters that may be one, the likeliest so many pairs are checked: one may be spoilt.
_TRIED = 2


def gather(edges: Ids, rank: Ids, check: Check, *, certain: float) -> tuple[Floats, Ids]:
    """edges: int64 (m, 2), candidate pairs of rows. rank: int64 (n,), distinct: who leads whom.

    check: of edges, int64 (e,) → their agreement, float32 (e,). certain: from here on a row is
    gathered → the agreement of every edge, -1 where it was not needed, and for each row the one
    that it gathered around, itself where there is none. A hub is never gathered itself.
    """
    agreement = np.full(len(edges), -1, np.float32)
    asked = np.zeros(len(edges), np.bool_)
    hubs, roots = np.arange(len(rank)), np.arange(len(rank))
    # Rows that belong together already need not meet.
    while (left := np.flatnonzero(~asked & (roots[edges[:, 0]] != roots[edges[:, 1]]))).size:
        one, two = edges[left].T
        first = rank.copy()
        np.minimum.at(first, one, rank[two])
        np.minimum.at(first, two, rank[one])
        leads = first == rank
        chosen = left[leads[one] | leads[two]]
        agreement[chosen] = check(chosen)
        asked[chosen] = True
        sure = chosen[agreement[chosen] >= certain]
        swapped = leads[edges[sure, 1]]
        leader = np.where(swapped, edges[sure, 1], edges[sure, 0])
        other = np.where(swapped, edges[sure, 0], edges[sure, 1])
        free = (hubs[leader] == leader) & (hubs[other] == other)
        # Where several leaders claim a row, the nearest one has it.
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
    """As `gather`, for candidates of which most are wrong. likeness: float32 (m,), of the edges.

    clusters: int64 (n,), the least row of those that each is known to belong to; itself by default.
    First each cluster's likeliest edge is checked; then, twice, the likeliest few between every two
    clusters, and in each cluster those of its hub, which is its first row by rank.
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
    """The places of the likeliest `count` of each key."""
    order = np.lexsort((-likeness, keys))
    top: Ids = order[places_in_runs(keys[order]) < count]
    return top


def places_in_runs(keys: Ids) -> Ids:
    """keys: int64 (n,), none negative, equal ones together → how many equal ones come before."""
    starts = np.flatnonzero(np.diff(keys, prepend=-1))
    places: Ids = np.arange(len(keys)) - np.repeat(starts, np.diff([*starts, len(keys)]))
    return places


def joined(roots: Ids, ones: Ids, twos: Ids) -> Ids:
    """roots: int64 (n,), the least row of each one's cluster → the same, with these made one."""
    least = roots.copy()
    while True:
        ones, twos = least[ones], least[twos]
        np.minimum.at(least, np.maximum(ones, twos), np.minimum(ones, twos))
        shorter = least[least]
        if (shorter == least).all() and (least[ones] == least[twos]).all():
            return least
        least = shorter
