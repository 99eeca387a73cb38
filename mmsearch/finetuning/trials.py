"""Hyperparameter search with Optuna; unpromising trials are pruned.

The first trial has the settings as given, so that the best one is never worse. Trials are kept in a
journal, from which a stopped search resumes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, get_args

from mmsearch.finetuning.options import FinetuneOptions, Loss, Method
from mmsearch.finetuning.resolved import default_rate
from mmsearch.progress import ProgressListener
from mmsearch.training.loop import LossNotFinite

if TYPE_CHECKING:
    import optuna

# Reports the score of a step of the trial; raises if the trial is pruned.
Report = Callable[[int, float], None]
# Trains with the given options and returns the best validation score.
Attempt = Callable[[FinetuneOptions, Report], float]

# Range of the learning rate, as a factor, and of the initial inverse temperature.
_RATE_FACTOR = 8.0
_SCALES = (5.0, 100.0)
_RANKS = (4, 8, 16, 32)
# Trials, and validations of a trial, before any is pruned.
_TRIALS_BEFORE_PRUNING, _VALIDATIONS_BEFORE_PRUNING = 3, 2


@dataclass(frozen=True, slots=True)
class Trial:
    """A finished trial.

    state: 'complete', 'pruned' or 'fail'. score: the best on the validation split, or None.
    """

    number: int
    settings: dict[str, Any]
    state: str
    score: float | None


@dataclass(frozen=True, slots=True)
class TrialsReport:
    """All finished trials, and the best one."""

    trials: Sequence[Trial]
    best: Trial

    def apply(self, options: FinetuneOptions) -> FinetuneOptions:
        """Returns the options with the settings of the best trial."""
        return options.with_settings(**self.best.settings)


def search_settings(
    options: FinetuneOptions,
    attempt: Attempt,
    journal: Path,
    *,
    methods: Sequence[Method],
    scale: float,
    progress: ProgressListener,
) -> TrialsReport:
    """Runs trials until the journal has the requested number.

    methods: to choose from. scale: the model's inverse temperature. A trial whose loss is not
    finite fails, and the search continues. Raises LossNotFinite if all failed.
    """
    import optuna

    requested = options.selection.trials
    study = _study(journal, options.run.seed)
    if not study.trials:
        study.enqueue_trial(_given(options, methods, scale))
    progress.start("trials", requested)
    done = sum(trial.state.is_finished() for trial in study.trials)
    progress.advance(min(done, requested))
    for _ in range(done, requested):
        trial = study.ask()
        settings = _suggested(trial, options, methods)
        trial.set_user_attr("settings", settings)

        def report(step: int, score: float, trial: optuna.Trial = trial) -> None:
            trial.report(score, step)
            if trial.should_prune():
                raise optuna.TrialPruned

        try:
            score = attempt(options.with_settings(**settings), report)
        except optuna.TrialPruned:
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        except LossNotFinite as error:
            progress.note(f"trial {trial.number + 1}: {error}")
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
        else:
            study.tell(trial, score)
        progress.note(_line(study.trials[trial.number]))
        progress.advance(1)
    trials = [_trial(each) for each in study.trials if each.state.is_finished()]
    scored = [each for each in trials if each.state == "complete"]
    if not scored:
        raise LossNotFinite("no trial finished; try a lower learning rate")
    return TrialsReport(trials, max(scored, key=lambda trial: trial.score or 0.0))


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
        pruner=optuna.pruners.MedianPruner(_TRIALS_BEFORE_PRUNING, _VALIDATIONS_BEFORE_PRUNING),
        direction="maximize",
        load_if_exists=True,
    )


def _given(options: FinetuneOptions, methods: Sequence[Method], scale: float) -> dict[str, Any]:
    """Returns the settings as given, as the parameters of a trial."""
    model = options.model
    method = model.method if model.method != "auto" else methods[0]
    given_scale = scale if model.temperature is None else 1 / model.temperature
    given: dict[str, Any] = {
        "method": method,
        "loss": options.loss.kind,
        "learning_rate_factor": 1.0,
        "scale": min(max(given_scale, _SCALES[0]), _SCALES[1]),
    }
    if method == "lora":
        given["rank"] = model.rank
    return given


def _suggested(
    trial: "optuna.Trial", options: FinetuneOptions, methods: Sequence[Method]
) -> dict[str, Any]:
    """Returns the settings of a trial."""
    method = cast(Method, trial.suggest_categorical("method", methods))
    factor = trial.suggest_float("learning_rate_factor", 1 / _RATE_FACTOR, _RATE_FACTOR, log=True)
    rate = options.schedule.learning_rate or default_rate(method)
    suggested: dict[str, Any] = {
        "method": method,
        "learning_rate": factor * rate,
        "loss": trial.suggest_categorical("loss", get_args(Loss)),
        "temperature": 1 / trial.suggest_float("scale", *_SCALES, log=True),
    }
    if method == "lora":
        suggested["rank"] = trial.suggest_categorical("rank", _RANKS)
    return suggested


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
