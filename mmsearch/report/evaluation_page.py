"""An evaluation as a self-contained HTML page: numbers with intervals, plots, hardest queries."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmsearch.evaluation.results import (
    ClassScore,
    Estimate,
    Evaluation,
    Example,
    HardQuery,
    IndexScores,
    RetrievalScores,
    metric_text,
)
from mmsearch.records import real_path
from mmsearch.report.images import InlineImage, inline_images
from mmsearch.report.page import render_page, write_page
from mmsearch.report.plots import (
    Plot,
    confusion_plot,
    rank_histogram,
    recall_curves,
    require_matplotlib,
)
from mmsearch.text import one_line

# The significance level; the page notes that many metrics are compared.
LEVEL = 0.05
_HARD_QUERIES = 8
_WEAKEST_CLASSES = 15
_CONFUSED = 10
_HEADLINES = ("recall@10", "accuracy")
_PAGE_BYTES = 12 * 2**20


@dataclass(frozen=True, slots=True)
class _Cell:
    """A value with its interval, as text and as positions in percent of a bar; None for ranks."""

    value: str
    low: str
    high: str
    bar: tuple[float, float, float] | None


@dataclass(frozen=True, slots=True)
class _Change:
    value: str
    interval: str
    p_value: str
    kind: str


@dataclass(frozen=True, slots=True)
class _Row:
    metric: str
    cells: Sequence[_Cell]
    changes: Sequence[_Change]


@dataclass(frozen=True, slots=True)
class _Headline:
    """A main metric. others: name, value and change of the models compared with the first."""

    part: str
    metric: str
    cell: _Cell
    others: Sequence[tuple[str, _Cell, _Change]]


@dataclass(frozen=True, slots=True)
class _Shown:
    """An example with its image, if that can still be read."""

    title: str
    image: InlineImage | None
    is_image: bool


@dataclass(frozen=True, slots=True)
class _Hard:
    query: _Shown
    rank: int
    expected: _Shown
    found: Sequence[_Shown]


@dataclass(frozen=True, slots=True)
class _Section:
    """The results of one direction. hard: the hardest queries of the chosen model."""

    title: str
    queries: int
    candidates: int
    rows: Sequence[_Row]
    plots: Sequence[Plot]
    hard: Sequence[_Hard]


@dataclass(frozen=True, slots=True)
class _Classes:
    images: int
    count: int
    templates: Sequence[str]
    rows: Sequence[_Row]
    plots: Sequence[tuple[str, Plot]]
    weakest: Sequence[ClassScore]
    confused: Sequence[tuple[str, str, int]]


@dataclass(frozen=True, slots=True)
class _Index:
    search: str
    scores: IndexScores
    recall: _Cell


def write_evaluation(evaluation: Evaluation, path: Path) -> None:
    """Writes the page atomically. Raises InputError, MissingDependency without Matplotlib."""
    write_page(render_evaluation(evaluation), path, what="report")


def render_evaluation(evaluation: Evaluation) -> str:
    """Renders the page. Raises MissingDependency without Matplotlib."""
    require_matplotlib()
    names = [one_line(model.model) for model in evaluation.models]
    classes = class_panel(evaluation)
    return render_page(
        "evaluation",
        styles=["gallery", "evaluation"],
        title=", ".join(one_line(Path(source).name) for source in evaluation.sources),
        evaluation=evaluation,
        models=names,
        headlines=list(_headlines(evaluation)),
        sections=list(sections(evaluation)),
        classes=classes,
        index=[_index(scores) for scores in evaluation.index],
        notes=[one_line(note) for note in evaluation.notes],
    )


def _headlines(evaluation: Evaluation) -> Iterator[_Headline]:
    """Yields the main metrics of all models."""
    first = evaluation.models[0]
    parts: list[tuple[str, str, list[Mapping[str, Estimate]]]] = [
        (scores.title, scores.direction, [m.retrieval[place].metrics for m in evaluation.models])
        for place, scores in enumerate(first.retrieval)
    ]
    named = [model.classification.metrics for model in evaluation.models if model.classification]
    if named:
        parts.append(("zero-shot", "zero-shot", named))
    others = [one_line(model.model) for model in evaluation.models[1:]]
    for title, part, columns in parts:
        for row in _rows(evaluation, part, columns):
            if row.metric in _HEADLINES:
                rest = zip(others, row.cells[1:], row.changes, strict=True)
                yield _Headline(title, row.metric, row.cells[0], list(rest))


def sections(evaluation: Evaluation, *, hardest_of: int = 0) -> Iterator[_Section]:
    """Yields a section per direction for `measures.html.jinja`. hardest_of: a model's position."""
    shown = evaluation.models[hardest_of]
    images = inline_examples(query for each in shown.retrieval for query in _hardest(each))
    for place, scores in enumerate(shown.retrieval):
        by_model = {one_line(m.model): m.retrieval[place] for m in evaluation.models}
        yield _Section(
            scores.title,
            scores.queries,
            scores.candidates,
            _rows(evaluation, scores.direction, [each.metrics for each in by_model.values()]),
            [
                recall_curves({name: (each.ks, each.curve) for name, each in by_model.items()}),
                rank_histogram({name: each.first_ranks for name, each in by_model.items()}),
            ],
            [shown_query(query, images) for query in _hardest(scores)],
        )


