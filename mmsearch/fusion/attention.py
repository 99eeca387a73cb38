"""Attention fusion: a trained gate weighs the two modalities item by item."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np

from mmsearch.arrays import unit
from mmsearch.fusion.base import Bools, centre, tokens
from mmsearch.records import Floats, FusionKind, Modality


@dataclass(frozen=True, slots=True)
class AttentionFusion:
    """Scaled dot-product attention (Vaswani et al. 2017, arXiv:1706.03762) of one trained query
    over two tokens: t_m = unit(v_m - μ_m) of each modality m, or absent_m where m is missing.

    gate = softmax over m of query·(keys·t_m + modality_m) / √h;
    product = unit(Σ_m gate_m·value_m), value_m = t_m + up_m·down_m·t_m, or absent_m.
    query: float32 (h,); keys: (h, dim); image before text in modality: (2, h), down: (2, r, dim),
    up: (2, dim, r) and absent: (2, dim). What stands for a missing modality keeps items with one
    and items with both on one scale of similarity.
    """

    kind: ClassVar[FusionKind] = "attention"

    means: Mapping[Modality, Floats]
    query: Floats
    keys: Floats
    modality: Floats
    down: Floats
    up: Floats
    absent: Floats

    @property
    def weights(self) -> Mapping[str, Floats]:
        names = ("query", "keys", "modality", "down", "up", "absent")
        return {name: getattr(self, name) for name in names}

    def with_means(self, means: Mapping[Modality, Floats]) -> Self:
        return replace(self, means=means)

    def centre(self, vectors: Floats, modality: Modality) -> Floats:
        return centre(vectors, self.means[modality])

    def products(self, images: Floats, texts: Floats) -> Floats:
        present_tokens, present = self._tokens(images, texts)
        small = present_tokens @ self.down.transpose(0, 2, 1) @ self.up.transpose(0, 2, 1)
        values = np.where(present[:, :, None], present_tokens + small, self.absent[:, None, :])
        gate = self.gate(present_tokens, present)
        anything: Bools = np.asarray(present.any(axis=0))
        mixed = (gate[:, :, None] * values).sum(axis=0) * anything[:, None]
        return unit(mixed.astype(np.float32))

    def _tokens(self, images: Floats, texts: Floats) -> tuple[Floats, Bools]:
        """float32 (2, n, dim), zeros where missing; bool (2, n), what is there."""
        image_tokens, text_tokens, has_image, has_text = tokens(images, texts, self.means)
        return np.stack([image_tokens, text_tokens]), np.stack([has_image, has_text])

    def gate(self, present_tokens: Floats, present: Bools) -> Floats:
        """Returns the weights of image and text in each item: float32 (2, n), columns sum to 1.

        present_tokens: float32 (2, n, dim), zeros where missing; present: bool (2, n).
        """
        seen = np.where(present[:, :, None], present_tokens, self.absent[:, None, :])
        keys = seen @ self.keys.T + self.modality[:, None, :]
        scores = keys @ self.query / np.float32(np.sqrt(len(self.query)))
        shares = np.exp(scores - scores.max(axis=0))
        gate: Floats = (shares / shares.sum(axis=0)).astype(np.float32)
        return gate
