"""Results of a fine-tuning as plain types, and the check whether anything got worse.

The check is saved with the model as `outcome.json`, so that a promotion can refuse a regression.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from mmsearch.deprecation import renamed_attribute
from mmsearch.errors import InputError
from mmsearch.evaluation.results import Estimate, Evaluation, ModelScores
from mmsearch.files import write_atomically
from mmsearch.finetuning.fusion.scores import FusionTable
from mmsearch.finetuning.scoring import GeneralScore
from mmsearch.records import Scalar
from mmsearch.training.weight_interpolation import KEPT_SHARE, Sweep

FILE_NAME = "outcome.json"
FORMAT = 1
# Metrics and directions that decide whether a model got worse.
HEADLINES = ("recall@10", "accuracy")
JUDGED_PARTS = ("text-to-image", "image-to-text", "image-to-image", "zero-shot")
# Tolerance for the order of floating-point additions.
_TOLERANCE = 1e-9


@dataclass(frozen=True, slots=True)
class TrainingCurves:
    """Losses and validation scores of the training, as (step, value)."""

    losses: Sequence[tuple[int, float]]
    scores: Sequence[tuple[int, float]]
    score_name: str = "score"


@dataclass(frozen=True, slots=True, kw_only=True)
class FinetuneReport:
    """Results of a finished fine-tuning.

    name: of the new model. start: of the original one; licence: that model's, by its identifier if
    it has one. data: the sources. counts: what was read of them ('items', 'images', 'texts',
    'classes', 'groups'). split: items by split. settings: resolved. sweep: None if nothing was
    interpolated. test: the original, then the tuned model, on the test split. fusion: None if none
    was trained.
    """

    name: str
    start: str
    licence: str
    method: str
    data: Sequence[str]
    counts: Mapping[str, int]
    split: Mapping[str, int]
    settings: Mapping[str, Scalar]
    device: str
    steps: int
    seconds: float
    curves: TrainingCurves
    sweep: Sweep | None
    general_start: GeneralScore
    general_tuned: GeneralScore
    test: Evaluation
    fusion: FusionTable | None = None
    notes: Sequence[str] = ()

    @property
    def comparison(self) -> "Comparison":
        """Both models' metrics, to be checked for regressions."""
        models = self.test.models[0], self.test.models[-1]
        before, after = (metrics_by_part(model) for model in models)
        return Comparison(
            start=self.start,
            start_hash=models[0].space.weights_hash,
            tuned_hash=models[1].space.weights_hash,
            changes=tuple(
                Change(
                    each.part,
                    each.metric,
                    before[each.part][each.metric].value,
                    after[each.part][each.metric].value,
                    each.low,
                    each.high,
                    each.p_value,
                )
                for each in self.test.differences
            ),
            general_before=dict(self.general_start.parts),
            general_after=dict(self.general_tuned.parts),
            alpha=self.sweep.chosen.alpha if self.sweep else 1.0,
        )

    verdict = renamed_attribute("verdict", "comparison")


@dataclass(frozen=True, slots=True)
class Change:
    """A metric on the test split before and after, with the 95% interval of the difference."""

    part: str
    metric: str
    before: float
    after: float
    low: float
    high: float
    p_value: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """Comparison of original and tuned model; the hashes identify the weights."""

    start: str
    start_hash: str
    tuned_hash: str
    changes: tuple[Change, ...]
    general_before: Mapping[str, float]
    general_after: Mapping[str, float]
    alpha: float

    @property
    def judged(self) -> list[Change]:
        """The changes that decide whether the model got worse."""
        return [c for c in self.changes if c.metric in HEADLINES and c.part in JUDGED_PARTS]

    def regressions(self) -> list[str]:
        """Returns what got worse, one sentence each; empty if nothing did."""
        faults = [
            f"{c.part} {c.metric} fell from {c.before:.3f} to {c.after:.3f} "
            f"(95% interval of the change {c.low:+.3f} to {c.high:+.3f})"
            for c in self.judged
            if c.high < 0
        ]
        before, after = (
            _mean([getattr(c, side) for c in self.judged]) for side in ("before", "after")
        )
        if after < before - _TOLERANCE and not faults:
            faults.append(
                f"the test split's mean of {' and '.join(HEADLINES)} fell from {before:.3f} to "
                f"{after:.3f}"
            )
        start, tuned = (
            _mean(list(each.values())) for each in (self.general_before, self.general_after)
        )
        if tuned < KEPT_SHARE * start - _TOLERANCE:
            faults.append(
                f"the general score fell from {start:.3f} to {tuned:.3f}, "
                f"{tuned / start:.1%} of before; at least {KEPT_SHARE:.0%} is required"
            )
        return faults

    def save(self, folder: Path) -> None:
        """Writes outcome.json into a model's folder."""
        content = json.dumps({"format": FORMAT, **asdict(self)}, indent=2)
        write_atomically(folder / FILE_NAME, content)


def read_comparison(folder: Path) -> Comparison | None:
    """Reads outcome.json of a model's folder, None if there is none. Raises InputError."""
    path = folder / FILE_NAME
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        version = content.pop("format")
        if version == FORMAT:
            return TypeAdapter(Comparison).validate_python(content)
    except FileNotFoundError:
        return None
    except (ValueError, KeyError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{path} is damaged ({reason}); fine-tune again, or delete it") from error
    raise InputError(f"{path} was written by another version of mmsearch; fine-tune again")


def metrics_by_part(model: ModelScores) -> dict[str, Mapping[str, Estimate]]:
    """Returns a model's metrics by direction, and those of its zero-shot classification."""
    found: dict[str, Mapping[str, Estimate]] = {
        scores.direction: scores.metrics for scores in model.retrieval
    }
    named = {"zero-shot": model.classification.metrics} if model.classification else {}
    return {**found, **named}


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
