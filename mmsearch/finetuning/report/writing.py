"""Evaluates a finished training on the test split and writes report.html, card and outcome.json.

The model is loaded from its folder, so that what is evaluated is what will be used.
"""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from mmsearch.encoders.model_zoo import MODELS
from mmsearch.encoders.registry import load_encoder
from mmsearch.evaluation.results import Evaluation
from mmsearch.evaluation.run import EvaluationOptions, evaluate_labelled
from mmsearch.finetuning.data.training_set import SplitName
from mmsearch.finetuning.fusion.scores import FusionTable
from mmsearch.finetuning.preparation import Preparation
from mmsearch.finetuning.report.card import write_card_file
from mmsearch.finetuning.report.page import write_run_page
from mmsearch.finetuning.report.results import FinetuneReport, TrainingCurves
from mmsearch.finetuning.resolved import ResolvedOptions
from mmsearch.finetuning.scoring import SCORE_NAME, labelled
from mmsearch.finetuning.workspace import TrainingResult, Workspace
from mmsearch.progress import ProgressListener
from mmsearch.records import Scalar, printable_path
from mmsearch.training.loop import STAGE, VALIDATION
from mmsearch.training.metrics_log import read_metrics

# Names of the refit in the log, as STAGE and VALIDATION are those of the training.
REFIT_STAGES = ("refit", "refit-validation")


def report_on(
    prepared: Preparation,
    result: TrainingResult,
    workspace: Workspace,
    progress: ProgressListener,
    *,
    roots: Sequence[Path],
    fusion: FusionTable | None,
) -> FinetuneReport:
    """Evaluates, and writes the report beside the model."""
    split: SplitName = "test" if len(prepared.split.test) else "val"
    test = evaluate_both(prepared, workspace, split, progress)
    notes = [*prepared.training_set.notes, *prepared.split.notes, *test.notes]
    if split == "val":
        notes.append("no test split: evaluated on val, on which settings were chosen")
    start, licences = prepared.options.model.name, {each.name: each.licence for each in MODELS}
    report = FinetuneReport(
        name=workspace.out.name,
        start=start,
        licence=licences.get(start, "unknown"),
        method=prepared.options.model.method,
        data=[printable_path(root) for root in roots],
        counts=prepared.counts(),
        split=prepared.split_sizes(),
        settings=_settings(prepared.options),
        device=prepared.device.name,
        steps=result.steps,
        seconds=result.seconds,
        curves=read_curves(workspace.metrics),
        sweep=result.sweep,
        general_start=result.general_start,
        general_tuned=result.general_tuned,
        test=test,
        fusion=fusion,
        notes=notes,
    )
    report.comparison.save(workspace.out)
    write_card_file(report, workspace.out)
    if find_spec("matplotlib"):
        write_run_page(report, workspace.report)
    else:
        progress.note("report.html needs Matplotlib: pip install 'mmsearch[train]'")
    return report


def evaluate_both(
    prepared: Preparation, workspace: Workspace, split: SplitName, progress: ProgressListener
) -> Evaluation:
    """Evaluates the original model, then the tuned one."""
    data = prepared.options.data
    size = prepared.device.batch_size
    return evaluate_labelled(
        labelled(prepared.training_set, prepared.split.of(split), grouped=data.group is not None),
        [prepared.options.model.name, printable_path(workspace.out)],
        lambda name: load_encoder(name, device=prepared.device.name, batch_size=size),
        EvaluationOptions(
            classes=data.classes,
            class_names=prepared.training_set.classes,
            group=data.group,
            templates=data.templates,
            batch_size=size,
            bounds=prepared.bounds,
        ),
        sources=[f"{split} split"],
        progress=progress,
    )


def read_curves(metrics: Path) -> TrainingCurves:
    """Reads the curves of a metrics file; steps count from 1 and continue in the refit."""
    lines = read_metrics(metrics)
    before = max((line["step"] + 1 for line in lines if line["stage"] == STAGE), default=0)
    begins = {STAGE: 0, VALIDATION: 0, **dict.fromkeys(REFIT_STAGES, before)}
    steps = [(line, begins.get(line["stage"], 0) + line.get("step", 0)) for line in lines]
    losses, scores = (STAGE, REFIT_STAGES[0]), (VALIDATION, REFIT_STAGES[1])
    return TrainingCurves(
        losses=[(step + 1, line["loss"]) for line, step in steps if line["stage"] in losses],
        scores=[(step, line[SCORE_NAME]) for line, step in steps if line["stage"] in scores],
        score_name=SCORE_NAME,
    )


def _settings(options: ResolvedOptions) -> dict[str, Scalar]:
    """Returns the settings that are not None; other types than numbers as text."""
    settings: dict[str, Scalar] = {}
    for name, value in options.settings().items():
        if isinstance(value, bool | int | float | str):
            settings[name] = value
        elif value is not None:
            settings[name] = " | ".join(map(str, value)) if isinstance(value, tuple) else str(value)
    return settings
