"""A finished training is measured on the test split, and told: report.html, the card, outcome.json.

The model is read back from its folder first, so that what is measured is what will be used.
"""

from collections.abc import Sequence
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path

from mmsearch.encoders.model_zoo import MODELS
from mmsearch.encoders.registry import load_encoder
from mmsearch.evaluation.results import Evaluation
from mmsearch.evaluation.run import EvaluationOptions, evaluate_labelled
from mmsearch.finetuning.data.training_set import SplitName
from mmsearch.finetuning.fusion.scores import FusionTable
from mmsearch.finetuning.options import FinetuneOptions
from mmsearch.finetuning.preparation import Preparation
from mmsearch.finetuning.report.card import write_card_file
from mmsearch.finetuning.report.outcome import Curves, Outcome
from mmsearch.finetuning.report.page import write_run_page
from mmsearch.finetuning.scoring.domain import SCORE_NAME, labelled
from mmsearch.finetuning.workspace import Tuned, Workspace
from mmsearch.progress import ProgressListener
from mmsearch.records import Scalar, printable_path
from mmsearch.training.loop import STAGE, VALIDATION
from mmsearch.training.metrics_log import read_metrics

# As STAGE and VALIDATION name them for the training before.
REFIT_STAGES = ("refit", "refit-validation")


def report_on(
    prepared: Preparation,
    tuned: Tuned,
    space: Workspace,
    progress: ProgressListener,
    *,
    roots: Sequence[Path],
    fusion: FusionTable | None,
) -> Outcome:
    """Measures, and writes what is to be read beside the model."""
    split: SplitName = "test" if len(prepared.split.test) else "val"
    test = measure_before_and_after(prepared, space, split, progress)
    options = prepared.options
    notes = [*prepared.catalog.notes, *prepared.split.notes, *test.notes]
    if split == "val":
        notes.append("no test split was asked for: measured on val, which chose the settings too")
    outcome = Outcome(
        name=space.out.name,
        start=options.model,
        licence=_licence(options.model),
        method=options.method,
        data=[printable_path(root) for root in roots],
        counts=prepared.counts(),
        split=prepared.split_sizes(),
        settings=_settings(options),
        device=prepared.device.name,
        steps=tuned.steps,
        seconds=tuned.seconds,
        curves=read_curves(space.metrics),
        sweep=tuned.sweep,
        general_start=tuned.general_start,
        general_tuned=tuned.general_tuned,
        test=test,
        fusion=fusion,
        notes=notes,
    )
    outcome.verdict.save(space.out)
    write_card_file(outcome, space.out)
    if find_spec("matplotlib"):
        write_run_page(outcome, space.report)
    else:
        progress.note("no report.html: plots need Matplotlib; pip install 'mmsearch[train]'")
    return outcome


def measure_before_and_after(
    prepared: Preparation, space: Workspace, split: SplitName, progress: ProgressListener
) -> Evaluation:
    """models[0] is the start, models[1] the tuned one."""
    options, catalog = prepared.options, prepared.catalog
    size = prepared.device.batch_size
    return evaluate_labelled(
        labelled(catalog, prepared.split.of(split), grouped=options.group is not None),
        [options.model, printable_path(space.out)],
        lambda name: load_encoder(name, device=prepared.device.name, batch_size=size),
        EvaluationOptions(
            classes=options.classes,
            class_names=catalog.classes,
            group=options.group,
            templates=options.templates,
            batch_size=size,
            bounds=prepared.bounds,
        ),
        sources=[f"{split} split"],
        progress=progress,
    )


def read_curves(metrics: Path) -> Curves:
    """From metrics.jsonl. Steps count from 1, and go on counting where projections are refitted."""
    lines = read_metrics(metrics)
    before = max((line["step"] + 1 for line in lines if line["stage"] == STAGE), default=0)
    begins = {STAGE: 0, VALIDATION: 0, **dict.fromkeys(REFIT_STAGES, before)}
    steps = [(line, begins.get(line["stage"], 0) + line.get("step", 0)) for line in lines]
    losses, scores = (STAGE, REFIT_STAGES[0]), (VALIDATION, REFIT_STAGES[1])
    return Curves(
        losses=[(step + 1, line["loss"]) for line, step in steps if line["stage"] in losses],
        scores=[(step, line[SCORE_NAME]) for line, step in steps if line["stage"] in scores],
        score_name=SCORE_NAME,
    )


def _licence(model: str) -> str:
    known = {each.name: each.licence for each in MODELS}
    return known.get(model, "unknown")


def _settings(options: FinetuneOptions) -> dict[str, Scalar]:
    """As words and numbers, without what was left out."""
    return {
        name: value if isinstance(value, bool | int | float | str) else _words(value)
        for name, value in asdict(options).items()
        if value is not None
    }


def _words(value: object) -> str:
    return " | ".join(map(str, value)) if isinstance(value, tuple | list) else str(value)
