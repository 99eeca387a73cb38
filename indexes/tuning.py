"""Tunes the search effort of an index to a requested recall, by searching with real queries."""

from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mmsearch.indexes.base import RECALL_AT, EffortPoint, Tuning
from mmsearch.indexes.ground_truth import GroundTruth
from mmsearch.indexes.part_items import search_items
from mmsearch.records import Floats, Ids

# The share of the missing recall that probing may use up after refinement.
PROBING_SHARE = 0.4

# Two more efforts are tried past the floor, so that the curve shows what more effort would gain.
POINTS_PAST_FLOOR = 2

# Where the floor cannot be reached, a recall this close to the maximum is enough; closer where the
# floor is near 1.
RECALL_MARGIN = 0.002

# A sample of one in this many queries shows which efforts fall short and what those past the floor
# gain, which would take most of the time: each effort takes √2 times as long as the one before.
SAMPLED = 4
# With fewer sampled queries in a group, all queries are used at every effort.
FEWEST_SAMPLED = 32

# (queries float32 (q, dim), effort) → ids int64 (q, RECALL_AT + 1), best first.
SearchFunction: TypeAlias = Callable[[Floats, int], Ids]


class Tunable(Protocol):
    """An index whose search parameters can be changed."""

    effort: int
    refinement: int
    tuning: Tuning | None

    def search(self, queries: Floats, k: int) -> tuple[Floats, Ids]:
        """Searches queries; see `VectorIndex.search`."""
        ...


def tune_index(
    index: Tunable,
    truth: GroundTruth,
    *,
    efforts: Sequence[int],
    refinements: Sequence[int],
    floor: float,
) -> None:
    """Tunes the refinement of an index, where it has one, and then its effort.

    Where the index holds parts, to the recall of their items.
    """

    def found(queries: Floats) -> Ids:
        if truth.parts is None:
            return index.search(queries, RECALL_AT + 1)[1]
        ids = np.full((len(queries), RECALL_AT + 1), -1, np.int64)
        ranked = search_items(index.search, queries, RECALL_AT + 1, truth.parts)
        for row, ranking in zip(ids, ranked, strict=True):
            row[: len(ranking.items)] = ranking.items
        return ids

    def found_with(queries: Floats, refinement: int) -> Ids:
        index.refinement = refinement
        return found(queries)

    def found_at(queries: Floats, effort: int) -> Ids:
        index.effort = effort
        return found(queries)

    if refinements:
        index.effort = max(1, efforts[-1] // 4)
        index.refinement = tune_refinement(found_with, refinements, truth, floor=floor)
    index.tuning = tune(found_at, efforts, truth, floor=floor)
    index.effort = index.tuning.effort


def tune(
    search: SearchFunction, tries: Sequence[int], truth: GroundTruth, *, floor: float
) -> Tuning:
    """Tries efforts in order until every group of queries is confidently at `floor`.

    Where none is, chooses the least effort with about the recall of the greatest.
    """
    trial = Trial(search, truth)
    curve: list[EffortPoint] = []
    chosen = 0
    for effort in tries:
        if chosen and tries.index(effort) > tries.index(chosen) + POINTS_PAST_FLOOR:
            break
        point = trial.glance(effort) if chosen else trial.judge(effort, floor)
        curve.append(point)
        if not chosen and _confident(point, floor):
            chosen = effort
    reached = bool(chosen)
    if not reached:
        place = _least_sufficient(curve, floor)
        chosen = tries[place]
        curve[place] = trial.measure(chosen)
    queries = {name: int(rows.sum()) for name, rows in _judged_groups(truth).items()}
    return Tuning(chosen, floor, reached, queries, tuple(curve))


def _least_sufficient(curve: Sequence[EffortPoint], floor: float) -> int:
    """Returns the first place in the curve where each group is at `floor` or about its maximum."""
    last, worth = curve[-1], min(RECALL_MARGIN, (1 - floor) / 10)

    def enough(point: EffortPoint, name: str) -> bool:
        return point.lowest[name] >= floor or point.recall[name] >= last.recall[name] - worth

    places = range(len(curve))
    return next(at for at in places if all(enough(curve[at], name) for name in last.recall))


def tune_refinement(
    search: SearchFunction, tries: Sequence[int], truth: GroundTruth, *, floor: float
) -> int:
    """Returns the least refinement that leaves room above `floor` for what probing misses."""
    trial = Trial(search, truth)
    target = floor + PROBING_SHARE * (1 - floor)
    for refinement in tries:
        if _confident(trial.judge(refinement, target), target):
            return refinement
    return tries[-1]


class Trial:
    """Measures the recall of efforts, on a sample of the queries where that suffices."""

    def __init__(self, search: SearchFunction, truth: GroundTruth) -> None:
        self._search, self._truth = search, truth
        self._some = truth.thinned(SAMPLED)
        everywhere, here = _judged_groups(truth), _judged_groups(self._some)
        if any(name not in here or here[name].sum() < FEWEST_SAMPLED for name in everywhere):
            self._some = truth

    def judge(self, effort: int, floor: float) -> EffortPoint:
        """Measures on all queries, unless the sample shows that `floor` is out of reach."""
        point, hopeful = self._measured(effort, self._some, floor)
        return self.measure(effort) if hopeful else point

    def glance(self, effort: int) -> EffortPoint:
        """Measures on the sample."""
        return self._measured(effort, self._some)[0]

    def measure(self, effort: int) -> EffortPoint:
        """Measures on all queries."""
        return self._measured(effort, self._truth)[0]

    def _measured(
        self, effort: int, truth: GroundTruth, floor: float = 0.0
    ) -> tuple[EffortPoint, bool]:
        """Returns the point, and whether every group's confidence interval includes `floor`."""
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


def _confident(point: EffortPoint, floor: float) -> bool:
    return min(point.lowest.values(), default=1.0) >= floor


def _judged_groups(truth: GroundTruth) -> dict[str, NDArray[np.bool_]]:
    """Returns which of all queries are judged, by group; groups without any are left out."""
    judged = truth.judged(RECALL_AT)
    inside = {name: np.zeros_like(judged) for name in truth.groups}
    for name, part in truth.groups.items():
        inside[name][part] = judged[part]
    return {name: rows for name, rows in inside.items() if rows.any()}


def interval(recalls: NDArray[np.float64]) -> tuple[float, float]:
    """Returns the 95% confidence interval of the mean of recalls, float64 (q,), in [0, 1].

    One perfect and one failed query are added, as Agresti and Coull do for proportions: a sample
    without a miss would otherwise have an interval of width 0.
    """
    padded = np.append(recalls, [0.0, 1.0])
    reach = 1.96 * padded.std(ddof=1) / np.sqrt(len(padded))
    return float(max(0.0, padded.mean() - reach)), float(min(1.0, padded.mean() + reach))


def explain(why: str, effort: str, tuning: Tuning | None) -> str:
    """Describes the choice in a line. effort: in words, such as '12 of 1,024 cells probed'."""
    if tuning is None:
        return why
    if not tuning.queries:
        return f"{why}; {effort}: recall not measured, as no query had distinct neighbours"
    point = next(point for point in tuning.curve if point.effort == tuning.effort)
    reached = ", ".join(
        f"{point.recall[name]:.3f} (at least {point.lowest[name]:.3f}) on {count} {name} queries"
        for name, count in tuning.queries.items()
    )
    missed = f"; the requested {tuning.floor:g} could not be confirmed"
    return f"{why}; {effort}: recall@10 {reached}{'' if tuning.reached else missed}"
