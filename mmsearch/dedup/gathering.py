"""Rows gather around hubs: the fewest checks after which every copy has met the one it belongs to.

Candidate pairs are checked in rounds. In each, the rows that come before all of their neighbours
lead: they are checked against every neighbour, and what surely belongs to them is asked no more.
"""

from collections.abc import Callable

import numpy as np

from mmsearch.records import Floats, Ids

Check = Callable[[Ids], Floats]


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
        roots = _joined(roots, roots[leader], roots[other])
    return agreement, hubs


def _joined(roots: Ids, ones: Ids, twos: Ids) -> Ids:
    """roots: int64 (n,), the least row of each one's cluster → the same, with these made one."""
    joined = roots.copy()
    while True:
        ones, twos = joined[ones], joined[twos]
        np.minimum.at(joined, np.maximum(ones, twos), np.minimum(ones, twos))
        shorter = joined[joined]
        if (shorter == joined).all() and (joined[ones] == joined[twos]).all():
            return joined
        joined = shorter
