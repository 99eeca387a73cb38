"""An evaluation as the document that --json prints."""

from collections.abc import Mapping
from typing import Any

from mmsearch.evaluation.results import (
    ClassificationScores,
    Estimate,
    Evaluation,
    IndexScores,
    ModelScores,
    RetrievalScores,
)


def score_document(evaluation: Evaluation) -> dict[str, Any]:
    """Returns what --json prints: metrics by name, without the bootstrap resamples."""
    return {
        "sources": evaluation.sources,
        "items": evaluation.items,
        "pictures": evaluation.images,
        "texts": evaluation.texts,
        "confidence": 0.95,
        "models": [_model(model) for model in evaluation.models],
        "differences": evaluation.differences,
        "index": [_index(scores) for scores in evaluation.index],
        "failures": evaluation.failures,
        "notes": evaluation.notes,
    }


def _model(scores: ModelScores) -> dict[str, Any]:
    return {
        "model": scores.model,
        "space": scores.space,
        "seconds": scores.seconds,
        "truncated_texts": scores.truncated_texts,
        "retrieval": {each.direction: _retrieval(each) for each in scores.retrieval},
        "zero_shot": _classification(scores.classification) if scores.classification else None,
    }


def _retrieval(scores: RetrievalScores) -> dict[str, Any]:
    return {
        "queries": scores.queries,
        "candidates": scores.candidates,
        "metrics": _estimates(scores.metrics),
        "recall_curve": {"k": scores.ks, "recall": scores.curve},
        "hardest": scores.hardest,
    }


def _classification(scores: ClassificationScores) -> dict[str, Any]:
    return {
        "pictures": scores.images,
        "templates": scores.templates,
        "metrics": _estimates(scores.metrics),
        "classes": scores.classes,
        "confusion": scores.confusion.tolist(),
    }


def _index(scores: IndexScores) -> dict[str, Any]:
    return {
        "query": scores.query,
        "target": scores.target,
        "kind": scores.kind,
        "vectors": scores.vectors,
        "queries": scores.queries,
        "recall@10 of exact search": _estimate(scores.recall_at_10),
        "labelled_queries": scores.labelled_queries,
        "labelled recall@10, exact": _estimate(scores.exact) if scores.exact else None,
        "labelled recall@10, live": _estimate(scores.live) if scores.live else None,
    }


def _estimates(metrics: Mapping[str, Estimate]) -> dict[str, Any]:
    return {name: _estimate(value) for name, value in metrics.items()}


def _estimate(value: Estimate) -> dict[str, float]:
    return {"value": value.value, "low": value.low, "high": value.high}
