"""All that a fine-tuning run found, as plain types: its page, its card and its verdict.

The verdict lies beside the model as `outcome.json`, so that a promotion can refuse what got worse.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mmsearch.errors import InputError
from mmsearch.evaluation.results import Difference, Evaluation
from mmsearch.files import write_atomically
from mmsearch.finetuning.fusion.scores import FusionTable
from mmsearch.finetuning.scoring.general import GeneralScore
from mmsearch.records import Scalar
from mmsearch.training.weight_interpolation import KEPT_SHARE, Sweep

FILE_NAME = "outcome.json"
FORMAT = 1
# What a run is judged by, of all that is measured: the directions people search in, and the names.
HEADLINES = ("recall@10", "accuracy")
JUDGED_PARTS = ("text-to-image", "image-to-text", "image-to-image", "zero-shot")
# A tie in floating point is no loss.
_EQUAL = 1e-9


@dataclass(frozen=True, slots=True)
class Curves:
    """What training logged. losses, scores: (step, value), the mean loss and the validation score.

    score_name: what the validation score is.
    """

    losses: Sequence[tuple[int, float]]
    scores: Sequence[tuple[int, float]]
    score_name: str = "score"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A finished run. name: the new model's. start: what it was tuned from, licence: that model's,
    by its identifier where it has one.

    data: the catalogs as the user named them; counts: what was read of them, by name ('items',
    'pictures', 'texts', 'classes', 'groups'); split: items by split. settings: the options that the
    run had, nothing left open. sweep: None where nothing was interpolated. test: the start first,
    then the tuned model, on the test split. fusion: None unless one was trained.
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
    curves: Curves
    sweep: Sweep | None
    general_start: GeneralScore
    general_tuned: GeneralScore
    test: Evaluation
    fusion: FusionTable | None = None
    notes: Sequence[str] = ()

    @property
    def verdict(self) -> "Verdict":
        before, after = self.test.models[0], self.test.models[-1]
        return Verdict(
            start=self.start,
            start_hash=before.space.weights_hash,
            tuned_hash=after.space.weights_hash,
            changes=tuple(_changes(self.test)),
            general_before=dict(self.general_start.parts),
            general_after=dict(self.general_tuned.parts),
            alpha=self.sweep.chosen.alpha if self.sweep else 1.0,
        )


@dataclass(frozen=True, slots=True)
class Change:
    """One metric of one part, on the test split, before and after; low, high: of the difference."""

    part: str
    metric: str
    before: float
    after: float
    low: float
    high: float
    p_value: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a promotion asks of a run. The hashes name the weights that were compared."""

    start: str
    start_hash: str
    tuned_hash: str
    changes: tuple[Change, ...]
    general_before: Mapping[str, float]
    general_after: Mapping[str, float]
    alpha: float

    @property
    def judged(self) -> list[Change]:
        return [c for c in self.changes if c.metric in HEADLINES and c.part in JUDGED_PARTS]

    def regressions(self) -> list[str]:
        """Why the tuned model is no improvement, one reason each; empty if it is none the worse."""
        faults = [
            f"{c.part} {c.metric} fell from {c.before:.3f} to {c.after:.3f} "
            f"(95% interval of the change {c.low:+.3f} to {c.high:+.3f})"
            for c in self.judged
            if c.high < 0
        ]
        before, after = (
            _mean([getattr(c, side) for c in self.judged]) for side in ("before", "after")
        )
        if after < before - _EQUAL and not faults:
            faults.append(
                f"the test split's mean of {' and '.join(HEADLINES)} fell from {before:.3f} to "
                f"{after:.3f}"
            )
        start, tuned = (
            _mean(list(each.values())) for each in (self.general_before, self.general_after)
        )
        if tuned < KEPT_SHARE * start - _EQUAL:
            faults.append(
                f"the general set fell from {start:.3f} to {tuned:.3f}, which is "
                f"{tuned / start:.1%} of before; {KEPT_SHARE:.0%} is asked for"
            )
        return faults

    def save(self, folder: Path) -> None:
        content = json.dumps({"format": FORMAT, **asdict(self)}, indent=2)
        write_atomically(folder / FILE_NAME, content)


def read_verdict(folder: Path) -> Verdict | None:
    """folder: a model's. None where no run left one. Raises InputError for a damaged one."""
    path = folder / FILE_NAME
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if content.pop("format") != FORMAT:
            raise InputError(f"{path} was written by another version of mmsearch; fine-tune again")
        changes = tuple(Change(**change) for change in content.pop("changes"))
        return Verdict(changes=changes, **content)
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} is damaged ({error}); fine-tune again, or delete it") from error


def _changes(test: Evaluation) -> list[Change]:
    before, after = test.models[0], test.models[-1]
    metrics = {
        part: (ours, theirs)
        for part, ours, theirs in (
            *(
                (a.direction, b.metrics, a.metrics)
                for b, a in zip(before.retrieval, after.retrieval, strict=True)
            ),
            *(
                [("zero-shot", before.classification.metrics, after.classification.metrics)]
                if before.classification and after.classification
                else []
            ),
        )
    }
    return [_change(found, *metrics[found.part]) for found in test.differences]


def _change(found: Difference, before: Mapping[str, Any], after: Mapping[str, Any]) -> Change:
    return Change(
        found.part,
        found.metric,
        before[found.metric].value,
        after[found.metric].value,
        found.low,
        found.high,
        found.p_value,
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
