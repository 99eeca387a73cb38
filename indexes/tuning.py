"""How hard an index must look to reach the recall that was asked for, tried out for real."""

from collections.abc import Callable, Sequence
from time import perf_counter
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from mmsearch.indexes.base import RECALL_AT, EffortPoint, Tuning
from mmsearch.indexes.ground_truth import GroundTruth
from mmsearch.records import Floats, Ids

# Candidates that a code ranks too low are lost before any cell is left out.
ROOM_FOR_PROBING = 0.4

# Past the floor, two more efforts are tried, so that the curve shows what more would buy.
POINTS_PAST_FLOOR = 2

# Where the floor is out of reach, recall that is this near to the most there is is enough; nearer
# where almost all was asked for.
WORTH = 0.002

# One query in so many tells which efforts fall short, and what those past the floor would buy. Most
# of the time would go there: an effort takes twice as long as the second before it.
GLANCED = 4
# Fewer in any group tell nothing; then all are asked at every effort.
FEWEST_GLANCED = 32

# (queries float32 (q, dim), effort) → ids int64 (q, RECALL_AT + 1), best first.
Search: TypeAlias = Callable[[Floats, int], Ids]


def tune(search: Search, tries: Sequence[int], truth: GroundTruth, *, floor: float) -> Tuning:
    """Tries efforts in order until every group of queries is safely at `floor`.

    Where none reaches it, the least effort is taken that finds what the hardest finds.
    """
    trial = Trial(search, truth)
    curve: list[EffortPoint] = []
    chosen = 0
    for effort in tries:
        if chosen and tries.index(effort) > tries.index(chosen) + POINTS_PAST_FLOOR:
            break
        point = trial.glance(effort) if chosen else trial.judge(effort, floor)
        curve.append(point)
        if not chosen and _safe(point, floor):
            chosen = effort
    reached = bool(chosen)
    if not reached:
        place = _least_worthwhile(curve, floor)
        chosen = tries[place]
        curve[place] = trial.measure(chosen)
    queries = {name: int(rows.sum()) for name, rows in _judged_groups(truth).items()}
    return Tuning(chosen, floor, reached, queries, tuple(curve))


def _least_worthwhile(curve: Sequence[EffortPoint], floor: float) -> int:
    """The first place in the curve where each group is safely at `floor`, or about as good as at
    the end."""
    last, worth = curve[-1], min(WORTH, (1 - floor) / 10)

    def enough(point: EffortPoint, name: str) -> bool:
        return point.lowest[name] >= floor or point.recall[name] >= last.recall[name] - worth

    places = range(len(curve))
    return next(at for at in places if all(enough(curve[at], name) for name in last.recall))


def tune_refinement(
    search: Search, tries: Sequence[int], truth: GroundTruth, *, floor: float
) -> int:
    """The least refinement that leaves room above `floor` for what probing will miss."""
    trial = Trial(search, truth)
    target = floor + ROOM_FOR_PROBING * (1 - floor)
    for refinement in tries:
        if _safe(trial.judge(refinement, target), target):
            return refinement
    return tries[-1]


class Trial:
    """Measures efforts: by some of the queries where that is enough to know, else by all."""

    def __init__(self, search: Search, truth: GroundTruth) -> None:
        self._search, self._truth = search, truth
        self._some = truth.thinned(GLANCED)
        everywhere, here = _judged_groups(truth), _judged_groups(self._some)
        if any(name not in here or here[name].sum() < FEWEST_GLANCED for name in everywhere):
            self._some = truth

    def judge(self, effort: int, floor: float) -> EffortPoint:
        """By all queries, unless some of them say that `floor` is out of reach."""
        point, hopeful = self._measured(effort, self._some, floor)
        return self.measure(effort) if hopeful else point

    def glance(self, effort: int) -> EffortPoint:
        return self._measured(effort, self._some)[0]

    def measure(self, effort: int) -> EffortPoint:
        return self._measured(effort, self._truth)[0]

    def _measured(
        self, effort: int, truth: GroundTruth, floor: float = 0.0
    ) -> tuple[EffortPoint, bool]:
        """Also whether every group's interval reaches up to `floor`."""
        started = perf_counter()
        found = self._search(truth.queries, effort)
        milliseconds = 1e3 * (perf_counter() - started) / max(1, len(found))
        recalls = truth.recalls(found, RECALL_AT)
        by_group = {name: recalls[rows] for name, rows in _judged_groups(truth).items()}
        point = EffortPoint(
            effort=effort,
            recall={name: round(float(part.mean()), 4) for name, part in by_group.items()},
            lowest={name: round(interval(part)[0], 4) for name, part in by_group.items()},
            milliseconds_per_query=round(milliseconds, 4),
        )
        return point, all(interval(part)[1] >= floor for part in by_group.values())


def _safe(point: EffortPoint, floor: float) -> bool:
    return min(point.lowest.values(), default=1.0) >= floor


def _judged_groups(truth: GroundTruth) -> dict[str, NDArray[np.bool_]]:
    """Which of all the queries count, by group; a group in which none does is left out."""
    judged = truth.judged(RECALL_AT)
    inside = {name: np.zeros_like(judged) for name in truth.groups}
    for name, part in truth.groups.items():
        inside[name][part] = judged[part]
    return {name: rows for name, rows in inside.items() if rows.any()}


def interval(recalls: NDArray[np.float64]) -> tuple[float, float]:
    """The mean's 95% interval. recalls: float64 (q,), each in [0, 1].

    One perfect and one failed query are added, as Agresti and Coull do for proportions: a sample
    without a single miss would otherwise have an interval without width.
    """
    padded = np.append(recalls, [0.0, 1.0])
    reach = 1.96 * padded.std(ddof=1) / np.sqrt(len(padded))
    return float(max(0.0, padded.mean() - reach)), float(min(1.0, padded.mean() + reach))


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
