"""Interpolates initial and tuned weights, so that a model learns at little cost in generality.

WiSE-FT (Wortsman et al. 2022, "Robust fine-tuning of zero-shot models"): the weights
(1 - alpha) * start + alpha * tuned are scored over a sweep of alphas, both in the domain and on a
general set, and the best in-domain point that keeps enough of the general score is chosen. The
sweep is then refined around it.
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
# Points between the best of these and each of its two neighbours, for the refinement.
REFINEMENT = 4
# Evaluations of one sweep; a best point at either end has only one neighbour.
MAX_EVALUATIONS = len(ALPHAS) + 2 * REFINEMENT
# Share of its general score that the model must keep.
KEPT_SHARE = 0.99
# Tolerance for the order of floating-point additions.
_TOLERANCE = 1e-9


@dataclass(frozen=True, slots=True)
class SweepScore:
    """Scores on the validation split and on the general set; higher is better."""

    in_domain: float
    general: float


@dataclass(frozen=True, slots=True)
class SweepPoint:
    """A measured interpolation; alpha is 0 for the initial and 1 for the tuned weights."""

    alpha: float
    score: SweepScore


@dataclass(frozen=True, slots=True)
class Sweep:
    """A finished sweep.

    points: by alpha, the first at 0. chosen: one of them. kept_share: share of the general score
    that was required.
    """

    points: Sequence[SweepPoint]
    chosen: SweepPoint
    kept_share: float

    @property
    def floor(self) -> float:
        """The lowest general score that is allowed."""
        return self.kept_share * self.points[0].score.general

    def allows(self, point: SweepPoint) -> bool:
        """Returns whether a point keeps enough of the general score."""
        return point.score.general >= self.floor - _TOLERANCE

    @property
    def general_kept(self) -> float:
        """The share of the general score that the chosen point keeps; 1 if that score was 0."""
        start = self.points[0].score.general
        return self.chosen.score.general / start if start > 0 else 1.0

    @property
    def reason(self) -> str:
        """Why the chosen point was chosen, as a sentence for people."""
        start, chosen = self.points[0].score, self.chosen.score
        if self.chosen.alpha == 0:
            return (
                f"kept the original weights: no interpolation improves on your catalog's "
                f"{start.in_domain:.3f} and keeps {self.kept_share:.0%} of the general score "
                f"{start.general:.3f}"
            )
        best = max(self.points, key=lambda point: point.score.in_domain)
        passed_over = (
            ""
            if best.score.in_domain <= chosen.in_domain + _TOLERANCE
            else f"; {best.alpha:.0%} would reach {best.score.in_domain:.3f} but keep only "
            f"{best.score.general / start.general:.1%}"
        )
        return (
            f"kept {self.chosen.alpha:.0%} of what was learned: your catalog "
            f"{start.in_domain:.3f} → {chosen.in_domain:.3f}, general {start.general:.3f} → "
            f"{chosen.general:.3f} ({self.general_kept:.1%}){passed_over}"
        )


def sweep(
    start: Weights,
    tuned: Weights,
    evaluate: Callable[[Weights], SweepScore],
    *,
    alphas: Sequence[float] = ALPHAS,
    refinement: int = REFINEMENT,
    kept_share: float = KEPT_SHARE,
) -> Sweep:
    """Scores interpolated weights, refines around the best and returns the choice.

    alphas: the coarse sweep; 0 is always included and always allowed. refinement: points between
    the best and each of its neighbours. Raises InputError for an alpha outside 0 to 1, or for
    weights of different architectures.
    """
    if bad := [alpha for alpha in alphas if not 0 <= alpha <= 1]:
        raise InputError(f"alphas lie between 0 (start) and 1 (tuned), got {bad[0]:g}")

    def measured(alpha: float) -> SweepPoint:
        return SweepPoint(alpha, evaluate(interpolate(start, tuned, alpha)))

    coarse = [measured(alpha) for alpha in sorted({0.0, *alphas})]
    best = choose(coarse, kept_share=kept_share).chosen
    finer = [measured(alpha) for alpha in _around(coarse, best, refinement)]
    points = sorted([*coarse, *finer], key=lambda point: point.alpha)
    return choose(points, kept_share=kept_share)


def _around(points: Sequence[SweepPoint], best: SweepPoint, count: int) -> list[float]:
    """Returns `count` alphas in even steps between the best point and each of its neighbours."""
    at = list(points).index(best)
    near = [point.alpha for point in points[max(0, at - 1) : at + 2]]
    steps = [np.linspace(low, high, count + 2)[1:-1] for low, high in pairwise(near)]
    return [round(float(alpha), 4) for part in steps for alpha in part]


def choose(points: Sequence[SweepPoint], *, kept_share: float = KEPT_SHARE) -> Sweep:
    """Chooses the best allowed point; of equals, the one with the smallest alpha.

    points: by alpha, the first at 0.
    """
    unchosen = Sweep(points, points[0], kept_share)
    allowed = [points[0], *filter(unchosen.allows, points[1:])]
    best = max(allowed, key=lambda point: (point.score.in_domain, -point.alpha))
    return Sweep(points, best, kept_share)


def interpolate(start: Weights, tuned: Weights, alpha: float) -> dict[str, Tensor]:
    """Returns (1 - alpha) * start + alpha * tuned in the dtypes of `start`; exact at both ends.

    Tensors that are not floating-point, such as a batch norm's counter, are those of `tuned`.
    Raises InputError if names or shapes differ.
    """
    _require_same_architecture(start, tuned)
    if alpha == 0:
        return dict(start)
    return {name: _lerp(value, tuned[name], alpha) for name, value in start.items()}


def average(runs: Sequence[Weights]) -> dict[str, Tensor]:
    """Averages the weights of several training runs (Wortsman et al. 2022, "Model soups").

    runs: one or more, of one architecture. Tensors that are not floating-point are the first's.
    """
    first, *others = runs
    for other in others:
        _require_same_architecture(first, other)
    return {name: _average([run[name] for run in runs]) for name in first}


def _average(tensors: Sequence[Tensor]) -> Tensor:
    first = tensors[0]
    if len(tensors) == 1 or not first.is_floating_point():
        return first
    return torch.stack([each.double() for each in tensors]).mean(dim=0).to(first.dtype)


def _lerp(start: Tensor, tuned: Tensor, alpha: float) -> Tensor:
    if alpha == 1 or not start.is_floating_point():
        return tuned.to(start.dtype)
    mixed = torch.lerp(start.double(), tuned.to(start.device).double(), alpha)
    return mixed.to(start.dtype)


def _require_same_architecture(start: Weights, tuned: Weights) -> None:
    if different := sorted(start.keys() ^ tuned.keys()):
        raise InputError(
            f"weights of different architectures cannot be interpolated: {len(different)} names "
            f"differ, the first is '{different[0]}'"
        )
    for name, value in start.items():
        if value.shape != tuned[name].shape:
            raise InputError(
                f"weights of different architectures cannot be interpolated: '{name}' is "
                f"{tuple(value.shape)} in one and {tuple(tuned[name].shape)} in the other"
            )
