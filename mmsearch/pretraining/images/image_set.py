"""The images of a run with what the frozen trunk computes of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mmsearch.pretraining.images.captioned import CaptionedImage
from mmsearch.pretraining.teachers import ClassNames

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class ImageSet:
    """All images, by row.

    train, held_out: int64 rows. features: float16 (n, views, width), the frozen trunk's, the plain
    view first. classifier: maps features to ImageNet's classes, which class_names belong to; None
    for a random trunk.
    """

    images: Sequence[CaptionedImage]
    train: NDArray[np.int64]
    held_out: NDArray[np.int64]
    features: NDArray[np.float16]
    classifier: "torch.nn.Linear | None" = None
    class_names: ClassNames | None = None

    def select(self, rows: NDArray[np.int64]) -> list[CaptionedImage]:
        """Lists the images of some rows."""
        return [self.images[row] for row in rows]
