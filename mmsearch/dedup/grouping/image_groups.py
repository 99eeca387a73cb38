"""Groups of duplicate images: proposed by thumbnails and keypoints, verified by full comparison.

pairs → groups → verified groups ┐
                                 ├→ merged groups → kept image, members, relations
one per group → keypoint matches ┘
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from mmsearch.dedup.cache.keypoint_cache import KeypointCache
from mmsearch.dedup.grouping.connected_groups import components
from mmsearch.dedup.grouping.item_groups import Grouping, group_id
from mmsearch.dedup.grouping.linking import (
    Representatives,
    supported,
    without_other_parts,
)
from mmsearch.dedup.grouping.originals_kept import Keeping
from mmsearch.dedup.grouping.verification import (
    Cluster,
    Comparer,
    Verifier,
    ascending,
    likely_originals_first,
)
from mmsearch.dedup.keypoints import propose
from mmsearch.dedup.results import TIERS, Group, Member, Pair, relation_of
from mmsearch.progress import ProgressListener

_EXACT = ("bytes", "pixels")


@dataclass(frozen=True, slots=True)
class PictureGroups:
    """Builds the groups of duplicate images of one run.

    grouping: decides which items may form a group, and which one is kept.
    """

    grouping: Grouping
    comparer: Comparer
    keypoints: KeypointCache
    progress: ProgressListener

    def groups(self, pairs: Sequence[Pair]) -> list[Group]:
        """Builds verified groups from the pairs proposed by thumbnails and equal bytes."""
        chosen = [pair for pair in pairs if self.grouping.allowed(pair)]
        exact = {ascending(pair.first, pair.second): pair for pair in chosen if pair.tier in _EXACT}
        places = self.grouping.places("picture", chosen)
        if "edited" in self.grouping.options.tiers:
            verifier = Verifier(self.grouping.items, self.comparer, exact)
            clusters = self._with_proposals(verifier.verified(places, chosen), verifier)
        else:
            clusters = self._clusters(places, (), exact)
        orders = self._orders(clusters, exact)
        self.comparer.prepare(
            [
                (order[0], place)
                for order, _ in orders
                for place in order[1:]
                if "edited" in self.grouping.options.tiers
                and ascending(order[0], place) not in exact
            ],
            "comparing with kept images",
        )
        made = [
            self._group(order, reason, exact, cluster.bonds)
            for (order, reason), cluster in zip(orders, clusters, strict=True)
        ]
        return [group for group in made if self.grouping.spans(group)]

    def _orders(
        self, clusters: Sequence[Cluster], exact: Collection[tuple[int, int]]
    ) -> list[tuple[list[int], str]]:
        """The members of each group, the kept one first, and the reason for that choice."""
        items, rules = self.grouping.items, self.grouping.rules
        if rules.wants_original and clusters:
            likely = Keeping(items, self.comparer, exact).originals(clusters)
        else:
            likely = [((), "") for _ in clusters]
        orders = []
        for cluster, (originals, reason) in zip(clusters, likely, strict=True):
            rank = {items[place].uid: number for number, place in enumerate(originals)}
            ordered = rules.order([items[place] for place in cluster.places], rank)
            place_of = {items[place].uid: place for place in cluster.places}
            order = [place_of[item.uid] for item in ordered]
            orders.append((order, reason if originals and order[0] == originals[0] else ""))
        return orders

    def _with_proposals(self, clusters: Sequence[Cluster], verifier: Verifier) -> list[Cluster]:
        """Merges and extends clusters by pairs that keypoints propose and a comparison confirms."""
        items = self.grouping.items
        representative = np.arange(len(items))
        chooser = Representatives(items, self.comparer)
        for cluster in clusters:
            representative[list(cluster.places)] = chooser.of(cluster)
        representatives, hashes = list[int](), set[str]()
        for place in np.unique(representative).tolist():
            if items[place].image_hash and items[place].image_hash not in hashes:
                hashes.add(items[place].image_hash)
                representatives.append(place)
        files = [self.comparer.file(place) for place in representatives]
        found = self.keypoints.of(files, self.comparer.bounds, self.progress)
        known = [
            (place, points) for place, points in zip(representatives, found, strict=True) if points
        ]
        self.progress.start("matching keypoints", None)
        proposed = propose([points for _, points in known]).pairs.tolist()
        pairs = [(known[one][0], known[two][0]) for one, two in proposed]
        allowed = [
            (one, two)
            for one, two in pairs
            if self.grouping.allowed(Pair(min(one, two), max(one, two), "edited", 0.0, ""))
        ]
        members = [
            (place, chosen)
            for place, chosen in enumerate(representative.tolist())
            if place != chosen
        ]
        bonds = without_other_parts(verifier.confirmed(allowed), self.comparer)
        bonds = supported(bonds, members, verifier)
        confirmed = np.array(bonds, np.int64).reshape(-1, 2)
        every = np.array(members, np.int64).reshape(-1, 2)
        places = components(len(items), np.concatenate([every, confirmed]))
        scores = np.ones(len(confirmed), np.float32)
        split = self.grouping.not_duplicates.split(places, confirmed, scores)
        return self._clusters(split, clusters, confirmed.tolist())

    def _clusters(
        self,
        groups: Iterable[Sequence[int]],
        parts: Iterable[Cluster],
        bonds: Iterable[Sequence[int]],
    ) -> list[Cluster]:
        """Builds the clusters of merged groups; the largest part determines the centre.

        groups: indices of items.
        parts: clusters that were merged into the groups.
        bonds: pairs of indices in addition to those of the parts.
        """
        part_of = {part.centre: part for part in parts}
        others: dict[int, list[tuple[int, int]]] = defaultdict(list)
        for one, two in bonds:
            others[one].append((one, two))
        made = []
        for group in groups:
            own = [part_of[place] for place in group if place in part_of]
            first = likely_originals_first(group, self.grouping.items)[0]
            centre = max(own, key=lambda part: len(part.places)).centre if own else first
            every = [bond for part in own for bond in part.bonds]
            every += [bond for place in group for bond in others[place]]
            inside = set(group)
            kept = tuple((one, two) for one, two in every if one in inside and two in inside)
            made.append(Cluster(centre, tuple(sorted(group)), kept))
        return made

    def _group(
        self,
        places: Sequence[int],
        reason: str,
        exact: dict[tuple[int, int], Pair],
        bonds: Iterable[tuple[int, int]],
    ) -> Group:
        items = [self.grouping.items[place] for place in places]
        partners: dict[int, list[int]] = defaultdict(list)
        for one, two in bonds:
            partners[one].append(two)
            partners[two].append(one)
        members = tuple(
            self._member(places[0], place, partners[place], exact) for place in places[1:]
        )
        weakest = max((member.tier for member in members), key=TIERS.index)
        return Group(group_id("picture", items), "picture", weakest, items[0], members, reason)

    def _member(
        self,
        kept: int,
        place: int,
        partners: Sequence[int],
        exact: dict[tuple[int, int], Pair],
    ) -> Member:
        """The member by its relation to the kept one, else to a partner.

        partners: the members that it was compared with when the group was made.
        """
        items = self.grouping.items
        item = items[place]
        for other in (kept, *(each for each in partners if each != kept)):
            via = "" if other == kept else items[other].key
            pair = exact.get(ascending(place, other))
            if pair is not None:
                relation = relation_of(pair.tier)
                return Member(item, pair.tier, pair.score, pair.evidence, via, relation)
            if not via and items[other].image_hash == item.image_hash:
                return Member(item, "bytes", 2.0, "the files hold the same bytes", "", "exact")
            if not via and "edited" not in self.grouping.options.tiers:
                continue
            found = self.comparer.compare(other, place)
            if found is not None and found.judgement != "different":
                return Member(
                    *(item, "edited", found.similarity, found.reason, via),
                    found.judgement,
                    () if via else found.changes,
                )
        return Member(item, "edited", 0.0, "its file could not be read again", "", "edited version")
