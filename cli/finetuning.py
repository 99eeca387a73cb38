"""What a fine-tuning came to, as tables for people and as the document that --json prints."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from mmsearch.cli.progress import clock_text
from mmsearch.cli.scores import difference_cell, estimate_cell, heading, plain_table
from mmsearch.report.titles import visible
from mmsearch.scores import Difference, Estimate, Evaluation

if TYPE_CHECKING:
    from mmsearch.finetuning.run import Finetuned, FinetunePlan

# What is shown of the test split; outcome.json and the report have the rest.
_SHOWN = ("recall@1", "recall@10", "MRR", "accuracy", "macro F1")


def finetuned_tables(found: "Finetuned") -> Iterator[Text | Table]:
    outcome = found.outcome
    yield heading(f"held back for the comparison · {_counted(outcome.split, 'test')}")
    yield _before_and_after(outcome.test)
    yield heading("general knowledge · the sample catalog")
    yield _general(outcome.general_start.parts, outcome.general_tuned.parts)
    if outcome.sweep is not None:
        yield Text(f"\nchosen: {outcome.sweep.reason}")


def finetuned_document(found: "Finetuned") -> dict[str, Any]:
    outcome = found.outcome
    return {
        "folder": found.folder,
        "method": outcome.method,
        "steps": outcome.steps,
        "seconds": outcome.seconds,
        "counts": outcome.counts,
        "split": outcome.split,
        "settings": outcome.settings,
        "alpha": outcome.sweep.chosen.alpha if outcome.sweep else 1.0,
        "sweep": outcome.sweep,
        "general": {
            "before": outcome.general_start.parts,
            "after": outcome.general_tuned.parts,
        },
        "test": [
            {
                "part": change.part,
                "metric": change.metric,
                "before": change.before,
                "after": change.after,
                "low": change.low,
                "high": change.high,
                "p_value": change.p_value,
            }
            for change in outcome.comparison.changes
        ],
        "regressions": outcome.comparison.regressions(),
        "trials": found.trials,
        "notes": outcome.notes,
    }


def plan_text(plan: "FinetunePlan") -> str:
    counts = ", ".join(f"{count:,} {name}" for name, count in plan.counts.items() if count)
    split = ", ".join(f"{name} {count:,}" for name, count in plan.split.items())
    lines = (
        "dry run: nothing was written",
        f"read: {counts}",
        f"split: {split}",
        f"train: {plan.method}, {plan.steps:,} steps of {plan.batch_size:,} items, rate "
        f"{plan.learning_rate:g}, on {plan.device}",
        f"time: about {clock_text(plan.seconds)}, mostly for pictures in the image tower",
        f"would write: {visible(str(plan.folder))}",
    )
    return "".join(f"{line}\n" for line in lines)


def _before_and_after(test: Evaluation) -> Table:
    table = _table("metric", "before", "after", "change")
    changes = {(each.part, each.metric): each for each in test.differences}
    before, after = test.models[0], test.models[-1]
    for ours, theirs in zip(after.retrieval, before.retrieval, strict=True):
        _rows(table, ours.title, ours.direction, theirs.metrics, ours.metrics, changes)
    if before.classification and after.classification:
        named = (before.classification.metrics, after.classification.metrics)
        _rows(table, "class by title", "zero-shot", *named, changes)
    return table


def _rows(
    table: Table,
    title: str,
    part: str,
    before: Mapping[str, Estimate],
    after: Mapping[str, Estimate],
    changes: Mapping[tuple[str, str], Difference],
) -> None:
    for name in _SHOWN:
        if name in before:
            table.add_row(
                f"{title} {name}",
                estimate_cell(name, before[name]),
                estimate_cell(name, after[name]),
                difference_cell(changes[part, name]),
            )


def _general(before: Mapping[str, float], after: Mapping[str, float]) -> Table:
    table = _table("metric", "before", "after", "change")
    for name, value in before.items():
        table.add_row(name, f"{value:.3f}", f"{after[name]:.3f}", f"{after[name] - value:+.3f}")
    return table


def _counted(split: Mapping[str, int], name: str) -> str:
    return f"{name} split, {split.get(name, 0):,} items"


def _table(*columns: str) -> Table:
    table = plain_table()
    for name in columns:
        table.add_column(name, justify="left" if name == "metric" else "right", no_wrap=True)
    return table
