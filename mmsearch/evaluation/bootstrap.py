"""Bootstrap over queries: confidence intervals of metrics, and p-values of paired differences.

A resample is a row of counts, how often each query was drawn. The counts depend only on the number
of queries, so that models evaluated on the same queries are resampled alike.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias

import numpy as np

from mmsearch.evaluation.metrics import ClassCounts, Doubles, class_counts
from mmsearch.evaluation.results import Difference, Estimate
from mmsearch.records import Ids

# counts float64 (r, n) → by name, float64 (r,)
Statistics: TypeAlias = Callable[[Doubles], Mapping[str, Doubles]]
Statistic: TypeAlias = Callable[[Doubles], Doubles]

RESAMPLES = 2_000
CONFIDENCE = 0.95
_SEED = 20_260_101
# Resamples are drawn in blocks of about this many counts, 64 MB of float64.
_BLOCK_COUNTS = 8_000_000


def estimate(statistics: Statistics, queries: int) -> dict[str, Estimate]:
    """Computes each statistic over all queries with its percentile interval."""
    values = statistics(np.ones((1, queries)))
    blocks = [statistics(counts) for counts in _resamples(queries)]
    return {
        name: _estimate(float(value[0]), np.concatenate([block[name] for block in blocks]))
        for name, value in values.items()
    }


def together(statistics: Mapping[str, Statistic]) -> Statistics:
    """Combines statistics into one that returns them by name."""
    return lambda counts: {name: statistic(counts) for name, statistic in statistics.items()}


def mean_of(values: Doubles) -> Statistic:
    """Returns the mean of values, float64 (n,), as a statistic."""
    return lambda counts: (counts @ values) / counts.sum(axis=1)


def median_of(values: Doubles) -> Statistic:
    """Returns the median of values, float64 (n,), as a statistic."""
    order = np.argsort(values, kind="stable")
    ascending = values[order]

    def median(counts: Doubles) -> Doubles:
        drawn = np.cumsum(counts[:, order], axis=1)
        total = drawn[:, -1:]
        low = np.argmax(drawn > (total - 1) // 2, axis=1)
        high = np.argmax(drawn > total // 2, axis=1)
        middle: Doubles = (ascending[low] + ascending[high]) / 2
        return middle

    return median


def of_classes(actual: Ids, predicted: Ids, classes: int) -> Statistics:
    """Returns classification metrics as a statistic. actual, predicted: int64 (n,), < `classes`."""

    def statistics(counts: Doubles) -> Mapping[str, Doubles]:
        rows = [class_counts(actual, predicted, classes, row) for row in counts]
        drawn = ClassCounts(
            np.stack([row.actual for row in rows]),
            np.stack([row.predicted for row in rows]),
            np.stack([row.correct for row in rows]),
        )
        scores = {
            "precision": drawn.precision(),
            "recall": drawn.recall(),
            "F1": drawn.f1(),
        }
        return {
            "accuracy": drawn.accuracy(),
            **{f"macro {name}": drawn.macro(score) for name, score in scores.items()},
            **{f"weighted {name}": drawn.weighted(score) for name, score in scores.items()},
        }

    return statistics


def difference(model: str, part: str, metric: str, *, ours: Estimate, base: Estimate) -> Difference:
    """Compares two estimates over the same queries, with a two-sided p-value."""
    draws = ours.draws - base.draws
    low, high = _interval(draws)
    below, above = (draws <= 0).sum(), (draws >= 0).sum()
    p_value = min(1.0, 2 * (min(below, above) + 1) / (len(draws) + 1))
    return Difference(model, part, metric, ours.value - base.value, low, high, float(p_value))


def _estimate(value: float, draws: Doubles) -> Estimate:
    low, high = _interval(draws)
    return Estimate(value, low, high, draws)


def _interval(draws: Doubles) -> tuple[float, float]:
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.percentile(draws, [tail, 100 - tail])
    return float(low), float(high)


def _resamples(queries: int) -> Iterator[Doubles]:
    """Yields blocks of counts, float64 (r, queries), RESAMPLES rows in all; always the same."""
    generator = np.random.default_rng(_SEED)
    rows = max(1, _BLOCK_COUNTS // queries)
    for start in range(0, RESAMPLES, rows):
        block = min(rows, RESAMPLES - start)
        drawn = generator.integers(0, queries, (block, queries))
        drawn += np.arange(block)[:, None] * queries
        counts = np.bincount(drawn.ravel(), minlength=block * queries)
        yield counts.reshape(block, queries).astype(np.float64)
