"""Which member of each group stays, where the rules ask for the original.

All members of a group are weighed against each other. Of the largest groups only those are that are
one image with the centre.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mmsearch.dedup.comparison import PairComparison
from mmsearch.dedup.comparison.pool import FileOf, on_every_core, read_indexed
from mmsearch.dedup.grouping.verification import Comparer
from mmsearch.dedup.items import Item
from mmsearch.dedup.originals import Candidate, Choice, RegistrationFacts, choose, read_candidate
from mmsearch.errors import InputError
from mmsearch.media import MediaBounds

# Each candidate is decoded in full.
_CANDIDATES = 16
# Of a large group, how many files must be one image for the rest to be versions of it.
_MAJORITY, _FEWEST = 0.3, 3
# Of one of two pictures, how much the other shows where their registration is to be relied on.
_NESTED = 0.95


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
    """items: of one run. comparer: of these items."""

    items: Sequence[Item]
    comparer: Comparer

    def originals(self, groups: Sequence[Sequence[int]]) -> list[tuple[tuple[int, ...], str]]:
        """For each group the places of likely originals, the best first, and the reason.

        Nothing where no file can be read.
        """
        chosen = [self._candidates(group) for group in groups]
        pairs = [pair for places in chosen for pair in self._missing(places)]
        self.comparer.prepare(pairs, "comparing candidates")
        races = [self._race(places) for places in chosen]
        choices = self._choices(races)
        return [
            (tuple(places[number] for number in choice.order), choice.reason)
            if choice is not None
            else ((), "")
            for places, choice in zip(chosen, choices, strict=True)
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

    def _candidates(self, group: Sequence[int]) -> list[int]:
        """Places, each content once."""
        first: dict[str, int] = {}
        for place in sorted(group, key=lambda place: self.items[place].key):
            first.setdefault(self.items[place].image_hash, place)
        places = list(first.values())
        if len(places) <= _CANDIDATES:
            return places
        centre = max(places, key=lambda place: (self._same_as(place, places), -place))
        same = [place for place in places if self._same(centre, place)]
        if len(same) >= max(_MAJORITY * len(places), _FEWEST):
            places = same
        places.sort(key=lambda place: (-self.items[place].size, self.items[place].key))
        return places[:_CANDIDATES]

    def _missing(self, places: Sequence[int]) -> list[tuple[int, int]]:
        """Pairs to compare so that all places are connected: each with the best connected one."""
        links = {place: [other for other in places if self._linked(place, other)]
                 for place in places}  # fmt: skip
        hub = max(places, key=lambda place: (len(links[place]), -place))
        reached, waiting = {hub}, [hub]
        while waiting:
            for other in links[waiting.pop()]:
                if other not in reached:
                    reached.add(other)
                    waiting.append(other)
        return [(hub, place) for place in places if place not in reached]

    def _linked(self, one: int, two: int) -> bool:
        found = None if one == two else self.comparer.known(one, two)
        return (
            found is not None
            and found.judgement != "different"
            and max(found.first_share, found.second_share) >= _NESTED
        )

    def _same_as(self, place: int, places: Sequence[int]) -> int:
        return sum(self._same(place, other) for other in places)

    def _same(self, one: int, two: int) -> bool:
        """Whether they are known to be one image; what was never compared is not."""
        if one == two:
            return True
        found = self.comparer.known(one, two)
        return found is not None and found.judgement == "same image"

    def _race(self, places: Sequence[int]) -> _Race:
        facts = {}
        for one in range(len(places)):
            for two in range(one + 1, len(places)):
                found = self.comparer.known(places[one], places[two])
                if found is not None and found.judgement != "different":
                    facts[one, two] = _facts(found)
        return _Race(tuple(self.comparer.file(place) for place in places), facts)


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
