"""Late fusion: a weighted average of the two centred vectors, with one weight for all items."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mmsearch.arrays import unit
from mmsearch.fusion.base import Centring, tokens
from mmsearch.records import Floats, FusionKind


@dataclass(frozen=True, slots=True)
class LateFusion(Centring):
    """product = unit(w·unit(v_img - μ_img) + (1-w)·unit(v_txt - μ_txt)).

    A single modality is the product. means: float32 (dim,) by modality; image_weight: w, in [0, 1].
    """

    kind: ClassVar[FusionKind] = "late"

    image_weight: float = 0.5

    @property
    def weights(self) -> Mapping[str, Floats]:
        """The trained or chosen arrays, float32 by name, without the means."""
        return {"image_weight": np.array([self.image_weight], np.float32)}

    def products(self, images: Floats, texts: Floats) -> Floats:
        """Returns product vectors, float32 (n, dim), unit rows; see `Fusion.products`."""
        image_tokens, text_tokens, has_image, has_text = tokens(images, texts, self.means)
        image_share = np.where(has_text, self.image_weight, 1.0)[:, None]
        text_share = np.where(has_image, 1.0 - self.image_weight, 1.0)[:, None]
        mixed = image_share * image_tokens + text_share * text_tokens
        return unit(mixed.astype(np.float32))
