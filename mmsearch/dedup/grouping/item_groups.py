"""Groups of items: the kept one, its duplicates and the evidence for each."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import inf
from pathlib import PurePosixPath

import numpy as np

from mmsearch.dedup.grouping.connected_groups import components, group_pairs
from mmsearch.dedup.items import Item
from mmsearch.dedup.keep_rules import KeepRules
from mmsearch.dedup.not_duplicates import NotDuplicates
from mmsearch.dedup.options import DedupOptions
from mmsearch.dedup.results import (
    TIERS,
    Family,
    Group,
    Member,
    Pair,
    SimilarPairs,
    relation_of,
)

# Score from which a pair of texts is certain; no pair of similar images is.
_CERTAIN = 1.0


@dataclass(frozen=True, slots=True)
class Grouping:
    """Builds groups of items from pairs.

    items: in the order of the indices of pairs.
    not_duplicates: pairs ruled out by the user, which never share a group.
    """

    items: Sequence[Item]
    options: DedupOptions
    rules: KeepRules
    not_duplicates: NotDuplicates = field(default_factory=NotDuplicates)

    def groups(self, family: Family, pairs: Iterable[Pair]) -> list[Group]:
        """Groups of one family, the kept item first."""
        chosen = [pair for pair in pairs if self.allowed(pair)]
        by_item: dict[int, list[Pair]] = defaultdict(list)
        for pair in chosen:
            by_item[pair.first].append(pair)
            by_item[pair.second].append(pair)
        made = (self._group(family, places, by_item) for places in self.places(family, chosen))
        return [group for group in made if self.spans(group)]

    def similar(self, found: SimilarPairs) -> list[Group]:
        """Groups of similar images; pair objects are created one group at a time to save memory."""
        if self.options.within_folder:
            found = found.take(np.fromiter(map(self.allowed, found), np.bool_, len(found)))
        found = found.take(self.not_duplicates.allowed(found.pairs))
        one, two = np.array([item.whole for item in self.items], np.int64)[found.pairs.T]
        found = found.take(one != two)
        count = len(self.items)
        places = group_pairs(count, found.pairs, found.cosines, certain=inf)
        places = self.not_duplicates.split(places, found.pairs, found.cosines)
        group_of = np.full(count, -1)
        for number, rows in enumerate(places):
            group_of[rows] = number
        one, two = group_of[found.pairs.T]
        within = np.flatnonzero((one == two) & (one >= 0))
        within = within[np.argsort(one[within], kind="stable")]
        starts, ends = (
            np.searchsorted(one[within], np.arange(len(places)), side=side)
            for side in ("left", "right")
        )
        made = []
        for rows, start, end in zip(places, starts.tolist(), ends.tolist(), strict=True):
            by_item: dict[int, list[Pair]] = defaultdict(list)
            for pair in found.take(within[start:end]):
                by_item[pair.first].append(pair)
                by_item[pair.second].append(pair)
            made.append(self._group("similar", rows, by_item))
        return [group for group in made if self.spans(group)]

    def spans(self, group: Group) -> bool:
        """Whether the group contains items of both requested sources."""
        across = self.options.across
        return not across or {item.source for item in group.items} >= set(across)

    def places(self, family: Family, pairs: Sequence[Pair]) -> list[list[int]]:
        """The groups as ascending indices of items."""
        rows = np.array([(pair.first, pair.second) for pair in pairs], np.int64).reshape(-1, 2)
        scores = np.array([pair.score for pair in pairs])
        if family == "picture":
            # Members are compared in detail afterwards, which splits chains.
            groups = components(len(self.items), rows)
        else:
            groups = group_pairs(len(self.items), rows, scores, certain=_CERTAIN)
        return self.not_duplicates.split(groups, rows, scores)

    def allowed(self, pair: Pair) -> bool:
        """Whether the options and the user's marks allow the pair to share a group.

        Never for two images of one item.
        """
        one, two = (self.items[place] for place in (pair.first, pair.second))
        if one.whole == two.whole or self.not_duplicates.rules_out(pair.first, pair.second):
            return False
        if not self.options.within_folder:
            return True
        return PurePosixPath(one.uri or one.key).parent == PurePosixPath(two.uri or two.key).parent

    def _group(
        self, family: Family, places: Sequence[int], by_item: dict[int, list[Pair]]
    ) -> Group:
        inside = set(places)
        order = self.rules.order([self.items[place] for place in places])
        place_of = {self.items[place].uid: place for place in places}
        kept, others = order[0], order[1:]
        members = tuple(
            self._member(item, place_of[item.uid], place_of[kept.uid], inside, by_item=by_item)
            for item in others
        )
        weakest = max(
            (pair.tier for place in places for pair in by_item[place] if _within(pair, inside)),
            key=TIERS.index,
        )
        return Group(group_id(family, order), family, weakest, kept, members)

    def _member(
        self,
        item: Item,
        place: int,
        kept: int,
        inside: set[int],
        *,
        by_item: dict[int, list[Pair]],
    ) -> Member:
        pairs = [pair for pair in by_item[place] if _within(pair, inside)]
        direct = [pair for pair in pairs if kept in (pair.first, pair.second)]
        best = max(direct or pairs, key=lambda pair: (pair.score, -pair.first, -pair.second))
        other = best.second if best.first == place else best.first
        via = "" if direct else self.items[other].key
        return Member(item, best.tier, best.score, best.evidence, via, relation_of(best.tier))


def group_id(family: Family, items: Iterable[Item]) -> str:
    """A stable id: a hash of the family and the first of the keys."""
    name = f"{family} {min(item.key for item in items)}"
    return hashlib.blake2b(name.encode("utf-8", "backslashreplace"), digest_size=5).hexdigest()


def _within(pair: Pair, inside: Iterable[int]) -> bool:
    return pair.first in inside and pair.second in inside
