"""The report of a fine-tuning as one self-contained HTML page."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mmsearch.evaluation.results import Evaluation, HardQuery
from mmsearch.finetuning.fusion.scores import IMAGE_ONLY, MISSING, TEXT_ONLY, FusionTable
from mmsearch.finetuning.report.results import (
    HEADLINES,
    JUDGED_PARTS,
    FinetuneReport,
    metrics_by_part,
)
from mmsearch.report.evaluation_page import (
    cell_of,
    class_panel,
    inline_examples,
    sections,
    shown_query,
)
from mmsearch.report.page import render_page, write_page
from mmsearch.report.plots import Plot, require_matplotlib
from mmsearch.report.run_plots import loss_curve, score_curve, sweep_plot
from mmsearch.report.titles import value_text
from mmsearch.text import one_line

_EXAMPLES = 6
_FUSION_METRICS = ("recall@1", "recall@10", "MRR")


@dataclass(frozen=True, slots=True)
class _Headline:
    """A main metric. before, after: from `cell_of`. kind: better, worse or even."""

    part: str
    metric: str
    before: object
    after: object
    change: str
    kind: str


def write_run_page(report: FinetuneReport, path: Path) -> None:
    """Writes the page. Raises InputError, or MissingDependency without Matplotlib."""
    write_page(render_run(report), path, what="report")


def render_run(report: FinetuneReport) -> str:
    """Returns the page. Raises MissingDependency without Matplotlib."""
    require_matplotlib()
    names = [one_line(report.start), one_line(report.name)]
    test = _named(report.test, names)
    return render_page(
        "finetuning",
        styles=["gallery", "evaluation", "finetuning"],
        outcome=report,
        title=names[1],
        models=names,
        data=[one_line(Path(source).name or source) for source in report.data],
        minutes=_duration(report.seconds),
        headlines=_headlines(test),
        faults=report.comparison.regressions(),
        training=_training_plots(report),
        sweep=_sweep(report),
        general=[
            (name, value, report.general_tuned.parts[name])
            for name, value in report.general_start.parts.items()
        ],
        sections=list(sections(test, hardest_of=1)),
        examples=_examples(test),
        classes=class_panel(test, weakest_of=1),
        fusion=_fusion_rows(report.fusion),
        fusion_metrics=_FUSION_METRICS,
        fusion_changes=report.fusion.differences if report.fusion else (),
        missing=MISSING,
        settings=[(name, value_text(value)) for name, value in report.settings.items()],
        notes=[one_line(note) for note in report.notes],
    )


def _named(test: Evaluation, names: Sequence[str]) -> Evaluation:
    """Returns the evaluation under the names that the page uses for the models."""
    return replace(
        test,
        models=[replace(model, model=name) for model, name in zip(test.models, names, strict=True)],
        differences=[replace(each, model=names[1]) for each in test.differences],
    )


def _headlines(test: Evaluation) -> list[_Headline]:
    before, after = (metrics_by_part(model) for model in test.models)
    return [
        _Headline(
            d.part.replace("-to-", " → "),
            d.metric,
            cell_of(d.metric, before[d.part][d.metric]),
            cell_of(d.metric, after[d.part][d.metric]),
            f"{d.value:+.3f}",
            "better" if d.low > 0 else "worse" if d.high < 0 else "even",
        )
        for d in test.differences
        if d.metric in HEADLINES and d.part in JUDGED_PARTS
    ]


def _training_plots(report: FinetuneReport) -> list[tuple[str, Plot]]:
    curves = report.curves
    plots = []
    if curves.losses:
        plots.append(("Training loss", loss_curve(curves.losses)))
    if curves.scores:
        name = curves.score_name
        plots.append((f"Validation {name}", score_curve(curves.scores, name)))
    return plots


def _sweep(report: FinetuneReport) -> Plot | None:
    found = report.sweep
    if found is None:
        return None
    points = [(p.alpha, p.score.in_domain, p.score.general) for p in found.points]
    return sweep_plot(points, list(found.points).index(found.chosen), found.kept_share)


def _examples(test: Evaluation) -> list[tuple[str, list[tuple[object, object]]]]:
    """Returns the original model's hardest queries by direction, before and after."""
    pairs = [
        (before.title, list(zip(before.hardest, after.same, strict=True))[:_EXAMPLES])
        for before, after in zip(test.models[0].retrieval, test.models[1].retrieval, strict=True)
    ]
    every: list[HardQuery] = [query for _, found in pairs for pair in found for query in pair]
    images = inline_examples(every)
    return [
        (title, [(shown_query(one, images), shown_query(two, images)) for one, two in found])
        for title, found in pairs
        if found
    ]


def _fusion_rows(table: FusionTable | None) -> list[tuple[str, list[object]]]:
    """Returns each way to search with its metrics, with all texts and then with some missing."""
    if table is None:
        return []
    names = dict.fromkeys([IMAGE_ONLY, TEXT_ONLY, *(score.name for score in table.scores)])
    return [
        (
            name,
            [
                cell_of(metric, table.score(name, missing=missing).metrics[metric])
                for missing in (0.0, MISSING)
                for metric in _FUSION_METRICS
            ],
        )
        for name in names
    ]


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes:,} min {rest} s" if minutes else f"{rest} s"
