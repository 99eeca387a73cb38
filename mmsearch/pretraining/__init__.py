"""How the built-in model is made: `train_recipe` trains a model as a recipe folder says.

The other names are what a recipe's own readers and text functions are written with.
"""

from typing import TYPE_CHECKING, Any

from mmsearch.pretraining.images.captioned import CaptionedImage, concept_of, require_files
from mmsearch.pretraining.text.captions import DRAWING_TEMPLATES, indefinite, with_article
from mmsearch.pretraining.text.corpus import CorpusInputs

if TYPE_CHECKING:
    from mmsearch.pretraining.pipeline import train_recipe
    from mmsearch.pretraining.recipe import Recipe, read_recipe
    from mmsearch.pretraining.report import TrainReport

__all__ = [
    "DRAWING_TEMPLATES",
    "CaptionedImage",
    "CorpusInputs",
    "Recipe",
    "TrainReport",
    "concept_of",
    "indefinite",
    "read_recipe",
    "require_files",
    "train_recipe",
    "with_article",
]

_LAZY = {
    "Recipe": "recipe",
    "TrainReport": "report",
    "read_recipe": "recipe",
    "train_recipe": "pipeline",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'mmsearch.pretraining' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"mmsearch.pretraining.{_LAZY[name]}"), name)
