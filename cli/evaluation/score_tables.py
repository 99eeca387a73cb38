"""An evaluation as tables, and in one sentence."""

from collections.abc import Iterator, Mapping, Sequence

from rich.table import Table
from rich.text import Text

from mmsearch.cli.output.render import MiddleCut, counted, fits, plain_table
from mmsearch.evaluation.results import Difference, Estimate, Evaluation, IndexScores, metric_text
from mmsearch.text import visible

ZERO_SHOT = "zero-shot"
# A difference with a p-value below this is marked; of many metrics, some will be by chance.
LEVEL = 0.05

_MOST_CONFUSED = 5


def score_tables(evaluation: Evaluation, width: int) -> Iterator[Text | Table]:
    """Yields headings and tables: retrieval by direction, classes, the live index."""
    for place, scores in enumerate(evaluation.models[0].retrieval):
        queries = counted(scores.queries, "query", "queries")
        title = f"{scores.title} · {queries} · {counted(scores.candidates, 'candidate')}"
        columns = [model.retrieval[place].metrics for model in evaluation.models]
        yield heading(title)
        yield _metric_table(scores.direction, columns, evaluation, width)
    named = [m.classification for m in evaluation.models if m.classification]
    if named:
        images = counted(named[0].images, "image")
        yield heading(f"zero-shot · {images} · {len(named[0].classes):,} classes")
        yield _metric_table(ZERO_SHOT, [each.metrics for each in named], evaluation, width)
        if confused := named[0].confused(_MOST_CONFUSED):
            yield heading(f"most often confused by {visible(evaluation.models[0].model)}")
            yield _confusion_table(confused)
    if evaluation.index:
        yield heading("live index · compared with exact search of the same vectors")
        yield _index_table(evaluation.index, width)


def summary(evaluation: Evaluation) -> list[str]:
    """Returns what was found and what to do, in a sentence per model."""
    baseline = evaluation.models[0]
    lines = []
    if baseline.retrieval:
        scores = baseline.retrieval[0]
        share = scores.metrics["recall@10"].value
        queries = counted(scores.queries, "query", "queries")
        other = "base" if baseline.model == "builtin" else "MODEL"
        advice = "" if evaluation.models[1:] else f"; --compare {other} measures another model too"
        lines.append(
            f"{scores.title}: a relevant item is among the first 10 for {share:.0%} of "
            f"{queries}{advice}"
        )
    for model in evaluation.models[1:]:
        clear = [
            difference.value if not difference.metric.endswith("rank") else -difference.value
            for difference in evaluation.differences
            if difference.model == model.model and difference.p_value < LEVEL
        ]
        better, worse = (sum(sign * value > 0 for value in clear) for sign in (1, -1))
        total = sum(difference.model == model.model for difference in evaluation.differences)
        if better > worse:
            advice = f"'mmsearch models --promote {model.model}' moves a store to it"
        else:
            advice = f"keep '{baseline.model}'" if worse else "no clear difference"
        lines.append(
            f"'{model.model}' against '{baseline.model}': better in {better:,} and worse in "
            f"{worse:,} of {counted(total, 'metric')} (p < {LEVEL:g}); {advice}"
        )
    return lines


def heading(text: str) -> Text:
    """Returns the title of a table."""
    return Text(f"\n{text}\n", style="bold cyan")


def estimate_cell(metric: str, value: Estimate) -> Text:
    """Returns a metric and its confidence interval."""
    low, high = metric_text(metric, value.low), metric_text(metric, value.high)
    return Text.assemble(metric_text(metric, value.value), (f" {low}–{high}", "dim"))


def difference_cell(found: Difference) -> Text:
    """Returns a difference, its interval and p-value; bold if it is significant."""
    value, low, high = (
        metric_text(found.metric, each, signed=True)
        for each in (found.value, found.low, found.high)
    )
    style = "bold" if found.p_value < LEVEL else ""
    return Text.assemble((value, style), (f" {low} to {high}, p {found.p_value:.3f}", "dim"))


def _metric_table(
    part: str, columns: Sequence[Mapping[str, Estimate]], evaluation: Evaluation, width: int
) -> Table:
    """A column per model; a row per metric and model where that does not fit."""
    table = plain_table()
    table.add_column("metric", no_wrap=True)
    for model in evaluation.models:
        table.add_column(MiddleCut(model.model), justify="right")
    others = [model.model for model in evaluation.models[1:]]
    for other in others:
        table.add_column(MiddleCut(f"{other} − {evaluation.models[0].model}"))
    found = {(d.model, d.metric): d for d in evaluation.differences if d.part == part}
    for name in columns[0]:
        table.add_row(
            name,
            *(estimate_cell(name, column[name]) for column in columns),
            *(difference_cell(found[other, name]) for other in others),
        )
    return table if not others or fits(table, width) else _long_table(columns, evaluation, found)


def _long_table(
    columns: Sequence[Mapping[str, Estimate]],
    evaluation: Evaluation,
    found: Mapping[tuple[str, str], Difference],
) -> Table:
    table = plain_table()
    table.add_column("metric", no_wrap=True)
    table.add_column("model")
    table.add_column("score", min_width=11)
    table.add_column("change", min_width=9)
    for name in columns[0]:
        for model, column in zip(evaluation.models, columns, strict=True):
            difference = found.get((model.model, name))
            table.add_row(
                "" if difference else name,
                MiddleCut(model.model),
                estimate_cell(name, column[name]),
                difference_cell(difference) if difference else "",
            )
    return table


def _confusion_table(confused: Sequence[tuple[str, str, int]]) -> Table:
    table = plain_table()
    table.add_column("class")
    table.add_column("predicted as")
    table.add_column("images", justify="right", no_wrap=True)
    for actual, predicted, count in confused:
        table.add_row(MiddleCut(actual), MiddleCut(predicted), f"{count:,}")
    return table


def _index_table(scores: Sequence[IndexScores], width: int) -> Table:
    """A column per index; one index below the other where that does not fit."""
    rows = [_index_row(each) for each in scores]
    table = plain_table()
    for name in rows[0]:
        table.add_column(name, justify="left" if name in ("search", "index") else "right")
    for row in rows:
        table.add_row(*row.values())
    if fits(table, width):
        return table
    narrow = Table.grid(padding=(0, 2, 0, 0))
    narrow.add_column(no_wrap=True)
    for row in rows:
        for name, value in row.items():
            narrow.add_row(Text(name, style="bold"), value)
        narrow.add_row()
    return narrow


def _index_row(scores: IndexScores) -> dict[str, Text]:
    labelled = "–"
    if scores.exact and scores.live:
        labelled = f"{scores.live.value:.3f} (exact {scores.exact.value:.3f})"
    return {
        "search": Text(f"{scores.query} → {scores.target}"),
        "index": Text(scores.kind),
        "vectors": Text(f"{scores.vectors:,}"),
        "queries": Text(f"{scores.queries:,}"),
        "recall@10 of exact": estimate_cell("recall", scores.recall_at_10),
        "labelled recall@10": Text(labelled),
    }
