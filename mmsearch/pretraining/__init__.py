"""How the built-in model is made: `train_recipe` trains a model as a recipe folder says.

The other names are what a recipe's own readers and text functions are written with.
"""

from typing import TYPE_CHECKING

from mmsearch.lazy import lazy_exports
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

__getattr__ = lazy_exports(
    __name__,
    {
        "Recipe": "recipe",
        "TrainReport": "report",
        "read_recipe": "recipe",
        "train_recipe": "pipeline",
    },
)
