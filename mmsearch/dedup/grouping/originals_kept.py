"""Chooses the original of each group, where the keep rules request it.

All members of a group are compared with each other. Of the largest groups only those are compared
that align with the centre as most members do: edits that crop, frame or tilt an image do so in many
ways.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mmsearch.dedup.comparison.pool import FileOf, on_every_core, read_indexed
from mmsearch.dedup.grouping.verification import (
    PART,
    Cluster,
    Comparer,
    ascending,
    likely_originals_first,
)
from mmsearch.dedup.items import Item
from mmsearch.dedup.originals import Candidate, Choice, Registration, choose, read_candidate
from mmsearch.dedup.originals.frame import SQUARE, common_frame
from mmsearch.dedup.originals.registration import Homography, inverse, project
from mmsearch.errors import InputError
from mmsearch.media import MediaBounds

# Version of the ranking; results cached by another version are discarded.
_RANKING = 7
# Maximum number of candidates, since each one is decoded in full.
_CANDIDATES = 12
# Of the members with equal corners, the share, and the number, that are one image with the centre.
_MAJORITY, _FEWEST = 0.3, 3
# Tolerance for equal corners, in normalised coordinates.
_ONE_PLACE = 0.04
# Minimum share of one of two images that the other shows for a reliable registration.
_NESTED = 0.95


@dataclass(frozen=True, slots=True)
class _Candidates:
    """The files of a group that may be the original.

    pairs: registrations by pairs of indices of files.
    """

    files: tuple[FileOf, ...]
    pairs: dict[tuple[int, int], Registration]

    @property
    def name(self) -> str:
        """A stable name for the same files, contents, times and version of the ranking."""
        files = " ".join(f"{each.image_hash} {each.modified} {each.uri}" for each in self.files)
        return f"{_RANKING} {files}"


@dataclass(frozen=True, slots=True)
class Keeping:
    """Chooses originals.

    items: of one run.
    comparer: of these items.
    exact: pairs of indices with equal content.
    """

    items: Sequence[Item]
    comparer: Comparer
    exact: Collection[tuple[int, int]]

    def originals(self, clusters: Sequence[Cluster]) -> list[tuple[tuple[int, ...], str]]:
        """Ranks the likely originals of each cluster, best first, with the reason.

        Empty if no file can be read.
        """
        clusters = [replace(each, bonds=each.bonds + self._extra_pairs(each)) for each in clusters]
        self.comparer.prepare(
            [
                bond
                for each in clusters
                for bond in each.bonds
                if ascending(*bond) not in self.exact
            ],
            "comparing candidates",
        )
        groups = [self._candidates(cluster) for cluster in clusters]
        choices = self._choices([candidates for _, candidates in groups])
        return [
            (tuple(places[number] for number in choice.order), choice.reason)
            if choice is not None
            else ((), "")
            for (places, _), choice in zip(groups, choices, strict=True)
        ]

    def _choices(self, groups: Sequence[_Candidates]) -> list[Choice | None]:
        """The choice for each group, cached or computed."""
        cache, progress = self.comparer.cache, self.comparer.progress
        fresh = [group for group in groups if cache.choice(group.name) is None]
        progress.start("choosing originals", len(fresh))
        found = on_every_core(choose_original, fresh, self.comparer.bounds, progress, at_once=4)
        for group, choice in zip(fresh, found, strict=True):
            if choice is not None:
                cache.add_choice(group.name, choice)
        return [cache.choice(group.name) for group in groups]

    def _candidates(self, cluster: Cluster) -> tuple[list[int], _Candidates]:
        """Indices of the candidates, one for each content, and their registrations."""
        first: dict[str, int] = {}
        for place in (cluster.centre, *cluster.places):
            first.setdefault(self.items[place].image_hash, place)
        places = list(first.values())
        number = {place: at for at, place in enumerate(places)}
        pairs: dict[tuple[int, int], Registration] = {}
        for one, two in cluster.bonds:
            ends = [number[first[self.items[place].image_hash]] for place in (one, two)]
            pair = self._registration(places[ends[0]], places[ends[1]])
            if pair is not None and ends[0] != ends[1]:
                pairs[ends[0], ends[1]] = pair
        if len(places) > _CANDIDATES:
            frame = common_frame(len(places), pairs)
            chosen = self._commonly_placed(places, frame)
            places, pairs = [places[at] for at in chosen], _star(chosen, frame)
        return places, _Candidates(tuple(self.comparer.file(place) for place in places), pairs)

    def _extra_pairs(self, cluster: Cluster) -> tuple[tuple[int, int], ...]:
        """Additional pairs to compare: crops register best with the whole image."""
        links: dict[int, list[int]] = defaultdict(list)
        for one, two in cluster.bonds:
            pair = self._registration(one, two)
            if pair is None or max(pair.first_shared, pair.second_shared) >= _NESTED:
                links[one].append(two)
                links[two].append(one)
        reached, waiting = {cluster.centre}, [cluster.centre]
        while waiting:
            for other in links[waiting.pop()]:
                if other not in reached:
                    reached.add(other)
                    waiting.append(other)
        root = min(reached, key=lambda place: (self._share_shown(cluster.centre, place), place))
        return tuple((root, place) for place in cluster.places if place not in reached)

    def _share_shown(self, centre: int, place: int) -> float:
        """Share of an image that the centre shows; 1 for screenshots."""
        pair = None if centre == place else self._registration(centre, place)
        share = 1.0 if pair is None else pair.second_shared
        return share if share >= PART else 1.0

    def _registration(self, one: int, two: int) -> Registration | None:
        if ascending(one, two) in self.exact:
            return Registration(np.eye(3))
        found = self.comparer.known(one, two)
        if found is None or found.judgement == "different":
            return None
        return Registration(found.matrix, found.first_share, found.second_share)

    def _commonly_placed(
        self, places: Sequence[int], frame: Sequence[Homography | None]
    ) -> list[int]:
        """Indices of the largest set of members with equal corners in the common frame.

        Where enough of them are the same image as the centre, the first of places, only these.
        """
        placed = [(at, each) for at, each in enumerate(frame) if each is not None]
        corners = np.stack([project(inverse(matrix), SQUARE) for _, matrix in placed])
        apart = np.abs(corners[:, None] - corners[None]).max(axis=(2, 3))
        beside = apart < _ONE_PLACE
        most = int(beside.sum(axis=1).argmax())
        chosen = [at for (at, _), near in zip(placed, beside[most], strict=True) if near]
        alike = [at for at in chosen if self._is_same_image(places[0], places[at])]
        if len(alike) >= max(_MAJORITY * len(chosen), _FEWEST):
            chosen = alike
        number = {places[at]: at for at in chosen}
        return [number[place] for place in likely_originals_first(number, self.items)][:_CANDIDATES]

    def _is_same_image(self, one: int, two: int) -> bool:
        if one == two or ascending(one, two) in self.exact:
            return True
        found = self.comparer.known(one, two)
        return found is not None and found.judgement == "same image"


def _star(
    chosen: Sequence[int], frame: Sequence[Homography | None]
) -> dict[tuple[int, int], Registration]:
    """Registrations of the chosen members with the first of them, by their order."""
    matrices = [matrix for at in chosen if (matrix := frame[at]) is not None]
    return {
        (0, number): Registration(matrix @ inverse(matrices[0]))
        for number, matrix in enumerate(matrices[1:], start=1)
    }


def _equal_pairs(candidates: Sequence[Candidate]) -> dict[tuple[int, int], Registration]:
    """Pairs with equal pixels, whose registration is exact."""
    first: dict[tuple[tuple[int, ...], bytes, bytes], int] = {}
    found = {}
    for place, each in enumerate(candidates):
        name = (each.overview.shape, each.overview.tobytes(), each.close.tobytes())
        if name in first:
            found[first[name], place] = Registration(np.eye(3))
        first.setdefault(name, place)
    return found


def choose_original(group: _Candidates, bounds: MediaBounds) -> Choice | None:
    """Chooses the original among the candidates; None if no file can be read."""
    read: list[tuple[int, Candidate]] = []
    for number, file in enumerate(group.files):
        try:
            data = read_indexed(file, bounds)
            candidate = read_candidate(data, path=file.uri, modified=file.modified, bounds=bounds)
        except InputError:
            continue
        read.append((number, candidate))
    if not read:
        return None
    place = {number: at for at, (number, _) in enumerate(read)}
    pairs = {
        (place[one], place[two]): pair
        for (one, two), pair in group.pairs.items()
        if one in place and two in place
    }
    candidates = [candidate for _, candidate in read]
    choice = choose(candidates, pairs | _equal_pairs(candidates))
    order = tuple(read[at][0] for at in choice.order)
    return Choice(order[0], choice.reason, order)
