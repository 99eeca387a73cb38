"""Attention fusion: a trained gate weights the two modalities per item."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mmsearch.arrays import unit
from mmsearch.fusion.base import Bools, Centring, tokens
from mmsearch.records import Floats, FusionKind


@dataclass(frozen=True, slots=True)
class AttentionFusion(Centring):
    """Scaled dot-product attention of one trained query over the tokens of the two modalities.

    See Vaswani et al. 2017, arXiv:1706.03762. The token of modality m is t_m = unit(v_m - μ_m), or
    the trained absent_m where m is missing, which keeps items with one and with both modalities on
    the same scale of similarity.
    gate = softmax over m of query·(keys·t_m + modality_m) / √h;
    product = unit(Σ_m gate_m·value_m), value_m = t_m + up_m·down_m·t_m, or absent_m.
    query: float32 (h,); keys: (h, dim); image before text in modality: (2, h), down: (2, r, dim),
    up: (2, dim, r) and absent: (2, dim).
    """

    kind: ClassVar[FusionKind] = "attention"

    query: Floats
    keys: Floats
    modality: Floats
    down: Floats
    up: Floats
    absent: Floats

    @property
    def weights(self) -> Mapping[str, Floats]:
        """The trained or chosen arrays, float32 by name, without the means."""
        names = ("query", "keys", "modality", "down", "up", "absent")
        return {name: getattr(self, name) for name in names}

    def products(self, images: Floats, texts: Floats) -> Floats:
        """Returns product vectors, float32 (n, dim), unit rows; see `Fusion.products`."""
        present_tokens, present = self._tokens(images, texts)
        small = present_tokens @ self.down.transpose(0, 2, 1) @ self.up.transpose(0, 2, 1)
        values = np.where(present[:, :, None], present_tokens + small, self.absent[:, None, :])
        gate = self.gate(present_tokens, present)
        anything: Bools = np.asarray(present.any(axis=0))
        mixed = (gate[:, :, None] * values).sum(axis=0) * anything[:, None]
        return unit(mixed.astype(np.float32))

    def _tokens(self, images: Floats, texts: Floats) -> tuple[Floats, Bools]:
        """Returns tokens, float32 (2, n, dim), zeros where missing, and presence, bool (2, n)."""
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
