"""A fine-tuning as one self-contained HTML page: what changed, for whom, and at what cost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from markupsafe import Markup

from mmsearch.evaluation.results import Estimate, Evaluation, HardQuery
from mmsearch.finetuning.fusion.scores import IMAGE_ONLY, MISSING, TEXT_ONLY, FusionTable
from mmsearch.finetuning.report.outcome import HEADLINES, JUDGED_PARTS, Outcome
from mmsearch.report.evaluation_page import (
    cell_of,
    class_panel,
    inline_examples,
    sections,
    shown_query,
)
from mmsearch.report.page import csp_hash, page_environment, template_file, write_page
from mmsearch.report.plots import Plot, require_matplotlib
from mmsearch.report.run_plots import loss_curve, score_curve, sweep_plot
from mmsearch.report.titles import value_text
from mmsearch.text import one_line

_EXAMPLES = 6
_FUSION_METRICS = ("recall@1", "recall@10", "MRR")


@dataclass(frozen=True, slots=True)
class _Headline:
    """before, after: as `cell_of` makes; kind: better, worse or even, by the paired interval."""

    part: str
    metric: str
    before: object
    after: object
    change: str
    kind: str


@dataclass(frozen=True, slots=True)
class _Example:
    """A query that was hard for the start. before, after: as `shown_query` makes."""

    before: object
    after: object


@dataclass(frozen=True, slots=True)
class _FusionRow:
    """cells: by metric, complete and then with texts missing."""

    name: str
    cells: Sequence[object]


def write_run_page(outcome: Outcome, path: Path) -> None:
    """Raises InputError if it cannot be written, MissingDependency without Matplotlib."""
    write_page(render_run(outcome), path, what="report")


def render_run(outcome: Outcome) -> str:
    """The page as text. Raises MissingDependency without Matplotlib."""
    require_matplotlib()
    names = [one_line(outcome.start), one_line(outcome.name)]
    test = _named(outcome.test, names)
    style = "".join(
        template_file(f"{name}.css") for name in ("gallery", "evaluation", "finetuning")
    )
    return (
        page_environment()
        .get_template("finetuning.html.jinja")
        .render(
            outcome=outcome,
            title=names[1],
            models=names,
            data=[one_line(Path(source).name or source) for source in outcome.data],
            minutes=_duration(outcome.seconds),
            headlines=_headlines(test),
            faults=outcome.verdict.regressions(),
            training=_training_plots(outcome),
            sweep=_sweep(outcome),
            general=[
                (name, value, outcome.general_tuned.parts[name])
                for name, value in outcome.general_start.parts.items()
            ],
            sections=list(sections(test, hardest_of=1)),
            examples=_examples(test),
            classes=class_panel(test, weakest_of=1),
            fusion=_fusion_rows(outcome.fusion),
            fusion_metrics=_FUSION_METRICS,
            fusion_changes=outcome.fusion.differences if outcome.fusion else (),
            missing=MISSING,
            settings=[(name, value_text(value)) for name, value in outcome.settings.items()],
            notes=[one_line(note) for note in outcome.notes],
            style=Markup(style),  # noqa: S704 - our own files, not data
            style_hash=csp_hash(style),
        )
    )


def _named(test: Evaluation, names: Sequence[str]) -> Evaluation:
    """The test under the names that the page uses instead of the places of models."""
    return replace(
        test,
        models=[replace(model, model=name) for model, name in zip(test.models, names, strict=True)],
        differences=[replace(each, model=names[1]) for each in test.differences],
    )


def _headlines(test: Evaluation) -> list[_Headline]:
    before, after = (_metrics(test, place) for place in (0, 1))
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


def _metrics(test: Evaluation, place: int) -> Mapping[str, Mapping[str, Estimate]]:
    model = test.models[place]
    found: dict[str, Mapping[str, Estimate]] = {
        scores.direction: scores.metrics for scores in model.retrieval
    }
    named = {"zero-shot": model.classification.metrics} if model.classification else {}
    return {**found, **named}


def _training_plots(outcome: Outcome) -> list[tuple[str, Plot]]:
    curves = outcome.curves
    plots = []
    if curves.losses:
        plots.append(("Training loss", loss_curve(curves.losses)))
    if curves.scores:
        name = curves.score_name
        plots.append((f"Validation {name}", score_curve(curves.scores, name)))
    return plots


def _sweep(outcome: Outcome) -> Plot | None:
    found = outcome.sweep
    if found is None:
        return None
    points = [(p.alpha, p.score.in_domain, p.score.general) for p in found.points]
    return sweep_plot(points, list(found.points).index(found.chosen), found.kept_share)


def _examples(test: Evaluation) -> list[tuple[str, list[_Example]]]:
    """By direction: the start's hardest queries, before and after."""
    pairs = [
        (before.title, list(zip(before.hardest, after.same, strict=True))[:_EXAMPLES])
        for before, after in zip(test.models[0].retrieval, test.models[1].retrieval, strict=True)
    ]
    every: list[HardQuery] = [query for _, found in pairs for pair in found for query in pair]
    pictures = inline_examples(every)
    return [
        (title, [_Example(*(shown_query(query, pictures) for query in pair)) for pair in found])
        for title, found in pairs
        if found
    ]


def _fusion_rows(table: FusionTable | None) -> list[_FusionRow]:
    if table is None:
        return []
    names = dict.fromkeys(score.name for score in table.scores)
    order = [IMAGE_ONLY, TEXT_ONLY, *(n for n in names if n not in (IMAGE_ONLY, TEXT_ONLY))]
    return [
        _FusionRow(
            name,
            [
                cell_of(metric, table.score(name, missing=missing).metrics[metric])
                for missing in (0.0, MISSING)
                for metric in _FUSION_METRICS
            ],
        )
        for name in order
    ]


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes:,} min {rest} s" if minutes else f"{rest} s"
