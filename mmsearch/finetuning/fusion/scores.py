"""How well products are found, by pictures alone, by texts alone, and by each fusion.

Text and picture queries count equally, however many there are of each. What cannot be found at all,
an item without the one modality that is looked at, comes last.
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

# The share of texts that the second half of the table does without.
MISSING = 0.3
IMAGE_ONLY, TEXT_ONLY = "image only", "text only"
QueryKind: TypeAlias = Literal["text", "image", "both"]

_RECALL_AT = (1, 5, 10)
# Similarities held at once: 16 million float32 are 64 MB.
_BLOCK = 16_000_000


@dataclass(frozen=True, slots=True)
class FusionScore:
    """name: 'image only', 'text only' or a kind of fusion. missing: the share of texts left out.

    queries: which ones, 'both' at equal weight; count: how many. metrics: recall@1, recall@5,
    recall@10 and MRR.
    """

    name: str
    missing: float
    queries: QueryKind
    count: int
    metrics: Mapping[str, Estimate]


@dataclass(frozen=True, slots=True)
class FusionTable:
    """differences: each fusion against image only and text only, paired, over both kinds of query.

    Their `model` is the fusion, their `part` what it is compared with.
    """

    scores: Sequence[FusionScore]
    differences: Sequence[Difference]

    def score(self, name: str, *, missing: float = 0.0, queries: QueryKind = "both") -> FusionScore:
        """Raises KeyError where it was not measured."""
        for score in self.scores:
            if (score.name, score.missing, score.queries) == (name, missing, queries):
                return score
        raise KeyError((name, missing, queries))


def fusion_table(
    fusions: Mapping[FusionKind, Fusion], data: FusionData, *, seed: int = 0
) -> FusionTable:
    """Image only, text only and each fusion by name, complete and with MISSING of the texts."""
    scores: list[FusionScore] = []
    differences: list[Difference] = []
    for missing in (0.0, MISSING):
        part = data.without_texts(missing, seed=seed)
        found = {name: _scores(name, missing, part, *way) for name, way in _ways(fusions, part)}
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
    """By name: what the items are looked for by, and the fusion that centres the queries."""
    centring = next(iter(fusions.values()))
    nothing = np.zeros_like(data.images)
    alone = LateFusion(centring.means)
    yield IMAGE_ONLY, (alone.products(data.images, nothing), alone)
    yield TEXT_ONLY, (alone.products(nothing, data.texts), alone)
    for kind, fusion in fusions.items():
        yield kind, (fusion.products(data.images, data.texts), fusion)


def retrieval_score(fusion: Fusion, data: FusionData) -> float:
    """What fusions are chosen by: MRR, text and picture queries at equal weight."""
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
    """Where the answers of that modality's queries come among the products; None if none has any.

    products: float32 (n, dim), unit rows, zeros for what cannot be found at all.
    """
    judged = judge(data, modality)
    if not len(judged.asked):
        return None
    queries = data.queries(modality)
    centred = fusion.centre(queries.vectors[judged.asked], modality)
    own = queries.own[judged.asked]
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
    name: str, missing: float, data: FusionData, products: Floats, fusion: Fusion
) -> list[FusionScore]:
    """One entry per kind of query there is, then one over both."""
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
    """shares: float64 (queries,), of mean 1, how far each query counts."""
    values = {
        **{f"recall@{k}": [r.recall_at(k) for r in rankings] for k in _RECALL_AT},
        "MRR": [r.reciprocal_ranks() for r in rankings],
    }
    statistics = {name: mean_of(shares * np.concatenate(parts)) for name, parts in values.items()}
    return estimate(together(statistics), len(shares))


def _difference(ours: FusionScore, base: FusionScore, metric: str) -> Difference:
    part = base.name if not ours.missing else f"{base.name}, {ours.missing:.0%} of texts missing"
    return difference(ours.name, part, metric, ours=ours.metrics[metric], base=base.metrics[metric])
