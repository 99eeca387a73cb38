"""What an evaluation found, as plain types: one tree from the numbers to tables and the page."""

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
    """A measured value and its bootstrap 95% interval. draws: float64 (r,), the resampled values.

    Estimates over equally many queries are resampled alike, so that their draws can be paired.
    """

    value: float
    low: float
    high: float
    draws: Doubles = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Example:
    """An image or a text as the page shows it. uri: the image's file, '' for a text."""

    title: str
    uri: str = ""


@dataclass(frozen=True, slots=True)
class HardQuery:
    """A query whose right answer came late: at `rank`, after what was found first."""

    query: Example
    rank: int
    expected: Example
    found: Sequence[Example]


@dataclass(frozen=True, slots=True)
class RetrievalScores:
    """One direction. metrics: by name. curve: recall at each of `ks`.

    first_ranks: int64 (queries,), the rank of each query's first right answer. same: what this
    model finds for the first model's hardest queries; empty for the first.
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
        """'text → image'."""
        return self.direction.replace("-to-", " → ")


@dataclass(frozen=True, slots=True)
class ClassScore:
    """One class of a zero-shot classification. title: the words in the prompts."""

    name: str
    title: str
    images: int
    precision: float
    recall: float
    f1: float

    pictures = renamed_attribute("pictures", "images")


@dataclass(frozen=True, slots=True)
class ClassificationScores:
    """Images named by the nearest class prompt. confusion: int64 (c, c), row = true class."""

    images: int
    templates: Sequence[str]
    metrics: Mapping[str, Estimate]
    classes: Sequence[ClassScore]
    confusion: Ids

    pictures = renamed_attribute("pictures", "images")

    def confused(self, most: int) -> list[tuple[str, str, int]]:
        """At most so many of: a class, what its images are taken for, how often; worst first."""
        off = self.confusion.copy()
        np.fill_diagonal(off, 0)
        worst = np.argsort(-off, axis=None, kind="stable")[:most]
        cells = zip(*np.unravel_index(worst, off.shape), strict=True)
        titles = [each.title for each in self.classes]
        return [(titles[i], titles[j], int(off[i, j])) for i, j in cells if off[i, j]]


@dataclass(frozen=True, slots=True)
class ModelScores:
    """All that one model reached by exact search. seconds: encoding, loading left out."""

    model: str
    space: SpaceId
    retrieval: Sequence[RetrievalScores]
    classification: ClassificationScores | None
    seconds: float
    truncated_texts: int


@dataclass(frozen=True, slots=True)
class Difference:
    """A metric of `model` minus the baseline's, paired by query. part: direction or 'zero-shot'."""

    model: str
    part: str
    metric: str
    value: float
    low: float
    high: float
    p_value: float


@dataclass(frozen=True, slots=True)
class IndexScores:
    """What a store's live index loses against an exact search of the same vectors.

    recall_at_10: the share of the ten exactly nearest that the index returns. exact, live: recall
    of the labelled answers within the first ten; None where no right answer is in the store.
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
    """models[0] is the baseline of the differences. images, texts: distinct ones."""

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
    """Shares have three digits, ranks one; signed: for differences."""
    sign = "+" if signed else ""
    return f"{value:{sign},.1f}" if metric.endswith("rank") else f"{value:{sign}.3f}"