def _hardest(scores: RetrievalScores) -> Sequence[HardQuery]:
    return scores.hardest[:_HARD_QUERIES]


def inline_examples(queries: Iterable[HardQuery]) -> dict[str, InlineImage | None]:
    """Returns the examples' images by uri, within a bound on their total size."""
    shown = [e.uri for q in queries for e in (q.query, q.expected, *q.found) if e.uri]
    distinct = list(dict.fromkeys(shown))
    share = _PAGE_BYTES * len(distinct) // max(len(shown), 1)
    images = inline_images([real_path(uri) for uri in distinct], max_bytes=share, edge=192)
    return dict(zip(distinct, images, strict=True))


def shown_query(query: HardQuery, images: Mapping[str, InlineImage | None]) -> _Hard:
    """Prepares a query for the page. images: as `inline_examples` returns them."""

    def shown(example: Example) -> _Shown:
        title = one_line(example.title)
        return _Shown(title, images.get(example.uri), bool(example.uri))

    return _Hard(
        shown(query.query), query.rank, shown(query.expected), [shown(e) for e in query.found]
    )


def class_panel(evaluation: Evaluation, *, weakest_of: int = 0) -> _Classes | None:
    """Prepares the classification panel, None without one.

    weakest_of: the position of the model whose errors are listed.
    """
    named = {
        one_line(model.model): model.classification
        for model in evaluation.models
        if model.classification
    }
    if not named:
        return None
    base = list(named.values())[weakest_of]
    titles = [one_line(each.title) for each in base.classes]
    present = [each for each in base.classes if each.images]
    return _Classes(
        base.images,
        len(base.classes),
        [one_line(template) for template in base.templates],
        _rows(evaluation, "zero-shot", [each.metrics for each in named.values()]),
        [(name, confusion_plot(each.confusion, titles)) for name, each in named.items()],
        sorted(present, key=lambda each: (each.f1, each.name))[:_WEAKEST_CLASSES],
        base.confused(_CONFUSED),
    )


def _rows(
    evaluation: Evaluation, part: str, columns: Sequence[Mapping[str, Estimate]]
) -> list[_Row]:
    found = {(d.model, d.metric): d for d in evaluation.differences if d.part == part}
    rows = []
    for name in columns[0]:
        changes = []
        for model in evaluation.models[1:]:
            d = found[model.model, name]
            value, low, high = (
                metric_text(name, each, signed=True) for each in (d.value, d.low, d.high)
            )
            better = (d.value < 0) == name.endswith("rank")
            kind = "even" if d.p_value >= LEVEL else "better" if better else "worse"
            changes.append(_Change(value, f"{low} to {high}", f"{d.p_value:.3f}", kind))
        rows.append(_Row(name, [cell_of(name, column[name]) for column in columns], changes))
    return rows


def cell_of(metric: str, value: Estimate) -> _Cell:
    """Formats a value and its interval as text, and as positions on a bar from 0 to 1."""
    value_text, low, high = (
        metric_text(metric, each) for each in (value.value, value.low, value.high)
    )
    bar = (
        None
        if metric.endswith("rank")
        else (round(100 * value.value, 2), round(100 * value.low, 2), round(100 * value.high, 2))
    )
    return _Cell(value_text, low, high, bar)


def _index(scores: IndexScores) -> _Index:
    return _Index(
        f"{scores.query} → {scores.target}", scores, cell_of("recall", scores.recall_at_10)
    )
