"""Merges ranked lists: modalities by best rank, vectors and keywords by rank or score fusion."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from mmsearch.indexes.part_items import RankedItems
from mmsearch.records import Matched, Target

# Reciprocal rank fusion, Cormack et al. 2009: the constant from the paper.
RRF_CONSTANT = 60


@dataclass(frozen=True, slots=True)
class Candidate:
    """An item, or a part of one, that may become a hit.

    uid: of what is ranked, the item or, in a search for parts, the part. matched: the modality
    compared, or 'keyword'. score: orders its list; comparable only within it. item: its uid. row:
    the uid of the best part, or of the item where it was compared as a whole.
    """

    uid: int
    similarity: float
    matched: Matched
    score: float
    item: int
    row: int


def candidates_of(
    ranking: RankedItems, matched: Matched, *, each_part: bool = False
) -> list[Candidate]:
    """Returns ranked items as candidates. each_part: as parts of items."""
    uids = ranking.rows if each_part else ranking.items
    columns = (column.tolist() for column in (uids, *ranking))
    return [
        Candidate(uid, similarity, matched, similarity, item, row)
        for uid, similarity, item, row in zip(*columns, strict=True)
    ]


def interleave(
    ranked: Mapping[Target, Sequence[Candidate]], means: Mapping[Target, float]
) -> list[Candidate]:
    """Merges targets by rank, an item at its best one, since their similarities are not comparable.

    means: the query's mean similarity to each target. Of equal ranks, the hit further above the
    mean of its target comes first.
    """
    places: dict[int, tuple[int, float, Candidate]] = {}
    for target, candidates in ranked.items():
        for rank, found in enumerate(candidates):
            place = (rank, means[target] - found.similarity, found)
            if found.uid not in places or place[:2] < places[found.uid][:2]:
                places[found.uid] = place
    ordered = sorted(places.values(), key=lambda place: (*place[:2], place[2].uid))
    return [replace(found, score=reciprocal(rank)) for rank, _, found in ordered]


def reciprocal(rank: int) -> float:
    """Returns the reciprocal rank fusion score of a rank, counted from 0."""
    return 1.0 / (RRF_CONSTANT + rank + 1)


def reciprocal_rank_fusion(
    nearest: Sequence[Candidate], keyword_hits: Sequence[Candidate]
) -> list[Candidate]:
    """Merges hits by vector and by keyword, both best first, by reciprocal rank fusion.

    An item that keywords rank better than vectors is reported as matched by 'keyword'.
    """
    scores: dict[int, float] = {}
    chosen: dict[int, Candidate] = {}
    ranks: dict[int, int] = {}
    for candidates in (nearest, keyword_hits):
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
    keyword_hits: Sequence[Candidate],
    lead: Mapping[int, float],
    *,
    keyword_share: float,
) -> list[Candidate]:
    """Merges hits by vector and by keyword, both best first, by a weighted mean of two scores.

    The convex combination of Bruch, Gai and Ingber, "An Analysis of Fusion Functions for Hybrid
    Retrieval" (2023, arXiv:2210.11934): each score is scaled from its least meaningful value, 0, to
    the query's best, 1. For BM25 the least is no common word; for cosines, which span a narrow
    range that differs by query, it is the query's mean similarity over the store. lead: by uid, how
    far each candidate's similarity exceeds that.
    """
    highest = max((lead[found.uid] for found in nearest), default=0.0)
    top_score = max((found.score for found in keyword_hits), default=0.0)
    words = {found.uid: found.score / top_score for found in keyword_hits if top_score > 0}
    chosen = {found.uid: found for found in (*keyword_hits, *nearest)}
    merged = []
    for uid, found in chosen.items():
        similarity = max(0.0, lead[uid]) / highest if highest > 0 else 0.0
        by_words, by_vectors = keyword_share * words.get(uid, 0.0), (1 - keyword_share) * similarity
        matched: Matched = "keyword" if by_words > by_vectors else found.matched
        merged.append(replace(found, score=by_words + by_vectors, matched=matched))
    return sorted(merged, key=lambda found: (-found.score, found.uid))


def unseen(candidates: Sequence[Candidate], seen: set[int], excluded: set[int]) -> list[Candidate]:
    """Returns the candidates that are not in `seen`, and adds them to it.

    excluded: uids of items that are left out, with their parts.
    """
    fresh = [found for found in candidates if found.uid not in seen and found.item not in excluded]
    seen.update(found.uid for found in fresh)
    return fresh
