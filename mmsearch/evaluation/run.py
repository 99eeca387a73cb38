"""Runs an evaluation: reads the labels, embeds them with every model, scores and compares.

All models answer the same queries over the same candidates, so that they can be paired.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeAlias

from mmsearch.encoders.base import Encoder
from mmsearch.errors import InputError
from mmsearch.evaluation.bootstrap import difference
from mmsearch.evaluation.embed import Embedded, embed
from mmsearch.evaluation.examples import Examples
from mmsearch.evaluation.fused import TaskVectors
from mmsearch.evaluation.index_loss import LiveStore, index_scores
from mmsearch.evaluation.labels import NONE, LabelledItem, LabelledSet, read_catalog
from mmsearch.evaluation.queries import read_queries
from mmsearch.evaluation.results import (
    Difference,
    Evaluation,
    IndexScores,
    ModelScores,
    RetrievalScores,
)
from mmsearch.evaluation.retrieval import score
from mmsearch.evaluation.tasks import Task, tasks_from_pairs, tasks_from_queries
from mmsearch.evaluation.zero_shot import TEMPLATES, ClassTask, class_task, classify
from mmsearch.fusion import Fusion, late_base
from mmsearch.malloc_tuning import reused_memory
from mmsearch.media import MediaBounds
from mmsearch.progress import ProgressListener
from mmsearch.records import Failure, SpaceId, printable_path
from mmsearch.sources import Source

# Intervals over fewer queries are so wide that hardly any difference shows.
FEW_QUERIES = 30

# (model, space) → its fusion, with any means.
Fuse: TypeAlias = Callable[[str, SpaceId], Fusion]


def plain_fusion(model: str, space: SpaceId) -> Fusion:
    """Returns late fusion with equal weights, for models without a fusion of their own."""
    return late_base(space.dim, 0.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationOptions:
    """What is evaluated.

    queries: a file of queries, instead of the set's own pairs. classes, group: columns; classes
    serve as groups where no group is named. class_names: all classes, if some have no images.

    >>> EvaluationOptions(classes="category").queries is None
    True
    """

    queries: Path | None = None
    classes: str | None = None
    class_names: tuple[str, ...] = ()
    group: str | None = None
    templates: tuple[str, ...] = TEMPLATES
    batch_size: int = 32
    bounds: MediaBounds = field(default_factory=MediaBounds)


def evaluate(
    sources: Sequence[Source],
    models: Sequence[str],
    load: Callable[[str], Encoder],
    options: EvaluationOptions,
    *,
    progress: ProgressListener,
    store: LiveStore | None = None,
    fuse: Fuse = plain_fusion,
) -> Evaluation:
    """Evaluates models on labelled sources.

    models: names for `load`; the others are compared with the first. store: whose index is measured
    too. fuse: each model's fusion. Raises InputError where there is nothing to measure,
    SpaceMismatch, MissingModel.
    """
    group = options.group or options.classes
    catalog = read_catalog(sources, classes=options.classes, group=group, progress=progress)
    roots = [printable_path(source.root) for source in sources]
    return evaluate_labelled(
        catalog, models, load, options, sources=roots, progress=progress, store=store, fuse=fuse
    )


@reused_memory()
def evaluate_labelled(
    catalog: LabelledSet,
    models: Sequence[str],
    load: Callable[[str], Encoder],
    options: EvaluationOptions,
    *,
    sources: Sequence[str],
    progress: ProgressListener,
    store: LiveStore | None = None,
    fuse: Fuse = plain_fusion,
) -> Evaluation:
    """Evaluates models on a labelled set, as `evaluate`. sources: their names in the report."""
    grouped = (options.group or options.classes) is not None
    queries = read_queries(options.queries, catalog.items, catalog.pool) if options.queries else []
    classes = (
        class_task(catalog.items, options.templates, options.class_names)
        if options.classes
        else None
    )

    def tasks_over(items: Sequence[LabelledItem], broken: Collection[int] = ()) -> list[Task]:
        if options.queries is None:
            return tasks_from_pairs(items, grouped=grouped)
        return tasks_from_queries(items, [query for query in queries if query.image not in broken])

    if not tasks_over(catalog.items) and classes is None:
        raise InputError(
            "nothing to measure: no item has both a picture and a text; name a column of classes "
            "with `classes`, of groups with `group`, or a file with `queries`"
        )
    prompts = classes.prompts if classes else []
    embedded: list[Embedded] = []
    for name in models:
        encoder = load(name)
        if store is not None and not embedded:
            # The store's index is measured with the first model's vectors.
            store.require(encoder.space)
        embedded.append(
            embed(
                name, encoder, catalog.pool, prompts,
                bounds=options.bounds, batch_size=options.batch_size, progress=progress,
            )
        )  # fmt: skip
    broken = {place: reason for each in embedded for place, reason in each.broken.items()}
    readable = _without_broken(catalog, broken)
    tasks = tasks_over(readable.items, broken)
    classes = classes.without(broken) if classes else None
    if not tasks and classes is None:
        raise InputError(
            f"none of the pictures could be used: {next(iter(broken.values()), 'none was given')}"
        )
    progress.start("scoring", len(models))
    scores = list(_scores(embedded, tasks, classes, readable, fuse=fuse, progress=progress))
    index = index_scores(store, readable.items, embedded[0], progress) if store else []
    return Evaluation(
        sources=sources,
        items=sum(max(item.image, item.text) != NONE for item in readable.items),
        images=len({item.image for item in readable.items} - {NONE}),
        texts=len({item.text for item in readable.items} - {NONE}),
        models=scores,
        differences=list(_differences(scores)),
        index=index,
        failures=readable.failures,
        notes=[*_doubts(tasks), *_notes(scores, index)],
    )


def _without_broken(catalog: LabelledSet, broken: Mapping[int, str]) -> LabelledSet:
    """Returns the set without the images that some model could not embed, as failures."""
    failures = list(catalog.failures)
    holders: dict[int, str] = {}
    items: list[LabelledItem] = []
    for item in catalog.items:
        holders.setdefault(item.image, item.key)
        # An item stays even if nothing is left of it: queries refer to it by position.
        items.append(replace(item, image=NONE) if item.image in broken else item)
    for place, reason in broken.items():
        path = printable_path(catalog.pool.images[place])
        failures.append(Failure(holders.get(place, path), path, "decode", reason))
    return LabelledSet(items, catalog.pool, failures)


def _scores(
    embedded: Sequence[Embedded],
    tasks: Sequence[Task],
    classes: ClassTask | None,
    catalog: LabelledSet,
    *,
    fuse: Fuse,
    progress: ProgressListener,
) -> Iterator[ModelScores]:
    first: list[RetrievalScores] = []
    show = Examples(catalog)
    for model in embedded:
        vectors = TaskVectors(model, catalog.items, fuse(model.model, model.space))
        found = [
            score(task, *vectors.of(task), show.example, base=first[number] if first else None)
            for number, task in enumerate(tasks)
        ]
        first = first or found
        yield ModelScores(
            model.model,
            model.space,
            found,
            classify(classes, model.images[classes.images], model.prompts) if classes else None,
            model.seconds,
            model.truncated_texts,
        )
        progress.advance(1)


def _differences(scores: Sequence[ModelScores]) -> Iterator[Difference]:
    base, *others = scores
    for other in others:
        for part, metrics in other.parts.items():
            for name, value in metrics.items():
                yield difference(other.model, part, name, ours=value, base=base.parts[part][name])


def _doubts(tasks: Sequence[Task]) -> Iterator[str]:
    """Says which scores prove nothing, whatever the model is."""
    trivial, few = [], {}
    for task in tasks:
        name = task.direction.replace("-to-", " → ")
        possible = len(task.queries) * len(task.candidates) - len(task.left_out)
        if len(task.judgements.candidate) == possible:
            trivial.append(name)
        elif len(task.queries) < FEW_QUERIES:
            few[name] = len(task.queries)
    if trivial:
        yield (
            f"{', '.join(trivial)}: every candidate is relevant to every query, so these scores "
            "prove nothing; they need several items with different texts"
        )
    if few:
        most = max(few.values())
        queries = "query" if most == 1 else "queries"
        yield (
            f"{', '.join(few)}: {most:,} {queries} or fewer prove little; measure at least "
            f"{FEW_QUERIES}"
        )


def _notes(scores: Sequence[ModelScores], index: Sequence[IndexScores]) -> list[str]:
    notes = [
        f"{model.model}: {model.truncated_texts:,} texts exceeded the context length and were cut"
        for model in scores
        if model.truncated_texts
    ]
    if index and not any(each.labelled_queries for each in index):
        notes.append(
            "none of the labelled items is in the store under its key: the index is measured by "
            "the exact neighbours that it finds only"
        )
    return notes
