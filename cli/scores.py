"""An evaluation as tables for people, and as the document that --json prints."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from mmsearch.evaluation.results import (
    ClassificationScores,
    Difference,
    Estimate,
    Evaluation,
    IndexScores,
    ModelScores,
    RetrievalScores,
    metric_text,
)
from mmsearch.report.titles import visible

ZERO_SHOT = "zero-shot"
_MOST_CONFUSED = 5
# A p-value under this is marked; with many metrics at once some will fall under it by chance.
_LEVEL = 0.05


def score_tables(evaluation: Evaluation) -> Iterator[Text | Table]:
    """Each under its heading: the directions with a column per model, the classes, the index."""
    for place, scores in enumerate(evaluation.models[0].retrieval):
        title = f"{scores.title} · {scores.queries:,} queries · {scores.candidates:,} candidates"
        columns = [model.retrieval[place].metrics for model in evaluation.models]
        yield heading(title)
        yield _metric_table(scores.direction, columns, evaluation)
    named = [m.classification for m in evaluation.models if m.classification]
    if named:
        title = f"zero-shot · {named[0].images:,} pictures · {len(named[0].classes):,} classes"
        yield heading(title)
        yield _metric_table(ZERO_SHOT, [each.metrics for each in named], evaluation)
        if confused := named[0].confused(_MOST_CONFUSED):
            yield heading(f"most often confused by {visible(evaluation.models[0].model)}")
            yield _confusion_table(confused)
    if evaluation.index:
        yield heading("live index · what it loses against an exact search of its own vectors")
        yield _index_table(evaluation.index)


def score_document(evaluation: Evaluation) -> dict[str, Any]:
    """Without the resamples; directions, metrics and classes by name."""
    return {
        "sources": evaluation.sources,
        "items": evaluation.items,
        "pictures": evaluation.images,
        "texts": evaluation.texts,
        "confidence": 0.95,
        "models": [_model(model) for model in evaluation.models],
        "differences": evaluation.differences,
        "index": [_index(scores) for scores in evaluation.index],
        "failures": evaluation.failures,
        "notes": evaluation.notes,
    }


def _model(scores: ModelScores) -> dict[str, Any]:
    return {
        "model": scores.model,
        "space": scores.space,
        "seconds": scores.seconds,
        "truncated_texts": scores.truncated_texts,
        "retrieval": {each.direction: _retrieval(each) for each in scores.retrieval},
        "zero_shot": _classification(scores.classification) if scores.classification else None,
    }


def _retrieval(scores: RetrievalScores) -> dict[str, Any]:
    return {
        "queries": scores.queries,
        "candidates": scores.candidates,
        "metrics": _estimates(scores.metrics),
        "recall_curve": {"k": scores.ks, "recall": scores.curve},
        "hardest": scores.hardest,
    }


def _classification(scores: ClassificationScores) -> dict[str, Any]:
    return {
        "pictures": scores.images,
        "templates": scores.templates,
        "metrics": _estimates(scores.metrics),
        "classes": scores.classes,
        "confusion": scores.confusion.tolist(),
    }


def _index(scores: IndexScores) -> dict[str, Any]:
    return {
        "query": scores.query,
        "target": scores.target,
        "kind": scores.kind,
        "vectors": scores.vectors,
        "queries": scores.queries,
        "recall@10 of exact search": _estimate(scores.recall_at_10),
        "labelled_queries": scores.labelled_queries,
        "labelled recall@10, exact": _estimate(scores.exact) if scores.exact else None,
        "labelled recall@10, live": _estimate(scores.live) if scores.live else None,
    }


def _estimates(metrics: Mapping[str, Estimate]) -> dict[str, Any]:
    return {name: _estimate(value) for name, value in metrics.items()}


def _estimate(value: Estimate) -> dict[str, float]:
    return {"value": value.value, "low": value.low, "high": value.high}


def _metric_table(
    part: str, columns: Sequence[Mapping[str, Estimate]], evaluation: Evaluation
) -> Table:
    table = plain_table()
    table.add_column("metric", no_wrap=True)
    for model in evaluation.models:
        table.add_column(Text(visible(model.model)), justify="right", overflow="fold")
    others = [model.model for model in evaluation.models[1:]]
    for other in others:
        table.add_column(Text(f"{visible(other)} − {visible(evaluation.models[0].model)}"))
    found = {(d.model, d.metric): d for d in evaluation.differences if d.part == part}
    for name in columns[0]:
        table.add_row(
            name,
            *(estimate_cell(name, column[name]) for column in columns),
            *(difference_cell(found[other, name]) for other in others),
        )
    return table


def _confusion_table(confused: Sequence[tuple[str, str, int]]) -> Table:
    table = plain_table()
    table.add_column("class")
    table.add_column("taken for")
    table.add_column("pictures", justify="right")
    for actual, predicted, count in confused:
        table.add_row(Text(visible(actual)), Text(visible(predicted)), f"{count:,}")
    return table


def _index_table(scores: Sequence[IndexScores]) -> Table:
    table = plain_table()
    for name in (
        "search",
        "index",
        "vectors",
        "queries",
        "recall@10 of exact",
        "labelled recall@10",
    ):
        table.add_column(name, justify="left" if name in ("search", "index") else "right")
    for each in scores:
        labelled = "–"
        if each.exact and each.live:
            labelled = f"{each.live.value:.3f} (exact {each.exact.value:.3f})"
        table.add_row(
            f"{each.query} → {each.target}",
            each.kind,
            f"{each.vectors:,}",
            f"{each.queries:,}",
            estimate_cell("recall", each.recall_at_10),
            labelled,
        )
    return table


def heading(text: str) -> Text:
    return Text(f"\n{text}\n", style="bold cyan")


def plain_table() -> Table:
    return Table(
        box=box.SIMPLE_HEAD,
        padding=(0, 2, 0, 0),
        pad_edge=False,
        show_edge=False,
        header_style="bold",
    )


def estimate_cell(metric: str, value: Estimate) -> Text:
    low, high = metric_text(metric, value.low), metric_text(metric, value.high)
    return Text.assemble(metric_text(metric, value.value), (f" {low}–{high}", "dim"))


def difference_cell(found: Difference) -> Text:
    value, low, high = (
        metric_text(found.metric, each, signed=True)
        for each in (found.value, found.low, found.high)
    )
    style = "bold" if found.p_value < _LEVEL else ""
    return Text.assemble((value, style), (f" {low} to {high}, p {found.p_value:.3f}", "dim"))
