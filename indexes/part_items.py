"""Search for items in an index of their parts: an item is as similar as its best part.

An index may hold the parts of some items, such as the pictures of a product, beside items without
parts, under uids of one numbering.
"""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import NamedTuple, TypeAlias

import numpy as np

from mmsearch.records import Floats, Ids

# Rows that are requested per item at first. The best rows of a query often share an item; where
# they do so more, the search is repeated with WIDENING times as many.
ROWS_PER_ITEM = 2
WIDENING = 4

# (queries float32 (q, dim), width) → similarities and ids (q, width), best first, -1 where missing.
RowSearch: TypeAlias = Callable[[Floats, int], tuple[Floats, Ids]]


class RankedItems(NamedTuple):
    """Items with their best rows, best first.

    similarities: float32 (n,). items: uids int64 (n,). rows: the uid of the best part of each, or
    of the item itself where it has no parts.
    """

    similarities: Floats
    items: Ids
    rows: Ids


class PartItems:
    """Which item each part belongs to.

    parts: uids int64 (n,), ascending. items: the uid of the item of each, int64 (n,).
    """

    def __init__(self, parts: Ids, items: Ids) -> None:
        self.parts, self.items = parts, items

    def __len__(self) -> int:
        return len(self.parts)

    def items_of(self, rows: Ids) -> Ids:
        """Returns the item of each part, of the same shape; other uids, and -1, stay."""
        if not len(self):
            return rows
        places = np.minimum(np.searchsorted(self.parts, rows), len(self) - 1)
        found: Ids = np.where(self.parts[places] == rows, self.items[places], rows)
        return found

    def parts_of(self, items: Ids) -> Ids:
        """Returns the parts of the items, int64 (m,) distinct, by ascending uid."""
        order, ordered = self._by_item
        starts, ends = np.searchsorted(ordered, items), np.searchsorted(ordered, items, "right")
        counts = ends - starts
        # The places from each start to its end, one item after another.
        steps = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        return np.sort(self.parts[order[np.repeat(starts, counts) + steps]])

    def rows_of(self, items: Ids) -> Ids:
        """Returns what an index holds of the items: their parts, and items without parts."""
        return np.union1d(self.parts_of(items), self.without_parts(items))

    def without_parts(self, items: Ids) -> Ids:
        """Returns those of the items, int64 (m,), that have no parts."""
        return items[~np.isin(items, self.distinct_items, assume_unique=True)]

    @cached_property
    def distinct_items(self) -> Ids:
        """The items that have parts, by ascending uid."""
        _, ordered = self._by_item
        first = np.ones(len(ordered), np.bool_)
        first[1:] = ordered[1:] != ordered[:-1]
        return ordered[first]

    @cached_property
    def _by_item(self) -> tuple[Ids, Ids]:
        order = np.argsort(self.items, kind="stable")
        return order, self.items[order]


def rank_items(
    similarities: Floats, rows: Ids, k: int, parts: PartItems | None, *, each_part: bool = False
) -> RankedItems:
    """Returns the k best items of some rows, by similarity, then by smaller uid.

    similarities: float32 (n,). rows: uids int64 (n,), of parts and items. each_part: an item is
    returned with each of its rows, not only with the best.
    """
    items = rows if parts is None else parts.items_of(rows)
    order = np.lexsort((rows, items, -similarities))
    if parts is not None and not each_part:
        # np.unique returns the first place of each item, which is that of its best row.
        order = order[np.sort(np.unique(items[order], return_index=True)[1])]
    order = order[:k]
    return RankedItems(similarities[order], items[order], rows[order])


def search_items(
    search: RowSearch, queries: Floats, k: int, parts: PartItems
) -> Sequence[RankedItems]:
    """Returns the k best items for each query, fewer only where the index has no more.

    The search is widened until enough items are found. A query whose best rows all belong to one
    item with many parts thus costs at most about as much as ranking all rows.
    queries: float32 (q, dim), unit rows.
    """
    found = [RankedItems(np.zeros(0, np.float32), np.zeros(0, np.int64), np.zeros(0, np.int64))]
    found *= len(queries)
    pending, width = np.arange(len(queries)), ROWS_PER_ITEM * k
    while len(pending):
        similarities, rows = search(queries[pending], width)
        held = rows >= 0
        for place, query in enumerate(pending.tolist()):
            there = held[place]
            found[query] = rank_items(similarities[place, there], rows[place, there], k, parts)
        short = [len(found[query].items) < k for query in pending.tolist()]
        # A place that is left empty shows that there are no more rows.
        pending = pending[np.array(short) & held[:, -1]]
        width *= WIDENING
    return found
