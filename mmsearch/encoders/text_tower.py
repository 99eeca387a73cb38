"""OpenCLIP's own text tower in two steps: token ids are pooled, then projected into the space.

Texts may be shorter than the context: OpenCLIP's forward pass always computes the full one, most of
it padding.
"""

from typing import Any

import torch
import torch.nn.functional as F
from open_clip.transformer import TextTransformer, text_global_pool
from torch import Tensor, nn


def text_tower(model: Any) -> Any:
    """A CLIP holds its text tower's parts itself, a CustomTextCLIP as `text`."""
    return getattr(model, "text", model)


def pool(tower: Any, ids: Tensor) -> Tensor:
    """ids: int64 (n, length); shorter than the context only under a causal mask → (n, width)."""
    length = ids.shape[1]
    x = tower.token_embedding(ids) + tower.positional_embedding[:length]
    mask = None if tower.attn_mask is None else tower.attn_mask[:length, :length]
    x = tower.ln_final(tower.transformer(x, attn_mask=mask))
    kind = tower.pool_type if isinstance(tower, TextTransformer) else tower.text_pool_type
    end = tower.eos_id if isinstance(tower, TextTransformer) else tower.text_eos_id
    pooled: Tensor = text_global_pool(x, ids, kind, eos_token_id=end)
    return pooled


def project(tower: Any, pooled: Tensor) -> Tensor:
    """pooled: (n, width) → (n, dim), not normalised."""
    match tower.text_projection:
        case None:
            return pooled
        case nn.Linear() as linear:
            return F.linear(pooled, linear.weight, linear.bias)
        case matrix:
            return pooled @ torch.as_tensor(matrix)
