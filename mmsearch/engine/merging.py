"""Merges ranked lists: modalities by best rank, vectors and keywords by rank or score fusion."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from mmsearch.indexes.part_items import RankedItems
from mmsearch.records import Matched, Target

# Reciprocal rank fusion, Cormack et al. 2009: the constant from the paper.
RRF_CONSTANT = 60


@dataclass(frozen=True, slots=True)
class Candidate:
    """A row that may become a hit.

    matched: the modality compared, or 'keyword'. score: orders its list; comparable only within it.
    part: the uid of the part that was compared; None for an item without parts.
    """

    uid: int
    similarity: float
    matched: Matched
    score: float
    part: int | None = None

    @property
    def row(self) -> int:
        """The uid of what was compared: the part, or the item itself."""
        return self.uid if self.part is None else self.part


def candidates_of(ranking: RankedItems, matched: Matched) -> list[Candidate]:
    """Returns ranked rows as candidates."""
    columns = (column.tolist() for column in ranking)
    return [
        Candidate(uid, similarity, matched, similarity, row if row != uid else None)
        for similarity, uid, row in zip(*columns, strict=True)
    ]


def interleave(
    ranked: Mapping[Target, RankedItems], means: Mapping[Target, float], *, by_part: bool = False
) -> list[Candidate]:
    """Merges targets by rank, an item at its best one, since their similarities are not comparable.

    means: the query's mean similarity to each target. Of equal ranks, the hit further above the
    mean of its target comes first. by_part: parts are merged, not items.
    """
    places: dict[int, tuple[int, float, Candidate]] = {}
    for target, ranking in ranked.items():
        for rank, found in enumerate(candidates_of(ranking, target)):
            place = (rank, means[target] - found.similarity, found)
            row = found.row if by_part else found.uid
            if row not in places or place[:2] < places[row][:2]:
                places[row] = place
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


def unseen(
    candidates: Sequence[Candidate],
    seen: set[int],
    excluded: Collection[int],
    *,
    by_part: bool = False,
) -> list[Candidate]:
    """Returns the candidates whose items are not excluded and that are not in `seen`; adds them.

    by_part: an item occurs once for each of its parts.
    """
    skipped, fresh = set(excluded), []
    for found in candidates:
        row = found.row if by_part else found.uid
        if row not in seen and found.uid not in skipped:
            fresh.append(found)
            seen.add(row)
    return fresh
