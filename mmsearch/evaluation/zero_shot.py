"""Zero-shot classification: each image gets the class whose prompts are nearest on average.

No image of a class is needed, only its name in a few prompt templates.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mmsearch.arrays import blocks, unit
from mmsearch.errors import InputError
from mmsearch.evaluation.bootstrap import Statistics, estimate, mean_of, of_classes
from mmsearch.evaluation.labels import NONE, LabelledItem
from mmsearch.evaluation.metrics import (
    Doubles,
    Judgements,
    class_counts,
    confusion_matrix,
    rank_answers,
)
from mmsearch.evaluation.results import ClassificationScores, ClassScore
from mmsearch.records import Floats, Ids

TEMPLATES = (
    "{}",
    "a photo of {}",
    "a picture of {}",
    "a close-up photo of {}",
    "a drawing of {}",
)
_TOP = 5
_BLOCK = 16_000_000
_SEPARATORS = re.compile(r"[-_\s]+")


@dataclass(frozen=True, slots=True)
class ClassTask:
    """A classification task.

    names: the classes as labelled; titles: their names in prompts. images: int64 (n,), positions in
    the pool; actual: int64 (n,), positions in names.
    """

    names: Sequence[str]
    titles: Sequence[str]
    templates: Sequence[str]
    images: Ids
    actual: Ids

    @property
    def prompts(self) -> list[str]:
        """The prompts, class by class, each in every template."""
        return [t.replace("{}", title) for title in self.titles for t in self.templates]

    def without(self, broken: Collection[int]) -> "ClassTask | None":
        """Returns the task without some images, None if no image is left."""
        kept = ~np.isin(self.images, list(broken))
        if not kept.any():
            return None
        return replace(self, images=self.images[kept], actual=self.actual[kept])


def class_task(
    items: Iterable[LabelledItem], templates: Sequence[str], class_names: Sequence[str] = ()
) -> ClassTask:
    """Builds a task from labelled items.

    class_names: all classes; default: those of the images. Raises InputError for fewer than two
    classes, for a class that is not among class_names, or for an invalid template.
    """
    for template in templates:
        if template.count("{}") != 1:
            raise InputError(
                f"a template needs one {{}} for the name of the class, got '{template}'"
            )
    labels: dict[int, str] = {}
    for item in items:
        if item.image != NONE and item.label is not None:
            labels.setdefault(item.image, item.label)
    names = sorted(set(class_names) or set(labels.values()))
    if unknown := sorted(set(labels.values()) - set(names)):
        raise InputError(
            f"pictures have the class '{unknown[0]}', which is not among the {len(names)} class "
            "names given"
        )
    if len(names) < 2:
        raise InputError(
            f"at least two classes are needed, pictures have {len(names)}; name another column "
            "with `classes`"
        )
    position = {name: place for place, name in enumerate(names)}
    return ClassTask(
        names,
        [class_title(name) for name in names],
        templates,
        np.array(list(labels), dtype=np.int64),
        np.array([position[label] for label in labels.values()], dtype=np.int64),
    )


def class_title(name: str) -> str:
    """Returns a class's name in prompts: 'fruit/Golden-Delicious' → 'Golden Delicious'."""
    last = name.rstrip("/").rpartition("/")[2]
    return _SEPARATORS.sub(" ", last).strip() or name


def classify(task: ClassTask, images: Floats, prompts: Floats) -> ClassificationScores:
    """Scores a task. images float32 (n, dim), prompts float32 (c * templates, dim): unit rows."""
    classes = len(task.names)
    ranks, predicted = _nearest(task.actual, images, _class_vectors(task, prompts))
    counts = class_counts(task.actual, predicted, classes)
    precision, recall, f1 = counts.precision(), counts.recall(), counts.f1()
    return ClassificationScores(
        images=len(images),
        templates=task.templates,
        metrics=estimate(_statistics(task.actual, predicted, ranks, classes), len(images)),
        classes=[
            ClassScore(
                task.names[place],
                task.titles[place],
                int(counts.actual[place]),
                float(precision[place]),
                float(recall[place]),
                float(f1[place]),
            )
            for place in range(classes)
        ],
        confusion=confusion_matrix(task.actual, predicted, classes),
    )


def predict(task: ClassTask, images: Floats, prompts: Floats) -> Ids:
    """Returns the nearest class of each image, int64 (n,); arguments as in `classify`."""
    return _nearest(task.actual, images, _class_vectors(task, prompts))[1]


def _class_vectors(task: ClassTask, prompts: Floats) -> Floats:
    """Returns the mean of each class's prompts, float32 (c, dim), unit rows."""
    means = prompts.reshape(len(task.names), len(task.templates), -1).mean(axis=1)
    return unit(means.astype(np.float32))


def _nearest(actual: Ids, images: Floats, classes: Floats) -> tuple[Ids, Ids]:
    """Returns the rank of the true class, and the nearest class, int64 (n,) each."""
    rows = max(1, _BLOCK // len(classes))
    ranks, predicted = np.empty(len(images), np.int64), np.empty(len(images), np.int64)
    for part in blocks(len(images), rows):
        similarities: Floats = images[part] @ classes.T
        count = len(similarities)
        judgements = Judgements(np.arange(count), actual[part], np.ones(count), count)
        ranks[part] = rank_answers(similarities, judgements).rank
        predicted[part] = similarities.argmax(axis=1)
    return ranks, predicted


def _statistics(actual: Ids, predicted: Ids, ranks: Ids, classes: int) -> Statistics:
    by_class = of_classes(actual, predicted, classes)
    in_top = mean_of((ranks <= _TOP).astype(np.float64))

    def statistics(counts: Doubles) -> Mapping[str, Doubles]:
        scores = dict(by_class(counts))
        if classes > _TOP:
            scores[f"top-{_TOP} accuracy"] = in_top(counts)
        return scores

    return statistics
