"""What a frozen part of the trunk computes of every view of every image, cached on disk."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mmsearch.pretraining.images.captioned import CaptionedImage
from mmsearch.pretraining.images.views import view_loader
from mmsearch.pretraining.recipe import Recipe
from mmsearch.progress import ProgressListener
from mmsearch.training.activations import PixelViews, cached_activations

if TYPE_CHECKING:
    import torch


def cached_outputs(
    module: "torch.nn.Module",
    images: Sequence[CaptionedImage],
    *,
    recipe: Recipe,
    cache: Path,
    progress: ProgressListener,
) -> NDArray[np.float16]:
    """Computes the module's outputs: float16 (n, views, …), memory-mapped, the plain view first.

    cache: the folder of the file, whose name depends on the images, the views and the weights.
    """
    size, views, seed = recipe.image.size, recipe.image.views, recipe.seed
    load = view_loader(images, size=size, views=views, seed=seed)
    return cached_activations(
        module,
        PixelViews(load, len(images), views, size),
        cache=cache,
        key=json.dumps([seed, [image.key for image in images]]),
        advance=progress.advance,
    )
