"""An item's image vector and text vector become its product vector.

Contrastively trained towers put pictures and texts in two separate cones (the modality gap, Liang
et al. 2022, arXiv:2203.02053), so each modality's mean is subtracted before the two are averaged.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mmsearch.records import Floats, Modality

# A mean over few items says more about those items than about the cone: it is shrunk towards zero
# with the weight of this many items, so that one item alone still has a direction.
PRIOR_ITEMS = 32


@dataclass(frozen=True, slots=True)
class LateFusion:
    """product = unit(w·unit(v_img - μ_img) + (1-w)·unit(v_txt - μ_txt)); one alone stands for both.

    means: float32 (dim,) by modality; image_weight: w, in [0, 1].
    """

    means: Mapping[Modality, Floats]
    image_weight: float = 0.5

    def centre(self, vectors: Floats, modality: Modality) -> Floats:
        """vectors: float32 (n, dim), unit rows of one modality → (n, dim), unit rows, centred."""
        return unit(vectors - self.means[modality])

    def products(self, images: Floats, texts: Floats) -> Floats:
        """images, texts: float32 (n, dim); a row of zeros is a missing modality.

        → float32 (n, dim), unit rows; zeros where both are missing.
        """
        has_image, has_text = images.any(axis=1), texts.any(axis=1)
        image_share = np.where(has_text, self.image_weight, 1.0) * has_image
        text_share = np.where(has_image, 1.0 - self.image_weight, 1.0) * has_text
        mixed = image_share[:, None] * self.centre(images, "image")
        mixed += text_share[:, None] * self.centre(texts, "text")
        return unit(mixed.astype(np.float32))


def shrunken_mean(total: Floats, count: int) -> Floats:
    """total: float32 (dim,), the sum of `count` unit rows → their mean, shrunk for small counts."""
    return (total / np.float32(count + PRIOR_ITEMS)).astype(np.float32)


def unit(vectors: Floats) -> Floats:
    """Rows at length 1, float32 (n, dim); rows of zeros stay zeros."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    rows: Floats = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
    return rows
