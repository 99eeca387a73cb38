"""Which member of each group stays, where the rules ask for the original.

Of many copies only a few can be the original: the largest set of files that are one image with the
centre says what the picture is, and of these the ones with most detail are weighed against each
other. Small groups are weighed whole.
"""

from collections import Counter
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

# Duels grow with the square of the candidates.
_CANDIDATES = 6
_WHOLE_GROUP = 4
# Of a group, how many files must be one image for the rest to be versions of it.
_MAJORITY, _FEWEST = 0.3, 3
# Others of one size that say which detail is shared, and how much less of it another one may share.
_PEERS, _APART = 2, 0.12
# Of the most pixels among the candidates; below, others hold more detail for sure.
_PIXELS = 0.45


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
        pairs = [(places[0], place) for places in chosen for place in places[1:]]
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
        if len(places) <= _WHOLE_GROUP:
            return places
        centre = max(places, key=lambda place: (self._same_as(place, places), -place))
        upright = self._upright(centre, places)
        same = [place for place in places if self._same(centre, place)]
        if len(same) >= max(_MAJORITY * len(places), _FEWEST):
            places = same
        standing = [place for place in places if place in upright]
        places = standing if len(standing) > 1 else places
        most = max(self._pixels(place) for place in places)
        places = [place for place in places if self._pixels(place) >= _PIXELS * most]
        places.sort(key=lambda place: (-self.items[place].size, self.items[place].key))
        return places[:_CANDIDATES]

    def _upright(self, centre: int, places: Sequence[int]) -> set[int]:
        """The places that are turned as most of the group are; edits seldom turn a picture."""
        turns = {centre: 0}
        for place in places:
            found = None if place == centre else self.comparer.known(centre, place)
            if found is not None and found.judgement != "different":
                turns[place] = found.orientation
        counts = Counter(turns.values())
        most = max(counts, key=lambda turn: (counts[turn], -turn))
        return {place for place, turn in turns.items() if turn == most}

    def _pixels(self, place: int) -> int:
        return self.items[place].width * self.items[place].height

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


def _in_agreement(read: list[tuple[int, Candidate]]) -> list[tuple[int, Candidate]]:
    """The candidates whose fine detail the others of their size share.

    All copies come from the original, so its detail is in each of them, as far as it was kept.
    Grain that was added, and what blur left, is in none of the others.
    """
    shared: dict[int, float] = {}
    for number, candidate in read:
        peers = [
            _detail_correlation(candidate, other)
            for _, other in read
            if other is not candidate and other.close.shape == candidate.close.shape
        ]
        if len(peers) >= _PEERS:
            shared[number] = float(np.mean(peers))
    best = max(shared.values(), default=0.0)
    kept = [(number, each) for number, each in read if shared.get(number, best) >= best - _APART]
    return kept or read


def _detail_correlation(one: Candidate, other: Candidate) -> float:
    """Correlation of the second differences of luminance, of pictures on one grid of pixels."""
    details = []
    for candidate in (one, other):
        levels = candidate.close.astype(np.float32)
        detail = 4 * levels[1:-1, 1:-1] - levels[2:, 1:-1] - levels[:-2, 1:-1]
        detail -= levels[1:-1, 2:] + levels[1:-1, :-2]
        details.append(detail - detail.mean() if detail.size else detail)
    power = float(np.linalg.norm(details[0]) * np.linalg.norm(details[1]))
    return float((details[0] * details[1]).sum()) / power if power else 0.0


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
    read = _in_agreement(read)
    place = {number: at for at, (number, _) in enumerate(read)}
    facts = {
        (place[one], place[two]): found
        for (one, two), found in race.facts.items()
        if one in place and two in place
    }
    choice = choose([candidate for _, candidate in read], facts)
    order = tuple(read[at][0] for at in choice.order)
    return Choice(order[0], choice.reason, order)
