"""Merges ranked lists into one: modalities by best rank, vectors and words by reciprocal rank."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from mmsearch.engine.nearest import Ranking
from mmsearch.records import Ids, Matched, Target

# Reciprocal rank fusion, Cormack et al. 2009: the constant from the paper.
RRF_CONSTANT = 60


@dataclass(frozen=True, slots=True)
class Candidate:
    """A row that may become a hit. matched: the modality compared, or 'keyword'.

    score: what its list is ordered by; comparable within the list alone.
    """

    uid: int
    similarity: float
    matched: Matched
    score: float


def listed(ranking: Ranking, matched: Matched) -> list[Candidate]:
    similarities, uids = ranking
    pairs = zip(uids.tolist(), similarities.tolist(), strict=True)
    return [Candidate(uid, similarity, matched, similarity) for uid, similarity in pairs]


def interleave(
    ranked: Mapping[Target, Ranking], typical: Mapping[Target, float]
) -> list[Candidate]:
    """Merges targets by rank, an item at its best one: similarities are on two scales.

    typical: the query's similarity to a target's mean vector. Of equal ranks, the hit that stands
    out more from what is typical of its target comes first.
    """
    places: dict[int, tuple[int, float, Candidate]] = {}
    for target, ranking in ranked.items():
        for rank, found in enumerate(listed(ranking, target)):
            place = (rank, typical[target] - found.similarity, found)
            if found.uid not in places or place[:2] < places[found.uid][:2]:
                places[found.uid] = place
    ordered = sorted(places.values(), key=lambda place: (*place[:2], place[2].uid))
    return [replace(found, score=reciprocal(rank)) for rank, _, found in ordered]


def reciprocal(rank: int) -> float:
    """rank: from 0."""
    return 1.0 / (RRF_CONSTANT + rank + 1)


def reciprocal_rank_fusion(
    nearest: Sequence[Candidate], worded: Sequence[Candidate]
) -> list[Candidate]:
    """Candidates by vectors and by words, both best first → one list; each item stands once.

    An item that words rank better than vectors do is said to be matched by 'keyword'.
    """
    scores: dict[int, float] = {}
    chosen: dict[int, Candidate] = {}
    ranks: dict[int, int] = {}
    for candidates in (nearest, worded):
        for rank, found in enumerate(candidates):
            scores[found.uid] = scores.get(found.uid, 0.0) + reciprocal(rank)
            if found.uid not in ranks:
                chosen[found.uid], ranks[found.uid] = found, rank
            elif rank < ranks[found.uid]:
                chosen[found.uid] = replace(chosen[found.uid], matched=found.matched)
    merged = [replace(found, score=scores[uid]) for uid, found in chosen.items()]
    return sorted(merged, key=lambda found: (-found.score, found.uid))


def unseen(candidates: Sequence[Candidate], seen: set[int], excluded: Ids) -> list[Candidate]:
    """Those not in `seen`, which gets them, and not excluded."""
    skipped = seen | set(excluded.tolist())
    fresh = [found for found in candidates if found.uid not in skipped]
    seen.update(found.uid for found in fresh)
    return fresh
