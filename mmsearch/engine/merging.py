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


def weighted_fusion(
    nearest: Sequence[Candidate],
    worded: Sequence[Candidate],
    standing: Mapping[int, float],
    *,
    word_share: float,
) -> list[Candidate]:
    """Candidates by vectors and by words, both best first → one list by a mean of two scores.

    The convex combination of Bruch, Gai and Ingber, "An Analysis of Fusion Functions for Hybrid
    Retrieval" (2023, arXiv:2210.11934): each score runs from the least that means anything, 0, to
    the best that the query finds, 1. For BM25 the least is no word in common; for cosines, which
    span a narrow band that differs from query to query, it is the query's mean similarity over the
    catalog, so `standing` holds by uid how far each candidate lies above that.
    """
    highest = max((standing[found.uid] for found in nearest), default=0.0)
    top_score = max((found.score for found in worded), default=0.0)
    words = {found.uid: found.score / top_score for found in worded if top_score > 0}
    chosen = {found.uid: found for found in (*worded, *nearest)}
    merged = []
    for uid, found in chosen.items():
        alike = max(0.0, standing[uid]) / highest if highest > 0 else 0.0
        by_words, by_vectors = word_share * words.get(uid, 0.0), (1 - word_share) * alike
        matched: Matched = "keyword" if by_words > by_vectors else found.matched
        merged.append(replace(found, score=by_words + by_vectors, matched=matched))
    return sorted(merged, key=lambda found: (-found.score, found.uid))


def unseen(candidates: Sequence[Candidate], seen: set[int], excluded: Ids) -> list[Candidate]:
    """Those not in `seen`, which gets them, and not excluded."""
    skipped = seen | set(excluded.tolist())
    fresh = [found for found in candidates if found.uid not in skipped]
    seen.update(found.uid for found in fresh)
    return fresh
