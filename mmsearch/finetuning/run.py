"""Runs a fine-tuning from beginning to end, in the order in which it happens.

read and split → hyperparameter trials → train → retrain projections → interpolate with the original
weights → write the model → evaluate on the test split → report. Every finished stage is on disk, so
that a stopped run can be resumed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from mmsearch.encoders.devices import choose_device
from mmsearch.errors import Interrupted, MMSearchError
from mmsearch.extras import require
from mmsearch.finetuning.fusion.stage import learn_fusion
from mmsearch.finetuning.options import FinetuneOptions, Method
from mmsearch.finetuning.plan import FinetunePlan, plan
from mmsearch.finetuning.preparation import Preparation, prepare
from mmsearch.finetuning.report.results import FinetuneReport
from mmsearch.finetuning.report.writing import REFIT_STAGES, report_on
from mmsearch.finetuning.scoring import SCORE_NAME, DomainSet, GeneralScorer, general_set
from mmsearch.finetuning.trainee.trainee import FineTuneModel
from mmsearch.finetuning.trials import Report, TrialsReport, search_settings
from mmsearch.finetuning.workspace import TrainingResult, Workspace
from mmsearch.malloc_tuning import reused_memory
from mmsearch.media import MediaBounds
from mmsearch.progress import NullProgress, ProgressListener
from mmsearch.sources import Source
from mmsearch.training.distributed import process_group, ranks, wait_for_all
from mmsearch.training.loop import (
    STAGE,
    VALIDATION,
    LoopNames,
    LoopResult,
    run_loop,
)
from mmsearch.training.metrics_log import MetricsLog
from mmsearch.training.weight_interpolation import (
    MAX_EVALUATIONS,
    SweepScore,
    Weights,
    average,
    interpolate,
    sweep,
)

__all__ = ["FinetunePlan", "Finetuned", "finetune", "plan"]

T = TypeVar("T")

_SHOWN_KEYS = 3
_AUTO_METHODS: tuple[Method, ...] = ("head", "lora")


@dataclass(frozen=True, slots=True)
class Finetuned:
    """A finished fine-tuning: the model folder, what was measured, and trials if there were any."""

    folder: Path
    outcome: FinetuneReport
    trials: TrialsReport | None


@reused_memory()
def finetune(
    sources: Sequence[Source],
    options: FinetuneOptions,
    *,
    bounds: MediaBounds | None = None,
    progress: ProgressListener | None = None,
) -> Finetuned | None:
    """Fine-tunes a model; under torchrun all processes but the first return None.

    Raises InputError for data, a model or a folder that cannot be used; ConfigError if a run is
    resumed with other settings; MissingDependency, MissingModel; Interrupted after Ctrl-C.
    """
    progress, bounds = progress or NullProgress(), bounds or MediaBounds()
    # Before hours of training.
    if options.selection.trials:
        require("optuna", extra="train", purpose="trials")
    if options.run.tensorboard:
        require("tensorboard", extra="train", purpose="tensorboard")
    with process_group(choose_device(options.run.device).name):
        roots = [source.root for source in sources]
        workspace = _first_rank_first(
            lambda: Workspace.claim(options, roots),
            lambda: Workspace.claim(options.with_settings(resume=True), roots),
        )
        split = workspace.split
        try:
            prepared = _first_rank_first(
                lambda: prepare(
                    sources, options, split_file=split, bounds=bounds, progress=progress
                )
            )
        except MMSearchError:
            if ranks().first and not options.run.resume:
                workspace.discard()
            raise
        training = _Training(workspace, progress, prepared.validation_set())
        trials = training.search(prepared) if options.selection.trials else None
        if trials:
            prepared = prepared.with_options(trials.apply(options))
        result = workspace.result() if options.run.resume else None
        if result is None:
            model, trained, weights = training.train(prepared)
            if not ranks().first:
                return None
            result = training.interpolate(prepared, model, trained, weights)
        elif not ranks().first:
            return None
        choice = options.model.fusion
        fusion = None if choice == "none" else learn_fusion(choice, prepared, workspace, progress)
        outcome = report_on(prepared, result, workspace, progress, roots=roots, fusion=fusion)
        return Finetuned(workspace.out, outcome, trials)


class _Training:
    """The stages that train: trials, towers, projections, and the choice of weights."""

    def __init__(self, workspace: Workspace, progress: ProgressListener, domain: DomainSet) -> None:
        self._workspace, self._progress, self._domain = workspace, progress, domain
        self._cache = workspace.work / "activations"

    def search(self, prepared: Preparation) -> TrialsReport:
        """Searches for hyperparameters; each trial is a full training whose weights are dropped."""
        requested = prepared.requested

        def attempt(options: FinetuneOptions, report: Report) -> float:
            trial = prepared.with_options(options)
            model = trial.trainee(self._cache, NullProgress())
            validations = 0

            def validate() -> float:
                nonlocal validations
                score = self._score(model)
                report(validations, score)
                validations += 1
                return score

            loop = replace(trial.loop_options(), checkpoint_every=0, tensorboard=False)
            result = run_loop(model, validate, loop, progress=NullProgress())
            if result.stopped:
                raise Interrupted(
                    f"stopped; the finished trials are kept in {self._workspace.out}: run the same "
                    "command with this output folder and resume"
                )
            return result.best_score

        method = requested.model.method
        return search_settings(
            requested,
            attempt,
            self._workspace.work / "trials.log",
            methods=_AUTO_METHODS if method == "auto" else (method,),
            scale=prepared.start.scale,
            progress=self._progress,
        )

    def train(self, prepared: Preparation) -> tuple[FineTuneModel, LoopResult, Weights]:
        """Trains, and retrains the projections where the towers were trained.

        Returns a model to score weights with, the state after the last run, and the tuned weights.
        """
        with MetricsLog(self._workspace.metrics, resume=prepared.options.run.resume) as log:
            model, result, tuned = self._runs(prepared, self._workspace.work, log)
            if prepared.refits:
                self._progress.note("retraining the projections on the trained towers")
                refit = prepared.for_refit(tuned)
                folder = self._workspace.work / "projections"
                _, last, tuned = self._runs(refit, folder, log)
                result = _after(result, last)
        return model, result, tuned

    def _runs(
        self, prepared: Preparation, folder: Path, log: MetricsLog
    ) -> tuple[FineTuneModel, LoopResult, Weights]:
        """Trains several times; returns the first model, the last state and the mean weights."""
        models: list[FineTuneModel] = []
        weights: list[Weights] = []
        result, runs = LoopResult(), prepared.options.schedule.runs
        for index in range(runs):
            part = prepared.for_run(index)
            sibling = models[0] if models else None
            model = _first_rank_first(
                partial(part.trainee, self._cache, self._progress, sibling=sibling)
            )
            if runs > 1:
                self._progress.note(f"run {index + 1} of {runs}")
            stages = REFIT_STAGES if prepared.reference else (STAGE, VALIDATION)
            suffix = f"-{index + 1}" if index else ""
            trained = run_loop(
                model,
                partial(self._score, model),
                part.loop_options(),
                progress=self._progress,
                folder=folder / f"run-{index + 1}" if index else folder,
                log=log,
                names=LoopNames(stages[0] + suffix, stages[1] + suffix, SCORE_NAME),
                describe=partial(_batch_of, model),
            )
            if trained.stopped:
                raise Interrupted(
                    f"stopped after step {trained.step:,} of {part.options.schedule.steps:,}; its "
                    f"checkpoint is in {self._workspace.out}: run the same command with this "
                    "output folder and resume"
                )
            result = _after(result, trained)
            weights.append(model.tuned_weights())
            # Later runs are only needed for their weights.
            models = models or [model]
        return models[0], result, average(weights)

    def interpolate(
        self, prepared: Preparation, model: FineTuneModel, trained: LoopResult, tuned: Weights
    ) -> TrainingResult:
        """Chooses an interpolation with the original weights, and writes it as the model."""
        original, start = prepared.start, model.start_weights()
        self._progress.start("interpolating original and tuned weights", MAX_EVALUATIONS)
        general = GeneralScorer(general_set(original.preprocessing), model.towers, start)

        def evaluate(weights: Weights) -> SweepScore:
            score = SweepScore(self._score(model, weights), general.score(weights).score)
            self._progress.advance(1)
            return score

        kept_share = prepared.options.selection.kept_share
        found = sweep(start, tuned, evaluate, kept_share=kept_share)
        self._progress.note(found.reason)
        weights = interpolate(start, tuned, found.chosen.alpha)
        original.save(weights, self._workspace.out)
        result = TrainingResult(
            steps=trained.step,
            best_step=trained.best_step,
            seconds=trained.seconds,
            sweep=found,
            general_start=general.start,
            general_tuned=general.score(weights),
        )
        # Last: it marks the model as complete.
        self._workspace.save(result)
        return result

    def _score(self, model: FineTuneModel, weights: Weights | None = None) -> float:
        """Scores weights on the validation split, by default the current ones."""
        return self._domain.score(
            lambda items, texts: (
                model.encode_images(items, weights),
                model.encode_texts(texts, weights),
            )
        )


def _after(first: LoopResult, second: LoopResult) -> LoopResult:
    return replace(
        second,
        step=first.step + second.step,
        best_step=first.step + second.best_step,
        seconds=first.seconds + second.seconds,
    )


def _first_rank_first(first: Callable[[], T], others: Callable[[], T] | None = None) -> T:
    """Runs a function in the first process, then in the others, which find the files it wrote."""
    if ranks().first:
        made = first()
        wait_for_all()
        return made
    wait_for_all()
    return (others or first)()


def _batch_of(model: FineTuneModel, step: int) -> str:
    items = model.sampler.draw(step).items.tolist()
    keys = [model.sampler.training_set.items[place].key for place in items[:_SHOWN_KEYS]]
    more = len(items) - len(keys)
    return f"batch of {', '.join(keys)}" + (f" and {more} more" if more > 0 else "")
