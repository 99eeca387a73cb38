"""Scores retrieval of products by image only, by text only, and by each fusion.

Text and image queries have equal weight, however many there are of each. Items that lack the only
modality that is searched rank last.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from mmsearch.arrays import blocks
from mmsearch.evaluation.bootstrap import difference, estimate, mean_of, together
from mmsearch.evaluation.metrics import Doubles, Ranking, join_rankings, rank_answers
from mmsearch.evaluation.results import Difference, Estimate
from mmsearch.finetuning.fusion.data import MODALITIES, NO_ITEM, FusionData, judge
from mmsearch.fusion import Fusion, LateFusion
from mmsearch.records import Floats, FusionKind, Modality

# Share of texts that are dropped in the second half of the table.
MISSING = 0.3
IMAGE_ONLY, TEXT_ONLY = "image only", "text only"
QueryKind: TypeAlias = Literal["text", "image", "both"]

_RECALL_AT = (1, 5, 10)
# Similarities held at once: 16 million float32 are 64 MB.
_BLOCK = 16_000_000


@dataclass(frozen=True, slots=True)
class FusionScore:
    """Metrics of one way to search: recall@1, recall@5, recall@10 and MRR.

    name: 'image only', 'text only' or a kind of fusion. missing: share of texts dropped.
    queries: modality of the queries, 'both' at equal weight. count: number of queries.
    """

    name: str
    missing: float
    queries: QueryKind
    count: int
    metrics: Mapping[str, Estimate]


@dataclass(frozen=True, slots=True)
class FusionTable:
    """Scores, and paired differences of each fusion from image only and from text only.

    `model` of a difference is the fusion, `part` what it is compared with.
    """

    scores: Sequence[FusionScore]
    differences: Sequence[Difference]

    def score(self, name: str, *, missing: float = 0.0, queries: QueryKind = "both") -> FusionScore:
        """Returns one score; raises KeyError if there is none."""
        for score in self.scores:
            if (score.name, score.missing, score.queries) == (name, missing, queries):
                return score
        raise KeyError((name, missing, queries))


def fusion_table(
    fusions: Mapping[FusionKind, Fusion], data: FusionData, *, seed: int = 0
) -> FusionTable:
    """Scores image only, text only and each fusion, with all texts and without MISSING of them."""
    scores: list[FusionScore] = []
    differences: list[Difference] = []
    for missing in (0.0, MISSING):
        part = data.without_texts(missing, seed=seed)
        found = {
            name: _scores(part, *way, name=name, missing=missing)
            for name, way in _ways(fusions, part)
        }
        scores += [score for each in found.values() for score in each]
        differences += [
            _difference(found[kind][-1], found[base][-1], metric)
            for kind in fusions
            for base in (IMAGE_ONLY, TEXT_ONLY)
            for metric in ("recall@1", "MRR")
        ]
    return FusionTable(scores, differences)


def _ways(
    fusions: Mapping[FusionKind, Fusion], data: FusionData
) -> Iterator[tuple[str, tuple[Floats, Fusion]]]:
    """Yields product vectors by name, with the fusion that centres the queries."""
    centring = next(iter(fusions.values()))
    nothing = np.zeros_like(data.images)
    alone = LateFusion(centring.means)
    yield IMAGE_ONLY, (alone.products(data.images, nothing), alone)
    yield TEXT_ONLY, (alone.products(nothing, data.texts), alone)
    for kind, fusion in fusions.items():
        yield kind, (fusion.products(data.images, data.texts), fusion)


def retrieval_score(fusion: Fusion, data: FusionData) -> float:
    """Returns the score that fusions are chosen by: MRR, both kinds of query at equal weight."""
    products = fusion.products(data.images, data.texts)
    means = [
        ranking.reciprocal_ranks().mean()
        for modality in MODALITIES
        if (ranking := rank_products(data, products, fusion, modality)) is not None
    ]
    return float(np.mean(means))


def rank_products(
    data: FusionData, products: Floats, fusion: Fusion, modality: Modality
) -> Ranking | None:
    """Ranks the products for the queries of a modality, None if no query has an answer.

    products: float32 (n, dim), unit rows, zeros for items that cannot be found.
    """
    judged = judge(data, modality)
    if not len(judged.answerable):
        return None
    queries = data.queries(modality)
    centred = fusion.centre(queries.vectors[judged.answerable], modality)
    own = queries.own[judged.answerable]
    absent = np.flatnonzero(~products.any(axis=1))
    rows = max(1, _BLOCK // len(products))
    parts = []
    for block in blocks(len(centred), rows):
        similarities: Floats = centred[block] @ products.T
        similarities[:, absent] = -np.inf
        taken = np.flatnonzero(own[block] != NO_ITEM)
        similarities[taken, own[block][taken]] = -np.inf
        parts.append(rank_answers(similarities, judged.judgements.part(block.start, block.stop)))
    return join_rankings(parts)


def _scores(
    data: FusionData, products: Floats, fusion: Fusion, *, name: str, missing: float
) -> list[FusionScore]:
    """Returns a score for each kind of query, then one over both."""
    found = {
        modality: ranking
        for modality in MODALITIES
        if (ranking := rank_products(data, products, fusion, modality)) is not None
    }
    total = sum(ranking.count for ranking in found.values())
    each: list[tuple[QueryKind, list[Ranking], Doubles]] = [
        (modality, [ranking], np.ones(ranking.count)) for modality, ranking in found.items()
    ]
    shares = [np.full(r.count, total / (len(found) * r.count)) for r in found.values()]
    each.append(("both", list(found.values()), np.concatenate(shares)))
    return [
        FusionScore(name, missing, kind, len(shares), _estimates(rankings, shares))
        for kind, rankings, shares in each
    ]


def _estimates(rankings: Sequence[Ranking], shares: Doubles) -> dict[str, Estimate]:
    """Estimates all metrics. shares: float64 (queries,), weights with mean 1."""
    values = {
        **{f"recall@{k}": [r.recall_at(k) for r in rankings] for k in _RECALL_AT},
        "MRR": [r.reciprocal_ranks() for r in rankings],
    }
    statistics = {name: mean_of(shares * np.concatenate(parts)) for name, parts in values.items()}
    return estimate(together(statistics), len(shares))


def _difference(ours: FusionScore, base: FusionScore, metric: str) -> Difference:
    part = base.name if not ours.missing else f"{base.name}, {ours.missing:.0%} of texts missing"
    return difference(ours.name, part, metric, ours=ours.metrics[metric], base=base.metrics[metric])
