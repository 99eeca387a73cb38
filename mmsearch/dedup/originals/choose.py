"""Which file of a group is nearest to the source."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mmsearch.dedup.originals.colours import agreement_with_others
from mmsearch.dedup.originals.contestant import Contestant, Sign
from mmsearch.dedup.originals.duel import duel
from mmsearch.dedup.originals.evidence import Candidate
from mmsearch.dedup.originals.frame import PairsOf, common_frame, lay_out
from mmsearch.dedup.originals.majority import shown_alike
from mmsearch.dedup.originals.reasons import reason_for

# One duel never outweighs all others together.
_MOST = 12.0
# Weight of showing the image as e times as many members do, and the most that this may weigh: less
# than showing the whole of it.
_VOTE, _MOST_VOTES = 3.0, 8.0
# For each other file whose tones one of two has and the other has not.
_SUPPORT, _MOST_SUPPORT = 1.2, 3.0


@dataclass(frozen=True, slots=True)
class Choice:
    """index: of the original. reason: for people, what decided. order: all indices, best first."""

    index: int
    reason: str
    order: tuple[int, ...]


def choose(candidates: Sequence[Candidate], pairs: PairsOf) -> Choice:
    """The file that is nearest to the source, and how near the others are.

    pairs: registrations by the places of two candidates; enough of them to connect all. Those that
    no pair connects come last. The result does not depend on the order of the candidates.
    """
    places = sorted(range(len(candidates)), key=lambda place: _key(candidates[place]))
    rank = {place: number for number, place in enumerate(places)}
    ordered = {
        (min(rank[one], rank[two]), max(rank[one], rank[two])): facts
        if rank[one] < rank[two]
        else facts.reversed()
        for (one, two), facts in pairs.items()
    }
    members = [candidates[place] for place in places]
    connected, contestants = _contestants(members, ordered)
    duels = _Duels(contestants)
    best = _ranked(duels)
    order = [connected[number] for number in best]
    order += [number for number in range(len(members)) if number not in set(order)]
    reason = reason_for(best[0], duels.signs, contestants) if len(best) > 1 else ""
    final = tuple(places[number] for number in order)
    return Choice(final[0], reason, final)


def _key(candidate: Candidate) -> tuple[str, int, int, int]:
    file = candidate.file
    return file.path, file.bytes, file.modified, int(candidate.close.sum())


def _contestants(
    members: Sequence[Candidate], pairs: PairsOf
) -> tuple[list[int], list[Contestant]]:
    """The members that are connected, by their places, and what duels need of them."""
    matrices = common_frame(len(members), pairs).matrices
    found = [(place, matrix) for place, matrix in enumerate(matrices) if matrix is not None]
    connected = [place for place, _ in found]
    layers = lay_out([members[place] for place in connected], [matrix for _, matrix in found])
    return connected, [
        Contestant(members[place], matrix, layer)
        for (place, matrix), layer in zip(found, layers, strict=True)
    ]


class _Duels:
    """Duels of contestants, each fought once. signs: by pairs, the smaller number first."""

    def __init__(self, contestants: Sequence[Contestant]) -> None:
        self.contestants = contestants
        self._votes = shown_alike(contestants)
        self.signs: dict[tuple[int, int], list[Sign]] = {}
        self.support = agreement_with_others([each.layer for each in contestants])

    def margin(self, one: int, two: int) -> float:
        """Above 0 where `one` is nearer to the source than `two`."""
        pair = min(one, two), max(one, two)
        if pair not in self.signs:
            support = _SUPPORT * (self.support[pair[0]] - self.support[pair[1]])
            self.signs[pair] = [
                *duel(self.contestants[pair[0]], self.contestants[pair[1]]),
                Sign("support", float(np.clip(support, -_MOST_SUPPORT, _MOST_SUPPORT))),
                *self._majority(*pair),
            ]
        total = sum(sign.weight for sign in self.signs[pair])
        return float(np.clip(total, -_MOST, _MOST)) * (1 if one == pair[0] else -1)

    def _majority(self, one: int, two: int) -> list[Sign]:
        odds = float(np.log(self._votes[one] / self._votes[two]))
        weight = float(np.clip(_VOTE * odds, -_MOST_VOTES, _MOST_VOTES))
        return [Sign("majority", weight, max(self._votes[one], self._votes[two]))] if weight else []


def _ranked(duels: _Duels) -> list[int]:
    """The numbers of the contestants, the best first.

    Who wins against all others is the best; the others follow by how clearly they lost to it. That
    takes two duels a contestant. Where nobody does, all meet all, and the sum of margins decides.
    """
    numbers = range(len(duels.contestants))
    best = 0
    for number in numbers[1:]:
        if duels.margin(number, best) > 0:
            best = number
    scores = [duels.margin(number, best) if number != best else 0.0 for number in numbers]
    if max(scores) > 0:
        scores = [
            sum(duels.margin(number, other) for other in numbers if other != number)
            for number in numbers
        ]
    return sorted(numbers, key=lambda number: (-scores[number], number))
