"""A search over settings with Optuna: short trainings, the bad ones stopped early.

The first trial has the settings as given, so that the best is never worse than those. Trials lie in
a journal beside the model: what a killed search had finished counts when it goes on.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, get_args

from mmsearch.finetuning.options import FinetuneOptions, Loss, Method, default_rate
from mmsearch.progress import ProgressListener
from mmsearch.training.loop import LossNotFinite

if TYPE_CHECKING:
    import optuna

# A report of (step, score) while a trial trains; it raises to end the trial.
Report = Callable[[int, float], None]
# Trains with these options and returns the best validation score.
Attempt = Callable[[FinetuneOptions, Report], float]

# How far from the given rate the search goes, and which inverse temperatures it starts from.
_RATE_FACTOR = 8.0
_SCALES = (5.0, 100.0)
_RANKS = (4, 8, 16, 32)
# Medians of fewer trials, or of the first looks, say little.
_TRIALS_BEFORE_PRUNING, _LOOKS_BEFORE_PRUNING = 3, 2


@dataclass(frozen=True, slots=True)
class Trial:
    """state: 'complete', 'pruned' or 'fail'. score: the best on the validation split, or None."""

    number: int
    settings: dict[str, Any]
    state: str
    score: float | None


@dataclass(frozen=True, slots=True)
class TrialsReport:
    trials: Sequence[Trial]
    best: Trial

    def apply(self, options: FinetuneOptions) -> FinetuneOptions:
        """The options with the best trial's settings."""
        return replace(options, **self.best.settings)


def search_settings(
    options: FinetuneOptions,
    attempt: Attempt,
    journal: Path,
    *,
    methods: Sequence[Method],
    scale: float,
    progress: ProgressListener,
) -> TrialsReport:
    """options.trials in all, those in the journal included. methods: those to choose from. scale:
    the inverse temperature that the model has.

    A learning rate of None is each method's own. A trial whose loss is not finite fails
    and the search goes on.
    """
    import optuna

    study = _study(journal, options.seed)
    if not study.trials:
        study.enqueue_trial(_given(options, methods, scale))
    progress.start("trials", options.trials)
    done = sum(trial.state.is_finished() for trial in study.trials)
    progress.advance(min(done, options.trials))
    for _ in range(done, options.trials):
        trial = study.ask()
        settings = _suggested(trial, options, methods)
        trial.set_user_attr("settings", settings)
        try:
            score = attempt(replace(options, **settings), _reporter(trial))
        except optuna.TrialPruned:
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        except LossNotFinite as error:
            progress.note(f"trial {trial.number + 1}: {error}")
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
        else:
            study.tell(trial, score)
        progress.note(_line(study.trials[trial.number]))
        progress.advance(1)
    return _report(study)


def _study(journal: Path, seed: int) -> "optuna.Study":
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    journal.parent.mkdir(parents=True, exist_ok=True)
    return optuna.create_study(
        study_name="finetune",
        storage=JournalStorage(JournalFileBackend(str(journal))),
        sampler=optuna.samplers.TPESampler(seed=seed, multivariate=False),
        pruner=optuna.pruners.MedianPruner(_TRIALS_BEFORE_PRUNING, _LOOKS_BEFORE_PRUNING),
        direction="maximize",
        load_if_exists=True,
    )


def _given(options: FinetuneOptions, methods: Sequence[Method], scale: float) -> dict[str, Any]:
    """What was asked for, as a trial's parameters."""
    method = options.method if options.method != "auto" else methods[0]
    asked = scale if options.temperature is None else 1 / options.temperature
    given: dict[str, Any] = {
        "method": method,
        "loss": options.loss,
        "learning_rate_factor": 1.0,
        "scale": min(max(asked, _SCALES[0]), _SCALES[1]),
    }
    if method == "lora":
        given["rank"] = options.rank
    return given


def _suggested(
    trial: "optuna.Trial", options: FinetuneOptions, methods: Sequence[Method]
) -> dict[str, Any]:
    """Fields of FinetuneOptions."""
    method = cast(Method, trial.suggest_categorical("method", methods))
    factor = trial.suggest_float("learning_rate_factor", 1 / _RATE_FACTOR, _RATE_FACTOR, log=True)
    chosen: dict[str, Any] = {
        "method": method,
        "learning_rate": factor * (options.learning_rate or default_rate(method)),
        "loss": trial.suggest_categorical("loss", get_args(Loss)),
        "temperature": 1 / trial.suggest_float("scale", *_SCALES, log=True),
    }
    if method == "lora":
        chosen["rank"] = trial.suggest_categorical("rank", _RANKS)
    return chosen


def _reporter(trial: "optuna.Trial") -> Report:
    import optuna

    def report(step: int, score: float) -> None:
        trial.report(score, step)
        if trial.should_prune():
            raise optuna.TrialPruned

    return report


def _report(study: "optuna.Study") -> TrialsReport:
    """Raises LossNotFinite where no trial came to an end."""
    trials = [_trial(each) for each in study.trials if each.state.is_finished()]
    scored = [each for each in trials if each.state == "complete"]
    if not scored:
        raise LossNotFinite("no trial came to an end; try a lower learning rate")
    return TrialsReport(trials, max(scored, key=lambda trial: trial.score or 0.0))


def _trial(found: "optuna.trial.FrozenTrial") -> Trial:
    best = max(found.intermediate_values.values(), default=None)
    score = found.value if found.value is not None else best
    settings = found.user_attrs.get("settings", {})
    return Trial(found.number, settings, found.state.name.lower(), score)


def _line(found: "optuna.trial.FrozenTrial") -> str:
    trial = _trial(found)
    settings = ", ".join(
        f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in trial.settings.items()
    )
    score = "no score" if trial.score is None else f"score {trial.score:.3f}"
    return f"trial {trial.number + 1}: {score} ({trial.state}): {settings}"
