"""Which file of a group is nearest to the source."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from mmsearch.dedup.originals.duel import Contestant, Sign, duel
from mmsearch.dedup.originals.evidence import Candidate
from mmsearch.dedup.originals.frame import PairsOf, common_frame, lay_out
from mmsearch.dedup.originals.lattice import grid_coefficients
from mmsearch.dedup.originals.reasons import reason_for

# One duel never outweighs all others together.
_MOST = 12.0


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
    signs = {
        pair: duel(contestants[pair[0]], contestants[pair[1]])
        for pair in combinations(range(len(contestants)), 2)
    }
    best = _by_score(len(contestants), signs)
    order = [connected[number] for number in best]
    order += [number for number in range(len(members)) if number not in set(order)]
    reason = reason_for(best[0], signs, contestants) if len(best) > 1 else ""
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
        Contestant(members[place], matrix, layer, grid_coefficients(members[place].close))
        for (place, matrix), layer in zip(found, layers, strict=True)
    ]


def _by_score(count: int, signs: dict[tuple[int, int], list[Sign]]) -> list[int]:
    """Contestants by their mean margin over the others, the best first."""
    margins = np.zeros((count, count))
    for (one, two), found in signs.items():
        margin = float(np.clip(sum(sign.weight for sign in found), -_MOST, _MOST))
        margins[one, two], margins[two, one] = margin, -margin
    scores = margins.sum(axis=1)
    return sorted(range(count), key=lambda number: (-scores[number], number))
