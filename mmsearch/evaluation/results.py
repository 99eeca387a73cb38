"""The results of an evaluation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np

from mmsearch.deprecation import renamed_attribute
from mmsearch.evaluation.metrics import Doubles
from mmsearch.records import Failure, Ids, Modality, SpaceId, Target

DirectionName: TypeAlias = Literal[
    "text-to-image",
    "image-to-text",
    "image-to-image",
    "text-to-text",
    "text-to-product",
    "image-to-product",
    "product-to-product",
]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its bootstrap 95% confidence interval.

    draws: float64 (r,), the resampled values; paired between estimates over the same queries.
    """

    value: float
    low: float
    high: float
    draws: Doubles = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Example:
    """An image or text for the report. uri: the path of the image, '' for a text."""

    title: str
    uri: str = ""


@dataclass(frozen=True, slots=True)
class HardQuery:
    """A query with a late first relevant candidate, `expected` at `rank`, and what was `found`."""

    query: Example
    rank: int
    expected: Example
    found: Sequence[Example]


@dataclass(frozen=True, slots=True)
class RetrievalScores:
    """The retrieval results of one direction.

    metrics: by name. curve: recall at each of `ks`. first_ranks: int64 (queries,), the rank of each
    query's first relevant candidate. same: this model's results for the first model's hardest
    queries; empty for the first.
    """

    direction: DirectionName
    queries: int
    candidates: int
    metrics: Mapping[str, Estimate]
    ks: Sequence[int]
    curve: Sequence[float]
    first_ranks: Ids
    hardest: Sequence[HardQuery]
    same: Sequence[HardQuery] = ()

    @property
    def title(self) -> str:
        """The direction for display, as 'text → image'."""
        return self.direction.replace("-to-", " → ")


@dataclass(frozen=True, slots=True)
class ClassScore:
    """The results of one class. title: its name in prompts."""

    name: str
    title: str
    images: int
    precision: float
    recall: float
    f1: float

    pictures = renamed_attribute("pictures", "images")


@dataclass(frozen=True, slots=True)
class ClassificationScores:
    """The results of zero-shot classification. confusion: int64 (c, c), row = true class."""

    images: int
    templates: Sequence[str]
    metrics: Mapping[str, Estimate]
    classes: Sequence[ClassScore]
    confusion: Ids

    pictures = renamed_attribute("pictures", "images")

    def confused(self, most: int) -> list[tuple[str, str, int]]:
        """Returns the `most` frequent confusions: true class, predicted class, count."""
        off = self.confusion.copy()
        np.fill_diagonal(off, 0)
        worst = np.argsort(-off, axis=None, kind="stable")[:most]
        cells = zip(*np.unravel_index(worst, off.shape), strict=True)
        titles = [each.title for each in self.classes]
        return [(titles[i], titles[j], int(off[i, j])) for i, j in cells if off[i, j]]


@dataclass(frozen=True, slots=True)
class ModelScores:
    """The results of one model by exact search. seconds: of encoding, without loading."""

    model: str
    space: SpaceId
    retrieval: Sequence[RetrievalScores]
    classification: ClassificationScores | None
    seconds: float
    truncated_texts: int

    @property
    def parts(self) -> dict[str, Mapping[str, Estimate]]:
        """The metrics of each direction, and those of classification as 'zero-shot'."""
        named = {"zero-shot": self.classification.metrics} if self.classification else {}
        return {**{each.direction: each.metrics for each in self.retrieval}, **named}


@dataclass(frozen=True, slots=True)
class Difference:
    """A metric of `model` minus the baseline's, paired by query.

    part: a direction, or 'zero-shot'.
    """

    model: str
    part: str
    metric: str
    value: float
    low: float
    high: float
    p_value: float


@dataclass(frozen=True, slots=True)
class IndexScores:
    """The recall of a store's live index against exact search of the same vectors.

    recall_at_10: the share of the ten nearest that the index returns. exact, live: recall of the
    labelled items within the first ten; None where none is in the store.
    """

    query: Modality
    target: Target
    kind: str
    vectors: int
    queries: int
    recall_at_10: Estimate
    labelled_queries: int
    exact: Estimate | None
    live: Estimate | None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The results of all models.

    models[0] is the baseline of the differences. images, texts: distinct ones.
    """

    sources: Sequence[str]
    items: int
    images: int
    texts: int
    models: Sequence[ModelScores]
    differences: Sequence[Difference]
    index: Sequence[IndexScores]
    failures: Sequence[Failure]
    notes: Sequence[str]

    pictures = renamed_attribute("pictures", "images")


def metric_text(metric: str, value: float, *, signed: bool = False) -> str:
    """Formats a metric: shares with three digits, ranks with one. signed: for differences."""
    sign = "+" if signed else ""
    return f"{value:{sign},.1f}" if metric.endswith("rank") else f"{value:{sign}.3f}"
