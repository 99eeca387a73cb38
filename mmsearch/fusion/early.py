"""Early fusion: both vectors are concatenated and projected by one trained matrix."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mmsearch.arrays import unit
from mmsearch.fusion.base import Centring, tokens
from mmsearch.records import Floats, FusionKind


@dataclass(frozen=True, slots=True)
class EarlyFusion(Centring):
    """product = unit(P·[unit(v_img - μ_img); unit(v_txt - μ_txt); has_img; has_txt]).

    projection: P, float32 (dim, 2·dim + 2). A missing modality contributes zeros, and its presence
    flag lets the projection add its average contribution.
    """

    kind: ClassVar[FusionKind] = "early"

    projection: Floats

    @property
    def weights(self) -> Mapping[str, Floats]:
        """The trained or chosen arrays, float32 by name, without the means."""
        return {"projection": self.projection}

    def products(self, images: Floats, texts: Floats) -> Floats:
        """Returns product vectors, float32 (n, dim), unit rows; see `Fusion.products`."""
        image_tokens, text_tokens, has_image, has_text = tokens(images, texts, self.means)
        flags = np.stack([has_image, has_text], axis=1).astype(np.float32)
        joined = np.concatenate([image_tokens, text_tokens, flags], axis=1)
        return unit((joined @ self.projection.T).astype(np.float32))
