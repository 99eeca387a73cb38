"""Scores retrieval tasks by exact search, in blocks of queries of bounded memory."""

from collections.abc import Callable

import numpy as np

from mmsearch.arrays import blocks
from mmsearch.evaluation.bootstrap import estimate, mean_of, median_of, together
from mmsearch.evaluation.metrics import Ranking, join_rankings, rank_answers
from mmsearch.evaluation.results import Example, HardQuery, RetrievalScores
from mmsearch.evaluation.tasks import Task
from mmsearch.records import Floats, Ids, Target

RECALL_AT = (1, 5, 10)
# Similarities per block: 16 million float32 are 64 MB, twice that while they are ranked.
_BLOCK = 16_000_000
_CURVE_END = 1_000
_CURVE_POINTS = 60
_HARDEST = 12
_FOUND = 3

# (target, position) → the example in the report
ShowExample = Callable[[Target, int], Example]


def score(
    task: Task,
    queries: Floats,
    candidates: Floats,
    show: ShowExample,
    *,
    base: RetrievalScores | None = None,
) -> RetrievalScores:
    """Scores a task.

    queries float32 (q, dim), candidates float32 (n, dim): unit rows in the task's order. base:
    another model's results of the same task, whose hardest queries are followed up.
    """
    ranking = rank(task, queries, candidates)
    firsts = ranking.first_ranks()
    statistics = {
        **{f"recall@{k}": mean_of(ranking.recall_at(k)) for k in RECALL_AT},
        "MRR": mean_of(ranking.reciprocal_ranks()),
        "mAP": mean_of(ranking.average_precisions()),
        "nDCG@10": mean_of(ranking.ndcg_at(10)),
        "coverage@10": mean_of(ranking.coverage_at(10)),
        "median rank": median_of(firsts.astype(np.float64)),
    }
    ks = curve_points(len(task.candidates))

    def show_query(row: int) -> HardQuery:
        return _hard_query(task, row, queries, candidates, first=int(firsts[row]), show=show)

    return RetrievalScores(
        task.direction,
        queries=len(task.queries),
        candidates=len(task.candidates),
        metrics=estimate(together(statistics), len(task.queries)),
        ks=ks,
        curve=[float((firsts <= k).mean()) for k in ks],
        first_ranks=firsts,
        hardest=[show_query(int(row)) for row in _hardest(firsts)],
        same=[show_query(int(row)) for row in _hardest(base.first_ranks)] if base else (),
    )


def rank(task: Task, queries: Floats, candidates: Floats) -> Ranking:
    """Ranks each relevant candidate among all candidates."""
    rows = max(1, _BLOCK // len(candidates))
    parts = []
    for block in blocks(len(queries), rows):
        asked = np.arange(block.start, block.stop)
        similarities = _similarities(task, asked, queries, candidates)
        parts.append(rank_answers(similarities, task.judgements.part(block.start, block.stop)))
    return join_rankings(parts)


def curve_points(candidates: int) -> list[int]:
    """Returns log-spaced whole numbers from 1 to the candidates, at most to a thousand."""
    end = min(candidates, _CURVE_END)
    points = np.unique(np.geomspace(1, end, _CURVE_POINTS).round())
    return [int(point) for point in points]


def _similarities(task: Task, rows: Ids, queries: Floats, candidates: Floats) -> Floats:
    """Computes similarities of consecutive rows, int64 (r,) → float32 (r, n); -inf if excluded."""
    similarities: Floats = queries[rows] @ candidates.T
    start, end = np.searchsorted(task.left_out[:, 0], [rows[0], rows[-1] + 1])
    row, candidate = task.left_out[start:end].T
    similarities[row - rows[0], candidate] = -np.inf
    return similarities


def _hardest(firsts: Ids) -> Ids:
    """Returns the queries with the latest first relevant candidate, int64 (≤ _HARDEST,)."""
    order = np.argsort(-firsts, kind="stable")[:_HARDEST]
    return order[firsts[order] > 1]


def _hard_query(
    task: Task,
    row: int,
    queries: Floats,
    candidates: Floats,
    *,
    first: int,
    show: ShowExample,
) -> HardQuery:
    similarities = _similarities(task, np.array([row]), queries, candidates)[0]
    right = task.judgements.part(row, row + 1).candidate
    expected = right[np.argmax(similarities[right])]
    found = np.argsort(-similarities, kind="stable")[:_FOUND]
    return HardQuery(
        query=show(task.query, int(task.queries[row])),
        rank=first,
        expected=show(task.candidate, int(task.candidates[expected])),
        found=[show(task.candidate, int(task.candidates[place])) for place in found],
    )
