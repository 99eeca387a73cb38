"""Measures models on labelled sources by exact search, and indexes against exact search."""

from typing import TYPE_CHECKING

from mmsearch.lazy import lazy_exports

if TYPE_CHECKING:
    from mmsearch.evaluation.index_loss import LiveStore, open_live
    from mmsearch.evaluation.labels import LabelledItem, LabelledSet
    from mmsearch.evaluation.results import Evaluation
    from mmsearch.evaluation.run import EvaluationOptions, evaluate, evaluate_labelled
    from mmsearch.evaluation.zero_shot import TEMPLATES

__all__ = [
    "TEMPLATES",
    "Evaluation",
    "EvaluationOptions",
    "LabelledItem",
    "LabelledSet",
    "LiveStore",
    "evaluate",
    "evaluate_labelled",
    "open_live",
]

__getattr__ = lazy_exports(
    __name__,
    {
        "Evaluation": "results",
        "EvaluationOptions": "run",
        "LabelledItem": "labels",
        "LabelledSet": "labels",
        "LiveStore": "index_loss",
        "TEMPLATES": "zero_shot",
        "evaluate": "run",
        "evaluate_labelled": "run",
        "open_live": "index_loss",
    },
)
