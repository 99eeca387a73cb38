"""How hard an index must look to reach the recall that was asked for, tried out for real."""

from collections.abc import Callable
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from mmsearch.indexes.base import RECALL_AT, EffortPoint, Tuning
from mmsearch.indexes.truth import Truth
from mmsearch.records import Ids

# Candidates that a code ranks too low are lost before any cell is left out.
ROOM_FOR_PROBING = 0.4

# Past the floor, two more efforts are tried, so that the curve shows what more would buy.
POINTS_PAST_FLOOR = 2


def tune(search: Callable[[int], Ids], tries: list[int], truth: Truth, *, floor: float) -> Tuning:
    """Tries efforts in order until every group of queries is safely at `floor`.

    search: effort → ids int64 (q, RECALL_AT + 1), best first, for all of truth's queries.
    """
    curve: list[EffortPoint] = []
    chosen = 0
    for effort in tries:
        curve.append(_measured(search, effort, truth))
        if not chosen and min(curve[-1].lowest.values(), default=1.0) >= floor:
            chosen = effort
        if chosen and tries.index(effort) >= tries.index(chosen) + POINTS_PAST_FLOOR:
            break
    queries = {name: int(rows.sum()) for name, rows in _judged_groups(truth).items()}
    return Tuning(chosen or tries[-1], floor, bool(chosen), queries, tuple(curve))


def tune_refinement(
    search: Callable[[int], Ids], tries: tuple[int, ...], truth: Truth, *, floor: float
) -> int:
    """The least refinement that leaves room above `floor` for what probing will miss."""
    target = floor + ROOM_FOR_PROBING * (1 - floor)
    for refinement in tries:
        point = _measured(search, refinement, truth)
        if min(point.lowest.values(), default=1.0) >= target:
            return refinement
    return tries[-1]


def _measured(search: Callable[[int], Ids], effort: int, truth: Truth) -> EffortPoint:
    started = perf_counter()
    found = search(effort)
    milliseconds = 1e3 * (perf_counter() - started) / max(1, len(found))
    recalls = truth.recalls(found, RECALL_AT)
    by_group = {name: recalls[rows] for name, rows in _judged_groups(truth).items()}
    return EffortPoint(
        effort=effort,
        recall={name: round(float(part.mean()), 4) for name, part in by_group.items()},
        lowest={name: round(lower_bound(part), 4) for name, part in by_group.items()},
        milliseconds_per_query=round(milliseconds, 4),
    )


def _judged_groups(truth: Truth) -> dict[str, NDArray[np.bool_]]:
    """Which of all the queries count, by group; a group in which none does is left out."""
    judged = truth.judged(RECALL_AT)
    inside = {name: np.zeros_like(judged) for name in truth.groups}
    for name, part in truth.groups.items():
        inside[name][part] = judged[part]
    return {name: rows for name, rows in inside.items() if rows.any()}


def lower_bound(recalls: NDArray[np.float64]) -> float:
    """Lower end of the mean's 95% interval. recalls: float64 (q,), each in [0, 1].

    One perfect and one failed query are added, as Agresti and Coull do for proportions: a sample
    without a single miss would otherwise have an interval without width.
    """
    padded = np.append(recalls, [0.0, 1.0])
    error = padded.std(ddof=1) / np.sqrt(len(padded))
    return float(max(0.0, padded.mean() - 1.96 * error))


def explain(why: str, effort: str, tuning: Tuning | None) -> str:
    """One line for people. effort: how hard it looks, such as '12 of 1,024 cells probed'."""
    if tuning is None:
        return why
    if not tuning.queries:
        return f"{why}; {effort}: no query had neighbours that stand out to be found"
    point = next(point for point in tuning.curve if point.effort == tuning.effort)
    reached = ", ".join(
        f"{point.recall[name]:.3f} (at least {point.lowest[name]:.3f}) on {count} {name} queries"
        for name, count in tuning.queries.items()
    )
    missed = f"; the {tuning.floor:g} asked for could not be confirmed"
    return f"{why}; {effort}: recall@10 {reached}{'' if tuning.reached else missed}"
