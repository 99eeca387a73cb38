"""Early fusion: both vectors are concatenated and projected by one trained matrix."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np

from mmsearch.arrays import unit
from mmsearch.fusion.base import centre, tokens
from mmsearch.records import Floats, FusionKind, Modality


@dataclass(frozen=True, slots=True)
class EarlyFusion:
    """product = unit(P·[unit(v_img - μ_img); unit(v_txt - μ_txt); has_img; has_txt]).

    projection: P, float32 (dim, 2·dim + 2). A missing modality contributes zeros, and its presence
    flag lets the projection add its average contribution.
    """

    kind: ClassVar[FusionKind] = "early"

    means: Mapping[Modality, Floats]
    projection: Floats

    @property
    def weights(self) -> Mapping[str, Floats]:
        """The trained or chosen arrays, float32 by name, without the means."""
        return {"projection": self.projection}

    def with_means(self, means: Mapping[Modality, Floats]) -> Self:
        """Returns the same fusion with other means."""
        return replace(self, means=means)

    def centre(self, vectors: Floats, modality: Modality) -> Floats:
        """Subtracts the modality's mean from unit rows, float32 (n, dim), and normalises them."""
        return centre(vectors, self.means[modality])

    def products(self, images: Floats, texts: Floats) -> Floats:
        """Returns product vectors, float32 (n, dim), unit rows; see `Fusion.products`."""
        image_tokens, text_tokens, has_image, has_text = tokens(images, texts, self.means)
        flags = np.stack([has_image, has_text], axis=1).astype(np.float32)
        joined = np.concatenate([image_tokens, text_tokens, flags], axis=1)
        return unit((joined @ self.projection.T).astype(np.float32))
