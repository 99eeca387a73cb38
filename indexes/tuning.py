"""Which kind to build, and how hard it must look to reach the recall that was asked for.

`auto`, by rows, from what was seen at 256 dimensions with text queries against pictures: below
EXACT_ROWS a scan takes a millisecond or two, and nothing can be missed; from there cells (IVF),
with whole vectors up to WHOLE_ROWS and 8 bits a value beyond, which is a quarter of the memory at
about a hundredth of the recall. HNSW is built only when asked for: text queries lie away from the
pictures, where its walk goes astray. At 50,000 rows it found 0.94 of them at 2.2 ms of work a
query and built in 39 s; IVF found 0.96 at 0.2 ms and built in 10 s. IVF also forgets what is
removed, maps from disk and moves to a GPU.
"""

from collections.abc import Callable
from time import perf_counter

import numpy as np

from mmsearch.indexes.base import EffortPoint, IndexOptions, Tuning
from mmsearch.indexes.truth import Truth
from mmsearch.records import Ids

EXACT_ROWS = 20_000
WHOLE_ROWS = 200_000

# FAISS warns below 39 training points per cell; fewer cells than this are not worth walking.
POINTS_PER_CELL = 39
FEWEST_CELLS = 16
MOST_CELLS = 8_192
RECALL_AT = 10

# Past the floor, two more efforts are tried, so that the curve shows what more would buy.
POINTS_PAST_FLOOR = 2


def choose(rows: int, options: IndexOptions) -> tuple[tuple[str, str], ...]:
    """Kinds to build, each with its reason; the next is for when one misses the recall."""
    if options.kind != "auto":
        return (_asked(rows, options.kind),)
    if rows < EXACT_ROWS:
        return (("flat", f"{rows:,} rows are few enough to compare every one"),)
    plans = (
        ("ivf-sq8", f"8 bits a value keep {rows:,} rows small"),
        ("ivf-flat", f"cells spare comparing most of {rows:,} rows"),
        ("flat", f"cells missed the recall on {rows:,} rows"),
    )
    return plans if rows > WHOLE_ROWS else plans[1:]


def _asked(rows: int, kind: str) -> tuple[str, str]:
    least = FEWEST_CELLS * POINTS_PER_CELL
    if kind.startswith("ivf") and rows < least:
        return "flat", f"{rows:,} rows are too few to train {kind}, which needs {least:,}"
    return kind, "asked for"


def cell_count(rows: int) -> int:
    """About 4·√rows, a power of two, never so many that training points run short."""
    ideal = 2 ** round(np.log2(4 * np.sqrt(max(rows, 1))))
    return int(max(1, min(ideal, MOST_CELLS, rows // POINTS_PER_CELL)))


def tune(search: Callable[[int], Ids], tries: list[int], truth: Truth, *, floor: float) -> Tuning:
    """Tries efforts in order until every group of queries is safely at `floor`.

    search: effort → ids int64 (q, `truth.width`), best first, for all of truth's queries.
    """
    curve: list[EffortPoint] = []
    chosen = 0
    for effort in tries:
        curve.append(_measured(search, effort, truth))
        if not chosen and min(curve[-1].lowest.values(), default=1.0) >= floor:
            chosen = effort
        if chosen and tries.index(effort) >= tries.index(chosen) + POINTS_PAST_FLOOR:
            break
    queries = {name: part.stop - part.start for name, part in truth.groups.items()}
    return Tuning(chosen or tries[-1], floor, bool(chosen), queries, tuple(curve))


def _measured(search: Callable[[int], Ids], effort: int, truth: Truth) -> EffortPoint:
    started = perf_counter()
    found = search(effort)
    milliseconds = 1e3 * (perf_counter() - started) / max(1, len(found))
    recalls = truth.recalls(found, RECALL_AT)
    by_group = {name: recalls[part] for name, part in truth.groups.items()}
    return EffortPoint(
        effort=effort,
        recall={name: round(float(part.mean()), 4) for name, part in by_group.items()},
        lowest={name: round(lower_bound(part), 4) for name, part in by_group.items()},
        milliseconds_per_query=round(milliseconds, 4),
    )


def lower_bound(recalls: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
    """Lower end of the mean's 95% interval. recalls: float64 (q,), each in [0, 1].

    One perfect and one failed query are added, as Agresti and Coull do for proportions: a sample
    without a single miss would otherwise have an interval without width.
    """
    padded = np.append(recalls, [0.0, 1.0])
    error = padded.std(ddof=1) / np.sqrt(len(padded))
    return float(max(0.0, padded.mean() - 1.96 * error))


def explain(kind: str, why: str, effort: str, tuning: Tuning | None) -> str:
    """One line for people. effort: how hard it looks, such as '12 of 1,024 cells probed'."""
    if tuning is None:
        return f"{kind}: {why}"
    point = next(point for point in tuning.curve if point.effort == tuning.effort)
    reached = ", ".join(
        f"{point.recall[name]:.3f} (at least {point.lowest[name]:.3f}) on {count} {name} queries"
        for name, count in tuning.queries.items()
    )
    missed = f"; the {tuning.floor:g} asked for could not be confirmed"
    return f"{kind}: {why}; {effort}: recall@10 {reached}{'' if tuning.reached else missed}"
