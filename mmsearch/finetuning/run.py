"""`mmsearch finetune` from beginning to end, in the order in which it happens.

read → split → train → interpolate, as far as general knowledge allows → write the model → measure
start and tuned model on the test split → report and card. What a stage has finished is on disk, so
that a run which was stopped goes on from there.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from mmsearch.encoders.devices import choose_device
from mmsearch.errors import Interrupted
from mmsearch.extras import require
from mmsearch.finetuning.fusion.stage import learn_fusion
from mmsearch.finetuning.options import FinetuneOptions, Method
from mmsearch.finetuning.preparation import Preparation, estimated_seconds, loop_options, prepare
from mmsearch.finetuning.report.outcome import Outcome
from mmsearch.finetuning.report.writing import REFIT_STAGES, report_on
from mmsearch.finetuning.scoring.domain import SCORE_NAME, DomainSet
from mmsearch.finetuning.scoring.in_memory import GeneralProbe
from mmsearch.finetuning.towers.export import export_model
from mmsearch.finetuning.trainee.trainee import FineTuneModel
from mmsearch.finetuning.trials import Report, TrialsReport, search_settings
from mmsearch.finetuning.workspace import Tuned, Workspace, default_out
from mmsearch.malloc_tuning import reused_memory
from mmsearch.media import MediaBounds
from mmsearch.progress import NullProgress, ProgressListener
from mmsearch.sources import Source
from mmsearch.training.distributed import process_group, ranks, wait_for_all
from mmsearch.training.loop import STAGE, VALIDATION, LoopResult, run_loop
from mmsearch.training.metrics_log import MetricsLog
from mmsearch.training.weight_interpolation import (
    MOST_MIXES,
    SweepScore,
    Weights,
    interpolate,
    mean,
    sweep,
)

T = TypeVar("T")

_SHOWN_KEYS = 3
_AUTO_METHODS: tuple[Method, ...] = ("head", "lora")


@dataclass(frozen=True, slots=True)
class Finetuned:
    """folder: the model's, which `--model FOLDER` takes. trials: None if none were asked for."""

    folder: Path
    outcome: Outcome
    trials: TrialsReport | None


@reused_memory()
def finetune(
    sources: Sequence[Source],
    options: FinetuneOptions,
    *,
    bounds: MediaBounds | None = None,
    progress: ProgressListener | None = None,
) -> Finetuned | None:
    """None in every process but the first of those that torchrun started.

    Raises InputError for data, a model or a folder that cannot be used; ConfigError where a run is
    resumed with other settings; MissingDependency, MissingModel; Interrupted after Ctrl-C.
    """
    listener, bounds = progress or NullProgress(), bounds or MediaBounds()
    _require_extras(options)
    with process_group(choose_device(options.device).name):
        roots = [source.root for source in sources]
        space = _in_turn(
            lambda: Workspace.claim(options, roots),
            lambda: Workspace.claim(replace(options, resume=True), roots),
        )
        prepared = _in_turn(
            lambda: prepare(
                sources, options, split_file=space.split, bounds=bounds, progress=listener
            )
        )
        trials = None
        if options.trials:
            trials = _search(prepared, options, space, listener)
            prepared = prepared.with_options(trials.apply(options))
        tuned = space.tuned() if options.resume else None
        tuned = tuned or _train(prepared, space, listener)
        if tuned is None:
            return None
        wish = options.fusion
        fusion = None if wish == "none" else learn_fusion(wish, prepared, space, listener)
        outcome = report_on(prepared, tuned, space, listener, roots=roots, fusion=fusion)
        return Finetuned(space.out, outcome, trials)


@dataclass(frozen=True, slots=True)
class FinetunePlan:
    """What a fine-tuning would do. counts, split: as read. seconds: an estimate, from a few steps'
    worth of pictures through the model on this machine."""

    folder: Path
    counts: Mapping[str, int]
    split: Mapping[str, int]
    method: Method
    steps: int
    batch_size: int
    learning_rate: float
    device: str
    seconds: float
    notes: Sequence[str]


def plan(
    sources: Sequence[Source],
    options: FinetuneOptions,
    *,
    bounds: MediaBounds | None = None,
    progress: ProgressListener | None = None,
) -> FinetunePlan:
    """Reads, splits and loads as `finetune` does; writes nothing. Raises what `finetune` does."""
    prepared = prepare(
        sources,
        options,
        split_file=None,
        bounds=bounds or MediaBounds(),
        progress=progress or NullProgress(),
    )
    chosen = prepared.options
    return FinetunePlan(
        options.out or default_out(sources[0].root),
        prepared.counts(),
        prepared.split_sizes(),
        chosen.method,
        chosen.steps,
        chosen.batch_size,
        chosen.learning_rate,
        prepared.device.name,
        estimated_seconds(prepared),
        (*prepared.catalog.notes, *prepared.split.notes),
    )


def _train(prepared: Preparation, space: Workspace, progress: ProgressListener) -> Tuned | None:
    """Trains, interpolates and writes the model folder; only the first process does the latter."""
    domain = prepared.validation_set()
    with MetricsLog(space.metrics, resume=prepared.options.resume) as log:
        stage = partial(_stage, domain=domain, space=space, log=log, progress=progress)
        model, result, tuned = stage(prepared, space.work)
        if prepared.refits:
            progress.note("now the projections once more, on the trained towers")
            _, last, tuned = stage(prepared.for_refit(tuned), space.work / "projections")
            result = _after(result, last)
    return _write_best_mix(prepared, model, domain, tuned, result, space, progress)


