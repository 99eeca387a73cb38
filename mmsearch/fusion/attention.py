"""Attention fusion: a trained gate weighs the two modalities item by item."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np

from mmsearch.fusion.base import Bools, FusionKind, centre, tokens, unit
from mmsearch.records import Floats, Modality


@dataclass(frozen=True, slots=True)
class AttentionFusion:
    """Scaled dot-product attention (Vaswani et al. 2017, arXiv:1706.03762) of one trained query
    over the modality tokens t = unit(v - μ) that an item has.

    gate = softmax(query·(keys·t_m + modality_m) / √h) over the modalities m that are there;
    product = unit(Σ_m gate_m·(t_m + up_m·down_m·t_m)).
    query: float32 (h,); keys: (h, dim); modality: (2, h), image first; down: (2, r, dim);
    up: (2, dim, r). A missing modality takes no part in the softmax.
    """

    kind: ClassVar[FusionKind] = "attention"

    means: Mapping[Modality, Floats]
    query: Floats
    keys: Floats
    modality: Floats
    down: Floats
    up: Floats

    @property
    def weights(self) -> Mapping[str, Floats]:
        names = ("query", "keys", "modality", "down", "up")
        return {name: getattr(self, name) for name in names}

    def with_means(self, means: Mapping[Modality, Floats]) -> Self:
        return replace(self, means=means)

    def centre(self, vectors: Floats, modality: Modality) -> Floats:
        return centre(vectors, self.means[modality])

    def products(self, images: Floats, texts: Floats) -> Floats:
        image_tokens, text_tokens, has_image, has_text = tokens(images, texts, self.means)
        both = np.stack([image_tokens, text_tokens])
        gate = self._gate(both, np.stack([has_image, has_text]))
        values = both + both @ self.down.transpose(0, 2, 1) @ self.up.transpose(0, 2, 1)
        mixed = (gate[:, :, None] * values).sum(axis=0)
        return unit(mixed.astype(np.float32))

    def gates(self, images: Floats, texts: Floats) -> Floats:
        """float32 (n, 2): the share of image and text in each item; zeros where both are missing.

        images, texts: float32 (n, dim); a row of zeros is a missing modality.
        """
        image_tokens, text_tokens, has_image, has_text = tokens(images, texts, self.means)
        both = np.stack([image_tokens, text_tokens])
        return self._gate(both, np.stack([has_image, has_text])).T

    def _gate(self, both: Floats, present: Bools) -> Floats:
        """both: float32 (2, n, dim); present: bool (2, n) → float32 (2, n), sums of 1 or 0."""
        keys = both @ self.keys.T + self.modality[:, None, :]
        scores = keys @ self.query / np.float32(np.sqrt(len(self.query)))
        highest = np.where(present, scores, -np.inf).max(axis=0, initial=-1e30)
        shares = np.where(present, np.exp(np.minimum(scores - highest, 0.0)), 0.0)
        total = shares.sum(axis=0)
        gate: Floats = np.divide(shares, total, out=np.zeros_like(shares), where=total > 0)
        return gate.astype(np.float32)
