"""OpenCLIP's text tower in two steps: pooling of token ids, then projection into the space.

The sequence may be shorter than the context, while OpenCLIP's own forward pass always computes all
of it, mostly padding.
"""

from typing import Any

import torch
import torch.nn.functional as F
from open_clip.transformer import TextTransformer, text_global_pool
from torch import Tensor, nn


def text_tower(model: Any) -> Any:
    """Returns the module with the text tower's parts: a CLIP itself, a CustomTextCLIP's `text`."""
    return getattr(model, "text", model)


def pool(tower: Any, ids: Tensor) -> Tensor:
    """Runs the transformer and pools: int64 (n, length) → (n, width).

    The length may be shorter than the context only under a causal mask.
    """
    length = ids.shape[1]
    x = tower.token_embedding(ids) + tower.positional_embedding[:length]
    mask = None if tower.attn_mask is None else tower.attn_mask[:length, :length]
    x = tower.ln_final(tower.transformer(x, attn_mask=mask))
    kind = tower.pool_type if isinstance(tower, TextTransformer) else tower.text_pool_type
    end = tower.eos_id if isinstance(tower, TextTransformer) else tower.text_eos_id
    pooled: Tensor = text_global_pool(x, ids, kind, eos_token_id=end)
    return pooled


def project(tower: Any, pooled: Tensor) -> Tensor:
    """Projects pooled vectors, (n, width) → (n, dim), not normalised."""
    match tower.text_projection:
        case None:
            return pooled
        case nn.Linear() as linear:
            return F.linear(pooled, linear.weight, linear.bias)
        case matrix:
            return pooled @ torch.as_tensor(matrix)
