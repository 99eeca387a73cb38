"""Start and tuned weights are mixed, so that what a model learns costs little of what it knew.

WiSE-FT (Wortsman et al. 2022, "Robust fine-tuning of zero-shot models"): the weights
(1 - alpha) * start + alpha * tuned are measured over a sweep of alphas, in the domain that was
trained for and on a general set, and the best in-domain point that keeps enough of the rest wins.
Around it the sweep is repeated in smaller steps.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from mmsearch.errors import InputError

Weights: TypeAlias = Mapping[str, Tensor]

ALPHAS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
# Mixes between the best of these and each of its two neighbours.
BETWEEN = 4
# Measured by one sweep; a best at either end has one neighbour.
MOST_MIXES = len(ALPHAS) + 2 * BETWEEN
# What the tuned model must keep of the start's score on the general set.
KEPT_SHARE = 0.99
# Sums of shares differ in their last bits with the order of addition.
_EQUAL = 1e-9


@dataclass(frozen=True, slots=True)
class SweepScore:
    """in_domain: on the validation split; general: on the general set. Higher is better."""

    in_domain: float
    general: float


@dataclass(frozen=True, slots=True)
class SweepPoint:
    """alpha: 0 is the start, 1 the tuned weights."""

    alpha: float
    score: SweepScore


@dataclass(frozen=True, slots=True)
class Sweep:
    """points: by alpha, the first at 0. chosen: one of them. kept_share: what was asked for."""

    points: Sequence[SweepPoint]
    chosen: SweepPoint
    kept_share: float

    @property
    def floor(self) -> float:
        """The general score that a point needs."""
        return self.kept_share * self.points[0].score.general

    def allows(self, point: SweepPoint) -> bool:
        return point.score.general >= self.floor - _EQUAL

    @property
    def general_kept(self) -> float:
        """The chosen point's general score over the start's; 1 where the start has none."""
        start = self.points[0].score.general
        return self.chosen.score.general / start if start > 0 else 1.0

    @property
    def reason(self) -> str:
        """Why the chosen point was chosen, in words."""
        start, chosen = self.points[0].score, self.chosen.score
        if self.chosen.alpha == 0:
            return (
                f"the start is kept: no mix of weights is better in the domain than "
                f"{start.in_domain:.3f} and keeps {self.kept_share:.0%} of the general score "
                f"{start.general:.3f}"
            )
        best = max(self.points, key=lambda point: point.score.in_domain)
        passed_over = (
            ""
            if best.score.in_domain <= chosen.in_domain + _EQUAL
            else f"; alpha {best.alpha:g} reaches {best.score.in_domain:.3f} but keeps only "
            f"{best.score.general / start.general:.1%}"
        )
        return (
            f"alpha {self.chosen.alpha:g}: in the domain {start.in_domain:.3f} → "
            f"{chosen.in_domain:.3f}, on the general set {start.general:.3f} → "
            f"{chosen.general:.3f} ({self.general_kept:.1%} of the start's){passed_over}"
        )


def sweep(
    start: Weights,
    tuned: Weights,
    evaluate: Callable[[Weights], SweepScore],
    *,
    alphas: Sequence[float] = ALPHAS,
    between: int = BETWEEN,
    kept_share: float = KEPT_SHARE,
) -> Sweep:
    """Measures each mix, and so many `between` the best and its neighbours on either side, and
    chooses; alpha 0 is always measured and always qualifies.

    Raises InputError for an alpha outside 0 to 1, or weights that do not go together.
    """
    if bad := [alpha for alpha in alphas if not 0 <= alpha <= 1]:
        raise InputError(f"alphas lie between 0 (start) and 1 (tuned), got {bad[0]:g}")

    def measured(alpha: float) -> SweepPoint:
        return SweepPoint(alpha, evaluate(interpolate(start, tuned, alpha)))

    rough = [measured(alpha) for alpha in sorted({0.0, *alphas})]
    best = choose(rough, kept_share=kept_share).chosen
    finer = [measured(alpha) for alpha in _around(rough, best, between)]
    points = sorted([*rough, *finer], key=lambda point: point.alpha)
    return choose(points, kept_share=kept_share)


def _around(points: Sequence[SweepPoint], best: SweepPoint, between: int) -> list[float]:
    """Alphas in even steps between the best of the points and those before and after it."""
    at = list(points).index(best)
    near = [point.alpha for point in points[max(0, at - 1) : at + 2]]
    steps = [np.linspace(low, high, between + 2)[1:-1] for low, high in pairwise(near)]
    return [round(float(alpha), 4) for part in steps for alpha in part]


def choose(points: Sequence[SweepPoint], *, kept_share: float = KEPT_SHARE) -> Sweep:
    """points: by alpha, the first at 0. Of equally good ones the nearest to the start wins."""
    unchosen = Sweep(points, points[0], kept_share)
    allowed = [points[0], *filter(unchosen.allows, points[1:])]
    best = max(allowed, key=lambda point: (point.score.in_domain, -point.alpha))
    return Sweep(points, best, kept_share)


def interpolate(start: Weights, tuned: Weights, alpha: float) -> dict[str, Tensor]:
    """(1 - alpha) * start + alpha * tuned, in the start's types; the ends are taken bit by bit.

    What is no floating number, such as a batch norm's count of batches, comes from the tuned
    weights. Raises InputError where names or shapes differ.
    """
    _require_alike(start, tuned)
    if alpha == 0:
        return dict(start)
    return {name: _mix(value, tuned[name], alpha) for name, value in start.items()}


def mean(runs: Sequence[Weights]) -> dict[str, Tensor]:
    """A soup (Wortsman et al. 2022, "Model soups"): what all runs found stays, and what is one's
    own cancels. runs: one or more, of one architecture; what is no floating number is the first's.
    """
    first, *others = runs
    for other in others:
        _require_alike(first, other)
    return {name: _mean([run[name] for run in runs]) for name in first}


def _mean(tensors: Sequence[Tensor]) -> Tensor:
    first = tensors[0]
    if len(tensors) == 1 or not first.is_floating_point():
        return first
    return torch.stack([each.double() for each in tensors]).mean(dim=0).to(first.dtype)


def _mix(start: Tensor, tuned: Tensor, alpha: float) -> Tensor:
    if alpha == 1 or not start.is_floating_point():
        return tuned.to(start.dtype)
    mixed = torch.lerp(start.double(), tuned.to(start.device).double(), alpha)
    return mixed.to(start.dtype)


def _require_alike(start: Weights, tuned: Weights) -> None:
    if different := sorted(start.keys() ^ tuned.keys()):
        raise InputError(
            f"weights to be mixed differ in {len(different)} names, first '{different[0]}'; "
            "they must be of one architecture"
        )
    for name, value in start.items():
        if value.shape != tuned[name].shape:
            raise InputError(
                f"'{name}' is {tuple(value.shape)} in one and {tuple(tuned[name].shape)} in "
                "another; they must be of one architecture"
            )
