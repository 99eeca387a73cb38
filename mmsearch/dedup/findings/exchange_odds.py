"""Estimates how likely each text is on the wrong image, from texts swapped at random.

A logistic regression separates randomly swapped pairs from those of the catalog, and each item gets
its *rank*: the share of the swapped pairs that look at least as wrong. If all its texts are right,
a catalog has hardly any low ranks, however similar its items are. Texts that are really swapped are
uniform over the ranks, like the randomly swapped ones. The counts by rank are therefore fitted by a
mixture of a uniform component, whose size is the share of wrong texts, and components that vanish
towards low ranks. Many mixtures fit; all are weighted by their likelihood, so that uncertainty
lowers the estimated precision.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from mmsearch.records import Floats

Doubles = NDArray[np.float64]
LEAST_PRECISION = 0.9
# Added to the required precision if only low ranks are reported: there, few swapped texts compete
# with the assumed tail of right ones.
_CAUTION = 0.1
# With more texts that fit no better than random ones, the texts do not describe the images.
MOST_WRONG = 0.3
# Nothing is reported if only the most extreme swapped texts, or a handful, would be: unusual images
# with a right text look the same.
_LEAST_FOUND, _FEWEST_REPORTED = 0.1, 5
_EDGES: Doubles = np.linspace(0, 0.95, 39)
# Components of right texts grow as rank ** power. The heaviest tail is a fraction of the next one,
# and so on: the density falls towards low ranks without a step.
_POWERS = (2, 4, 8, 16, 32)
_STEEPEST: Doubles = np.geomspace(0.003, 2, 12, dtype=np.float64)
_FRACTIONS: Doubles = np.geomspace(0.03, 1, 4)
_SHARES: Doubles = np.concatenate([[0], np.geomspace(1e-3, 0.4, 30)])
_ROUNDS, _PENALTY, _CLIP = 30, 1.0, 4.0


@dataclass(frozen=True, slots=True)
class ExchangeOdds:
    """Estimated odds that texts are on the wrong image.

    scores: float64 (n,), how wrong each text looks; higher is worse.
    chances: float64 (n,), probability that it is wrong.
    reported: number of the highest scores with an estimated precision of LEAST_PRECISION, or 0.
    wrong_share: estimated share of wrong texts.
    """

    scores: Doubles
    chances: Doubles
    reported: int
    wrong_share: float


def exchange_odds(features: Floats, exchanged: Floats) -> ExchangeOdds:
    """Estimates the odds of each text from features where higher is worse.

    features: float32 (n, f), of the catalog's pairs.
    exchanged: float32 (m, f), of randomly swapped pairs.
    """
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
    """Log odds of catalog and swapped pairs by logistic regression."""
    both = np.concatenate([features, exchanged]).astype(np.float64)
    both = (both - np.median(both, axis=0)) / (both.std(axis=0) + 1e-9)
    first, second = np.triu_indices(both.shape[1])
    # Squares and products capture interactions between the measures.
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
    """Rates of a grid of mixtures.

    Returns the expected share of items per bin, float64 (g, b), the part of it that is swapped,
    float64 (g, b), and the share of swapped items in all, float64 (g,).
    """
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
    """Share of wrong texts, and by bin the probability of being wrong and the precision so far.

    counts: int64 (b,), items by rank.
    """
    rates, even, shares = _mixtures()
    likelihood = np.log(rates) @ counts - total * rates.sum(axis=1)
    weights = np.exp(likelihood - likelihood.max())
    weights /= weights.sum()
    # Few mixtures fit; the others are dropped for speed.
    chosen = weights > 1e-9
    weights, rates, even = weights[chosen], rates[chosen], even[chosen]
    chance = weights @ (even / rates)
    precision = weights @ (np.cumsum(even, axis=1) / np.cumsum(rates, axis=1))
    return float(weights @ shares[chosen]), chance, precision
