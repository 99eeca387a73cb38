"""The result of a fine-tuning, as tables, in one sentence, and as the document of --json."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from mmsearch.cli.evaluation.score_tables import difference_cell, estimate_cell, heading
from mmsearch.cli.output.progress import clock_text
from mmsearch.cli.output.render import counted, plain_table
from mmsearch.evaluation.results import Difference, Estimate, Evaluation
from mmsearch.text import visible

if TYPE_CHECKING:
    from mmsearch.finetuning.run import Finetuned, FinetunePlan

# The metrics shown; outcome.json and the report have the rest.
_SHOWN = ("recall@1", "recall@10", "MRR", "accuracy", "macro F1")


def finetuned_tables(found: "Finetuned") -> Iterator[Text | Table]:
    """Yields the tables of test results and general accuracy, before and after."""
    outcome = found.outcome
    yield heading(f"test split · {counted(outcome.split.get('test', 0), 'item')}")
    yield comparison_table(outcome.test)
    yield heading("general accuracy · the sample catalog")
    yield _general(outcome.general_start.parts, outcome.general_tuned.parts)


def summary(found: "Finetuned") -> str:
    """Returns what the fine-tuning gained and lost, as a sentence."""
    sweep, worse = found.outcome.sweep, found.outcome.comparison.regressions()
    if sweep is None:
        return f"worse than the original model: {worse[0]}" if worse else "fine-tuning is done"
    start, chosen = sweep.points[0].score, sweep.chosen.score
    if sweep.chosen.alpha == 0:
        return (
            "no improvement: the original weights are kept; more items, --classes or another "
            "--method may help"
        )
    kept = (
        f"kept {sweep.chosen.alpha:.0%} of what was learned: your catalog {start.in_domain:.3f} → "
        f"{chosen.in_domain:.3f}, general accuracy {sweep.general_kept:.1%} of before"
    )
    return f"{kept}; but {worse[0]}" if worse else kept


def finetuned_document(found: "Finetuned") -> dict[str, Any]:
    """Returns the JSON document of a fine-tuning."""
    outcome = found.outcome
    return {
        "folder": found.folder,
        "method": outcome.method,
        "steps": outcome.steps,
        "seconds": outcome.seconds,
        "counts": _with_old_name(outcome.counts),
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


def plan_document(plan: "FinetunePlan") -> dict[str, Any]:
    """The plan as JSON."""
    return {**asdict(plan), "counts": _with_old_name(plan.counts)}


def _with_old_name(counts: Mapping[str, int]) -> dict[str, int]:
    """Returns the counts with that of images under its old name too, for one version."""
    return {**counts, "pictures": counts["images"]}


def plan_text(plan: "FinetunePlan") -> str:
    """Returns what a fine-tuning would do, a line per fact."""
    counts = ", ".join(f"{count:,} {name}" for name, count in plan.counts.items() if count)
    split = ", ".join(f"{name} {count:,}" for name, count in plan.split.items())
    lines = (
        "dry run: nothing was written",
        f"read: {counts}",
        f"split: {split}",
        f"train: {plan.method}, {plan.steps:,} steps of {plan.batch_size:,} items, learning rate "
        f"{plan.learning_rate:g}, on {plan.device}",
        f"time: about {clock_text(plan.seconds)}, mostly in the image tower",
        f"would write: {visible(str(plan.folder))}",
    )
    return "".join(f"{line}\n" for line in lines)


def comparison_table(test: Evaluation) -> Table:
    """A section per direction, since its name and the metric's would not fit into one column."""
    table = _table("metric", "before", "after", "change")
    changes: dict[str, dict[str, Difference]] = defaultdict(dict)
    for each in test.differences:
        changes[each.part][each.metric] = each
    before, after = test.models[0], test.models[-1]
    for ours, theirs in zip(after.retrieval, before.retrieval, strict=True):
        _section(table, ours.title, (theirs.metrics, ours.metrics), changes[ours.direction])
    if before.classification and after.classification:
        metrics = (before.classification.metrics, after.classification.metrics)
        _section(table, "zero-shot", metrics, changes["zero-shot"])
    return table


def _section(
    table: Table,
    title: str,
    metrics: tuple[Mapping[str, Estimate], Mapping[str, Estimate]],
    changes: Mapping[str, Difference],
) -> None:
    """Adds the rows of one direction. metrics: before and after."""
    before, after = metrics
    table.add_row(Text(title, style="bold"))
    for name in _SHOWN:
        if name in before:
            table.add_row(
                f"  {name}",
                estimate_cell(name, before[name]),
                estimate_cell(name, after[name]),
                difference_cell(changes[name]),
            )


def _general(before: Mapping[str, float], after: Mapping[str, float]) -> Table:
    table = _table("metric", "before", "after", "change")
    for name, value in before.items():
        table.add_row(name, f"{value:.3f}", f"{after[name]:.3f}", f"{after[name] - value:+.3f}")
    return table


def _table(*columns: str) -> Table:
    table = plain_table()
    for name in columns:
        first = name == "metric"
        table.add_column(name, justify="left" if first else "right", no_wrap=first)
    return table
