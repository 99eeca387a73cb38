"""Which member of each group stays, where the rules ask for the original.

All members of a group are weighed against each other. Of the largest groups only those are that lie
on the centre as most members do: edits that crop, frame or tilt an image do so in many ways.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mmsearch.dedup.comparison import PairComparison
from mmsearch.dedup.comparison.pool import FileOf, on_every_core, read_indexed
from mmsearch.dedup.grouping.verification import Cluster, Comparer
from mmsearch.dedup.items import Item
from mmsearch.dedup.originals import Candidate, Choice, RegistrationFacts, choose, read_candidate
from mmsearch.dedup.originals.frame import SQUARE, Frame, common_frame
from mmsearch.dedup.originals.registration_facts import inverse, project
from mmsearch.errors import InputError
from mmsearch.media import MediaBounds

# Each candidate is decoded in full.
_CANDIDATES = 16
# By how much corners may be apart in normalised coordinates and count as one.
_ONE_PLACE = 0.04
# Of one of two images, how much the other shows where their registration is to be relied on.
_NESTED = 0.95
# Of an image's area: what shares less of it with another is a screenshot or a collage.
_PART = 0.5


@dataclass(frozen=True, slots=True)
class _Race:
    """files: who may be the original. facts: how they lie on each other, by places of two files."""

    files: tuple[FileOf, ...]
    facts: dict[tuple[int, int], RegistrationFacts]

    @property
    def name(self) -> str:
        """The same for the same files, contents, times and registrations."""
        return " ".join(f"{each.image_hash} {each.modified} {each.uri}" for each in self.files)


@dataclass(frozen=True, slots=True)
class Keeping:
    """items: of one run. comparer: of these items. exact: pairs of places with equal content."""

    items: Sequence[Item]
    comparer: Comparer
    exact: Collection[tuple[int, int]]

    def originals(self, clusters: Sequence[Cluster]) -> list[tuple[tuple[int, ...], str]]:
        """For each cluster the places of likely originals, the best first, and the reason.

        Nothing where no file can be read.
        """
        clusters = [replace(each, bonds=each.bonds + self._detours(each)) for each in clusters]
        self.comparer.prepare(
            [bond for each in clusters for bond in each.bonds if bond not in self.exact],
            "comparing candidates",
        )
        races = [self._race(cluster) for cluster in clusters]
        choices = self._choices([race for _, race in races])
        return [
            (tuple(places[number] for number in choice.order), choice.reason)
            if choice is not None
            else ((), "")
            for (places, _), choice in zip(races, choices, strict=True)
        ]

    def _choices(self, races: Sequence[_Race]) -> list[Choice | None]:
        """Of each race, what an earlier run decided or what is decided now."""
        cache, progress = self.comparer.cache, self.comparer.progress
        fresh = [race for race in races if cache.choice(race.name) is None]
        progress.start("choosing originals", len(fresh))
        found = on_every_core(run_race, fresh, self.comparer.bounds, progress, at_once=4)
        for race, choice in zip(fresh, found, strict=True):
            if choice is not None:
                cache.add_choice(race.name, choice)
        return [cache.choice(race.name) for race in races]

    def _race(self, cluster: Cluster) -> tuple[list[int], _Race]:
        """The places that are weighed, each content once, and what is known of them."""
        first: dict[str, int] = {}
        for place in (cluster.centre, *cluster.places):
            first.setdefault(self.items[place].image_hash, place)
        places = list(first.values())
        number = {place: at for at, place in enumerate(places)}
        pairs: dict[tuple[int, int], RegistrationFacts] = {}
        for one, two in cluster.bonds:
            ends = [number[first[self.items[place].image_hash]] for place in (one, two)]
            facts = self._facts_of(places[ends[0]], places[ends[1]])
            if facts is not None and ends[0] != ends[1]:
                pairs[ends[0], ends[1]] = facts
        if len(places) > _CANDIDATES:
            frame = common_frame(len(places), pairs)
            chosen = self._lying_as_most(places, frame)
            places, pairs = [places[at] for at in chosen], _star(chosen, frame)
        return places, _Race(tuple(self.comparer.file(place) for place in places), pairs)

    def _detours(self, cluster: Cluster) -> tuple[tuple[int, int], ...]:
        """More pairs to compare: crops lie on the whole image more exactly than on each other."""
        links: dict[int, list[int]] = defaultdict(list)
        for one, two in cluster.bonds:
            facts = self._facts_of(one, two)
            if facts is None or max(facts.first_shared, facts.second_shared) >= _NESTED:
                links[one].append(two)
                links[two].append(one)
        reached, waiting = {cluster.centre}, [cluster.centre]
        while waiting:
            for other in links[waiting.pop()]:
                if other not in reached:
                    reached.add(other)
                    waiting.append(other)
        hub = min(reached, key=lambda place: (self._shown_by(cluster.centre, place), place))
        return tuple((hub, place) for place in cluster.places if place not in reached)

    def _shown_by(self, centre: int, place: int) -> float:
        """Of the image at a place the share that the centre shows; 1 for screenshots."""
        facts = None if centre == place else self._facts_of(centre, place)
        share = 1.0 if facts is None else facts.second_shared
        return share if share >= _PART else 1.0

    def _facts_of(self, one: int, two: int) -> RegistrationFacts | None:
        if (min(one, two), max(one, two)) in self.exact:
            return RegistrationFacts(np.eye(3))
        found = self.comparer.known(one, two)
        return None if found is None or found.judgement == "different" else _facts(found)

    def _lying_as_most(self, places: Sequence[int], frame: Frame) -> list[int]:
        """Numbers of the largest set of places whose corners are the same in the frame."""
        placed = [(at, each) for at, each in enumerate(frame.matrices) if each is not None]
        corners = np.stack([project(inverse(matrix), SQUARE) for _, matrix in placed])
        apart = np.abs(corners[:, None] - corners[None]).max(axis=(2, 3))
        beside = apart < _ONE_PLACE
        most = int(beside.sum(axis=1).argmax())
        chosen = [at for (at, _), near in zip(placed, beside[most], strict=True) if near]
        chosen.sort(key=lambda at: (-self.items[places[at]].size, self.items[places[at]].key))
        return chosen[:_CANDIDATES]


def _star(chosen: Sequence[int], frame: Frame) -> dict[tuple[int, int], RegistrationFacts]:
    """How those that were chosen, by their numbers in the frame, lie on the first of them."""
    matrices = [matrix for at in chosen if (matrix := frame.matrices[at]) is not None]
    return {
        (0, number): RegistrationFacts(matrix @ inverse(matrices[0]))
        for number, matrix in enumerate(matrices[1:], start=1)
    }


def _facts(found: PairComparison) -> RegistrationFacts:
    return RegistrationFacts(
        found.matrix,
        found.first_share,
        found.second_share,
        found.changes,
        "same" if found.colours == "other" else found.colours,
    )


def _equal_pairs(candidates: Sequence[Candidate]) -> dict[tuple[int, int], RegistrationFacts]:
    """Pairs that show the same pixels: no registration is as exact."""
    first: dict[tuple[tuple[int, ...], bytes, bytes], int] = {}
    found = {}
    for place, each in enumerate(candidates):
        name = (each.overview.shape, each.overview.tobytes(), each.close.tobytes())
        if name in first:
            found[first[name], place] = RegistrationFacts(np.eye(3))
        first.setdefault(name, place)
    return found


def run_race(race: _Race, bounds: MediaBounds) -> Choice | None:
    """None where no two of the files can be read and compared."""
    read: list[tuple[int, Candidate]] = []
    for number, file in enumerate(race.files):
        try:
            data = read_indexed(file, bounds)
            candidate = read_candidate(data, path=file.uri, modified=file.modified, bounds=bounds)
        except InputError:
            continue
        read.append((number, candidate))
    if not read:
        return None
    place = {number: at for at, (number, _) in enumerate(read)}
    facts = {
        (place[one], place[two]): found
        for (one, two), found in race.facts.items()
        if one in place and two in place
    }
    facts |= _equal_pairs([candidate for _, candidate in read])
    choice = choose([candidate for _, candidate in read], facts)
    order = tuple(read[at][0] for at in choice.order)
    return Choice(order[0], choice.reason, order)
