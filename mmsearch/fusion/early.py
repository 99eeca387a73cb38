"""Early fusion: both vectors, laid end to end, go through one trained projection."""

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

    projection: P, float32 (dim, 2·dim + 2). A missing modality brings zeros, and its presence flag
    lets the projection make up for what it would have added on average.
    """

    kind: ClassVar[FusionKind] = "early"

    means: Mapping[Modality, Floats]
    projection: Floats

    @property
    def weights(self) -> Mapping[str, Floats]:
        return {"projection": self.projection}

    def with_means(self, means: Mapping[Modality, Floats]) -> Self:
        return replace(self, means=means)

    def centre(self, vectors: Floats, modality: Modality) -> Floats:
        return centre(vectors, self.means[modality])

    def products(self, images: Floats, texts: Floats) -> Floats:
        image_tokens, text_tokens, has_image, has_text = tokens(images, texts, self.means)
        flags = np.stack([has_image, has_text], axis=1).astype(np.float32)
        joined = np.concatenate([image_tokens, text_tokens, flags], axis=1)
        return unit((joined @ self.projection.T).astype(np.float32))