def _stage(
    prepared: Preparation,
    folder: Path,
    *,
    domain: DomainSet,
    space: Workspace,
    log: MetricsLog,
    progress: ProgressListener,
) -> tuple[FineTuneModel, LoopResult, Weights]:
    """The first run's model, the standing after the last run, the mean of all runs' weights."""
    models: list[FineTuneModel] = []
    found: list[Weights] = []
    result, runs = LoopResult(), prepared.options.runs
    for turn in range(runs):
        part = prepared.with_turn(turn)
        like = models[0] if models else None
        model = _in_turn(partial(part.trainee, space.work / "activations", progress, like=like))
        place = folder if turn == 0 else folder / f"run-{turn + 1}"
        if runs > 1:
            progress.note(f"run {turn + 1} of {runs}")
        result = _after(result, _loop(part, model, domain, place, log, space, progress))
        found.append(model.tuned_weights())
        models = models or [model]
    return models[0], result, mean(found)


def _loop(
    prepared: Preparation,
    model: FineTuneModel,
    domain: DomainSet,
    folder: Path,
    log: MetricsLog,
    space: Workspace,
    progress: ProgressListener,
) -> LoopResult:
    names = REFIT_STAGES if prepared.known else (STAGE, VALIDATION)
    again = f"-{prepared.turn + 1}" if prepared.turn else ""
    result = run_loop(
        prepared.mining(model),
        lambda: _score(model, domain, None),
        loop_options(prepared, resume=prepared.options.resume),
        folder,
        log,
        progress,
        score_name=SCORE_NAME,
        describe=lambda step: _batch_of(model, step),
        stages=(names[0] + again, names[1] + again),
    )
    if result.stopped:
        raise Interrupted(
            f"stopped after step {result.step:,} of {prepared.options.steps:,}; its checkpoint is "
            f"kept: run it again with `out='{space.out}'` and `resume=True` to go on"
        )
    return result


def _after(first: LoopResult, second: LoopResult) -> LoopResult:
    return replace(
        second,
        step=first.step + second.step,
        best_step=first.step + second.best_step,
        seconds=first.seconds + second.seconds,
    )


def _write_best_mix(
    prepared: Preparation,
    model: FineTuneModel,
    domain: DomainSet,
    tuned: Weights,
    result: LoopResult,
    space: Workspace,
    progress: ProgressListener,
) -> Tuned | None:
    """model: measures any mix of the start's and the tuned weights."""
    if not ranks().first:
        return None
    start = model.start_weights()
    progress.start("interpolating start and tuned weights", MOST_MIXES)
    probe = GeneralProbe(
        prepared.start.model,
        start,
        prepared.start.tokenizer,
        prepared.start.preprocessing,
        towers=model.towers,
    )

    def evaluate(weights: Weights) -> SweepScore:
        score = SweepScore(_score(model, domain, weights), probe.measure(weights).score)
        progress.advance(1)
        return score

    found = sweep(start, tuned, evaluate, kept_share=prepared.options.kept_share)
    progress.note(found.reason)
    mixed = interpolate(start, tuned, found.chosen.alpha)
    export_model(prepared.start, mixed, space.out)
    written = Tuned(
        steps=result.step,
        best_step=result.best_step,
        seconds=result.seconds,
        sweep=found,
        general_start=probe.start,
        general_tuned=probe.measure(mixed),
    )
    space.save(written)
    return written


def _score(model: FineTuneModel, domain: DomainSet, weights: Weights | None) -> float:
    """On the validation split, under these weights; None: those that are being trained."""
    return domain.score(
        lambda items, texts: (
            model.encode_items("image", items, weights),
            model.encode_texts(texts, weights),
        )
    )


def _search(
    prepared: Preparation, asked: FinetuneOptions, space: Workspace, progress: ProgressListener
) -> TrialsReport:
    """Each trial is a training of full length, unless it is pruned, whose weights are not kept."""
    domain = prepared.validation_set()

    def attempt(options: FinetuneOptions, report: Report) -> float:
        trial = prepared.with_options(options)
        model = trial.trainee(space.work / "activations", NullProgress())
        looks = 0

        def validate() -> float:
            nonlocal looks
            score = _score(model, domain, None)
            report(looks, score)
            looks += 1
            return score

        with TemporaryDirectory() as name, MetricsLog(Path(name) / "metrics.jsonl") as log:
            wanted = replace(loop_options(trial), checkpoint_every=0, tensorboard=False)
            result = run_loop(
                trial.mining(model), validate, wanted, Path(name), log, NullProgress()
            )
        if result.stopped:
            raise Interrupted(
                "stopped; the trials that were finished are kept: run it again with "
                f"`out='{space.out}'` and `resume=True` to go on"
            )
        return result.best_score

    methods = _AUTO_METHODS if asked.method == "auto" else (asked.method,)
    return search_settings(
        asked,
        attempt,
        space.work / "trials.log",
        methods=methods,
        scale=prepared.start.scale,
        progress=progress,
    )


def _in_turn(first: Callable[[], T], then: Callable[[], T] | None = None) -> T:
    """The first process does it, then the others: they find the files that it wrote."""
    if ranks().first:
        made = first()
        wait_for_all()
        return made
    wait_for_all()
    return (then or first)()


def _batch_of(model: FineTuneModel, step: int) -> str:
    items = model.sampler.draw(step).items.tolist()
    keys = [model.sampler.catalog.items[place].key for place in items[:_SHOWN_KEYS]]
    more = len(items) - len(keys)
    return f"batch of {', '.join(keys)}" + (f" and {more} more" if more > 0 else "")


def _require_extras(options: FinetuneOptions) -> None:
    """Before hours of training."""
    if options.trials:
        require("optuna", extra="train", purpose="`trials`")
    if options.tensorboard:
        require("tensorboard", extra="train", purpose="`tensorboard`")
