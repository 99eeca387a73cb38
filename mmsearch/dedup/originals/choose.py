"""Chooses the file of a group that is nearest to the source."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mmsearch.dedup.originals.agreement import shown_alike
from mmsearch.dedup.originals.candidate import Candidate
from mmsearch.dedup.originals.frame import AlignedCandidate, Registrations, align, common_frame
from mmsearch.dedup.originals.pair_evidence import weigh
from mmsearch.dedup.originals.reasons import Evidence, reason_for

# Bound of the margin of a pair, so that no single one outweighs all others.
_MOST = 12.0
# Weight of e times as many candidates that show the image alike, and its maximum: less than the
# weight of showing the whole image.
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


def choose(candidates: Sequence[Candidate], pairs: Registrations) -> Choice:
    """Chooses the file that is nearest to the source, and ranks the others.

    pairs: registrations by indices of two candidates; they should connect all of them. Unconnected
        candidates come last. The result does not depend on the order of the candidates.
    """
    places = sorted(range(len(candidates)), key=lambda place: _key(candidates[place]))
    rank = {place: number for number, place in enumerate(places)}
    ordered = {
        (min(rank[one], rank[two]), max(rank[one], rank[two])): pair
        if rank[one] < rank[two]
        else pair.reversed()
        for (one, two), pair in pairs.items()
    }
    matrices = common_frame(len(places), ordered)
    placed = [(at, matrix) for at, matrix in enumerate(matrices) if matrix is not None]
    connected = [places[at] for at, _ in placed]
    comparisons = _Comparisons(
        align([candidates[place] for place in connected], [matrix for _, matrix in placed])
    )
    best = comparisons.ranking()
    reason = (
        reason_for(best[0], comparisons.evidence, comparisons.candidates) if len(best) > 1 else ""
    )
    order = [connected[number] for number in best]
    order += [place for place in places if place not in set(order)]
    return Choice(order[0], reason, tuple(order))


def _key(candidate: Candidate) -> tuple[str, int, int, int]:
    file = candidate.file
    return file.path, file.bytes, file.modified, int(candidate.close.sum())


class _Comparisons:
    """Pairwise comparisons of candidates, each one made once, and the ranking by them.

    evidence: by pair of indices, the smaller first.
    """

    def __init__(self, candidates: Sequence[AlignedCandidate]) -> None:
        self.candidates = candidates
        self._votes = shown_alike(candidates)
        self.evidence: dict[tuple[int, int], list[Evidence]] = {}

    def ranking(self) -> list[int]:
        """Indices of the candidates, the best first.

        The best wins against all others; these follow by their margin against it. If the most
        likely one is the best, this takes one comparison per candidate, and two at most. Without a
        winner, the first is the one that is most likely to be nearer to the source than each of the
        others that did not lose clearly; a margin is a log odds.
        """
        numbers = range(len(self.candidates))
        best = max(numbers, key=lambda number: (self._prior(number), -number))
        for number in numbers:
            if number != best and self._margin(number, best) > 0:
                best = number
        scores = [self._margin(number, best) if number != best else 0.0 for number in numbers]
        order = sorted(numbers, key=lambda number: (-scores[number], number))
        if max(scores) <= 0:
            return order
        close = [number for number in order if scores[number] > -_CLEAR]
        likelihoods = {
            number: -sum(
                float(np.logaddexp(0, -self._margin(number, other)))
                for other in close
                if other != number
            )
            for number in close
        }
        close.sort(key=lambda number: (-likelihoods[number], number))
        return close + order[len(close) :]

    def _margin(self, one: int, two: int) -> float:
        """Positive if `one` is nearer to the source than `two`."""
        pair = min(one, two), max(one, two)
        if pair not in self.evidence:
            self.evidence[pair] = [
                *weigh(self.candidates[pair[0]], self.candidates[pair[1]]),
                *self._agreement(*pair),
            ]
        total = sum(each.weight for each in self.evidence[pair])
        return float(np.clip(total, -_MOST, _MOST)) * (1 if one == pair[0] else -1)

    def _prior(self, number: int) -> float:
        """Likelihood of a candidate by votes and metadata, to try likely ones first."""
        file = self.candidates[number].file
        return _VOTE * float(np.log(self._votes[number])) + 2 * file.camera - file.hints

    def _agreement(self, one: int, two: int) -> list[Evidence]:
        votes = self._votes[one], self._votes[two]
        weight = float(np.clip(_VOTE * np.log(votes[0] / votes[1]), -_MOST_VOTES, _MOST_VOTES))
        return [Evidence("agreement", weight, max(votes))] if weight else []
