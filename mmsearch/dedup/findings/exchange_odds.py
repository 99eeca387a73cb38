"""How likely each text is exchanged: what the catalog shows beside texts exchanged on purpose.

Some texts are exchanged at random. A logistic regression learns to tell these pairs from those of
the catalog, and each item gets its *rank*: the share of the exchanged pairs that look at least as
wrong. If all its texts are right, a catalog has hardly any low ranks, however near-alike they are.
Texts that really are exchanged are spread evenly over all ranks, as those exchanged on purpose are.
So the counts by rank are fitted by a mixture of an even part, whose size is the share of wrong
texts, and of parts that vanish towards low ranks. Many mixtures fit; all are weighed by their
likelihood, so that what the counts leave open lowers the estimated precision.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from mmsearch.records import Floats

Doubles = NDArray[np.float64]
LEAST_PRECISION = 0.9
# Added where only low ranks would be reported: there few exchanged texts stand against the tail of
# right ones, whose shape is assumed.
_CAUTION = 0.1
# With more texts that fit no better than random ones, the texts do not describe the pictures.
MOST_WRONG = 0.3
# Where only the most extreme of the exchanged texts could be reported, or a handful, odd pictures
# with a right text do as well.
_LEAST_FOUND, _FEWEST_REPORTED = 0.1, 5
_EDGES: Doubles = np.linspace(0, 0.95, 39)
# Parts of right texts grow as rank ** power. The heaviest tail is a fraction of the next one, and
# so on: right texts thin out towards low ranks without a step.
_POWERS = (2, 4, 8, 16, 32)
_STEEPEST: Doubles = np.geomspace(0.003, 2, 12, dtype=np.float64)
_FRACTIONS: Doubles = np.geomspace(0.03, 1, 4)
_SHARES: Doubles = np.concatenate([[0], np.geomspace(1e-3, 0.4, 30)])
_ROUNDS, _PENALTY, _CLIP = 30, 1.0, 4.0


@dataclass(frozen=True, slots=True)
class ExchangeOdds:
    """scores: float64 (n,), how wrong each text looks; higher is worse. chances: float64 (n,), that
    it is exchanged. reported: how many of the highest scores have an estimated precision of
    LEAST_PRECISION, 0 where none do. wrong_share: the estimated share of exchanged texts."""

    scores: Doubles
    chances: Doubles
    reported: int
    wrong_share: float


def exchange_odds(features: Floats, exchanged: Floats) -> ExchangeOdds:
    """features: float32 (n, f), of the catalog's pairs. exchanged: float32 (m, f), of pairs that
    were exchanged at random; higher is worse in both."""
    scores, scores_exchanged = _scores(features, exchanged)
    ordered = np.sort(scores_exchanged)
    above = len(ordered) - np.searchsorted(ordered, scores, side="left")
    ranks = (above + 0.5) / (len(ordered) + 1)
    places = np.searchsorted(_EDGES, ranks, side="right") - 1
    bins = len(_EDGES) - 1
    share, chance, precision = _fitted(np.bincount(places, minlength=bins)[:bins], len(ranks))
    needed = LEAST_PRECISION + _CAUTION * (1 - _EDGES[1:]) ** 2
    vouched = np.flatnonzero(precision >= needed)
    reported = 0
    if vouched.size and _EDGES[vouched[-1] + 1] >= _LEAST_FOUND and share <= MOST_WRONG:
        reported = int(np.sum(places <= vouched[-1]))
    if reported < _FEWEST_REPORTED:
        reported = 0
    chances = np.append(chance, 0.0)[places]
    return ExchangeOdds(scores, chances, reported, share)


def _scores(features: Floats, exchanged: Floats) -> tuple[Doubles, Doubles]:
    """Log odds by a logistic regression of one against the other."""
    both = np.concatenate([features, exchanged]).astype(np.float64)
    both = (both - np.median(both, axis=0)) / (both.std(axis=0) + 1e-9)
    first, second = np.triu_indices(both.shape[1])
    # Squares and products: what two measures say together is more than their sum.
    clipped = np.clip(both, -_CLIP, _CLIP)
    products = clipped[:, first] * clipped[:, second]
    design = np.concatenate([both, products, np.ones((len(both), 1))], axis=1)
    target = (np.arange(len(both)) >= len(features)).astype(np.float64)
    penalty = np.eye(design.shape[1]) * _PENALTY
    weights = np.zeros(design.shape[1])
    for _ in range(_ROUNDS):
        guess = 1 / (1 + np.exp(-np.clip(design @ weights, -30, 30)))
        curvature = design.T @ (design * (guess * (1 - guess))[:, None]) + penalty
        step = np.linalg.solve(curvature, design.T @ (target - guess) - penalty @ weights)
        weights += step
    scores = design @ weights
    return scores[: len(features)], scores[len(features) :]


@cache
def _mixtures() -> tuple[Doubles, Doubles, Doubles]:
    """rates: float64 (g, b), expected items a bin as a share of all. even: float64 (g, b), of these
    the exchanged ones. shares: float64 (g,), of exchanged ones in all."""
    fractions = [_FRACTIONS] * (len(_POWERS) - 1)
    grid = np.stack(np.meshgrid(_SHARES, _STEEPEST, *fractions, indexing="ij"), axis=-1)
    grid = grid.reshape(-1, 1 + len(_POWERS))
    # The steepest power has the first amplitude.
    tails = np.cumprod(grid[:, 1:], axis=1) @ np.diff(
        _EDGES ** np.array(_POWERS[::-1])[:, None], axis=1
    )
    even = grid[:, :1] * np.diff(_EDGES)
    return even + tails, even, grid[:, 0]


def _fitted(counts: NDArray[np.int64], total: int) -> tuple[float, Doubles, Doubles]:
    """The share of exchanged ones, and by bin the chance to be one, and the precision up to it.

    counts: int64 (b,), of items by rank.
    """
    rates, even, shares = _mixtures()
    likelihood = np.log(rates) @ counts - total * rates.sum(axis=1)
    weights = np.exp(likelihood - likelihood.max())
    weights /= weights.sum()
    # Hardly any mixture fits; the others would only cost time.
    chosen = weights > 1e-9
    weights, rates, even = weights[chosen], rates[chosen], even[chosen]
    chance = weights @ (even / rates)
    precision = weights @ (np.cumsum(even, axis=1) / np.cumsum(rates, axis=1))
    return float(weights @ shares[chosen]), chance, precision
