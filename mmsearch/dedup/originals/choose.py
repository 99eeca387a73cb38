"""Chooses the file of a group that is nearest to the source."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mmsearch.dedup.originals.contestant import Contestant, Sign
from mmsearch.dedup.originals.duel import duel
from mmsearch.dedup.originals.evidence import Candidate
from mmsearch.dedup.originals.frame import PairsOf, common_frame, lay_out
from mmsearch.dedup.originals.majority import shown_alike
from mmsearch.dedup.originals.reasons import reason_for

# Bound of a duel's margin, so that no single one outweighs all others.
_MOST = 12.0
# Weight of e times as many members that show the image alike, and its maximum: less than the weight
# of showing the whole image.
_VOTE, _MOST_VOTES = 3.0, 8.0
# A margin that other files do not compensate for.
_CLEAR = 6.0


@dataclass(frozen=True, slots=True)
class Choice:
    """The chosen original.

    index: of the original.
    reason: what decided, for people.
    order: all indices, best first.
    """

    index: int
    reason: str
    order: tuple[int, ...]


def choose(candidates: Sequence[Candidate], pairs: PairsOf) -> Choice:
    """Chooses the file that is nearest to the source, and ranks the others.

    pairs: registrations by indices of two candidates; they should connect all of them. Unconnected
        candidates come last. The result does not depend on the order of the candidates.
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
    """Indices of the connected members, and their contestants."""
    matrices = common_frame(len(members), pairs).matrices
    found = [(place, matrix) for place, matrix in enumerate(matrices) if matrix is not None]
    connected = [place for place, _ in found]
    layers = lay_out([members[place] for place in connected], [matrix for _, matrix in found])
    return connected, [
        Contestant(members[place], matrix, layer)
        for (place, matrix), layer in zip(found, layers, strict=True)
    ]


class _Duels:
    """Cached duels of contestants.

    signs: by pair of indices, the smaller first.
    """

    def __init__(self, contestants: Sequence[Contestant]) -> None:
        self.contestants = contestants
        self._votes = shown_alike(contestants)
        self.signs: dict[tuple[int, int], list[Sign]] = {}

    def margin(self, one: int, two: int) -> float:
        """Positive if `one` is nearer to the source than `two`."""
        pair = min(one, two), max(one, two)
        if pair not in self.signs:
            self.signs[pair] = [
                *duel(self.contestants[pair[0]], self.contestants[pair[1]]),
                *self._majority(*pair),
            ]
        total = sum(sign.weight for sign in self.signs[pair])
        return float(np.clip(total, -_MOST, _MOST)) * (1 if one == pair[0] else -1)

    def likelihood(self, number: int) -> float:
        """Prior of a contestant from votes and metadata, to try likely ones first."""
        file = self.contestants[number].file
        return _VOTE * float(np.log(self._votes[number])) + 2 * file.camera - file.hints

    def _majority(self, one: int, two: int) -> list[Sign]:
        odds = float(np.log(self._votes[one] / self._votes[two]))
        weight = float(np.clip(_VOTE * odds, -_MOST_VOTES, _MOST_VOTES))
        return [Sign("majority", weight, max(self._votes[one], self._votes[two]))] if weight else []


def _ranked(duels: _Duels) -> list[int]:
    """Ranks the contestants by index, the best first.

    The best wins against all others; these follow by their margin against it. If the most likely
    one is the best, this takes one duel per contestant, and two at most. Without a winner, the sum
    of margins decides among those that did not lose clearly.
    """
    numbers = range(len(duels.contestants))
    best = max(numbers, key=lambda number: (duels.likelihood(number), -number))
    for number in numbers:
        if number != best and duels.margin(number, best) > 0:
            best = number
    scores = [duels.margin(number, best) if number != best else 0.0 for number in numbers]
    order = sorted(numbers, key=lambda number: (-scores[number], number))
    if max(scores) <= 0:
        return order
    close = [number for number in order if scores[number] > -_CLEAR]
    sums = {
        number: sum(duels.margin(number, other) for other in close if other != number)
        for number in close
    }
    return sorted(close, key=lambda number: (-sums[number], number)) + order[len(close) :]
