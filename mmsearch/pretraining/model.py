"""Builds the dual encoder that open_clip loads, and gives it a good start from the teachers.

The image head's first layer starts as the ImageNet classifier: after GELU only the few classes
with a high logit stay, and its second layer places them at the text vectors of their names. So
photographs are understood before the first step (ConSE), and training adds the rest.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mmsearch.pretraining.text.vocabulary import START_ID

if TYPE_CHECKING:
    import torch
    from open_clip import CLIP

    from mmsearch.pretraining.text.word_vectors import WeightedBag


# The classifier's logits have mean 0 and deviation 1.3; what it sees stands above 4.
THRESHOLD = 4.0
GAIN = 2.0


def model_config(
    *, embed_dim: int, trunk: str, size: int, text: dict[str, Any], vocab: int
) -> dict[str, Any]:
    """open_clip's model_cfg."""
    return {
        "embed_dim": embed_dim,
        "vision_cfg": {
            "timm_model_name": trunk,
            "timm_model_pretrained": False,
            "timm_pool": "avg",
            "timm_proj": "mlp",
            "timm_proj_bias": True,
            "image_size": size,
        },
        "text_cfg": {
            **text,
            "vocab_size": vocab,
            "hf_tokenizer_name": "tokenizer.json",
            "pad_id": 0,
            "pool_type": "argmax",
        },
    }


def build(config: dict[str, Any]) -> "CLIP":
    from open_clip import CLIP

    model: CLIP = CLIP(**config)
    return model.eval()


def start_head(
    head: Any,
    classifier: "torch.nn.Linear",
    class_vectors: "torch.Tensor",
) -> None:
    """Writes the classifier into the head's first units, and class vectors into its second layer.

    class_vectors: float32 (classes, embed_dim), unit rows. A unit gives gelu(GAIN·(logit −
    THRESHOLD)). Units beyond the classes keep their random start, with a small output.
    """
    import torch

    first, second = head.fc1, head.fc2
    classes = class_vectors.shape[0]
    with torch.no_grad():
        first.weight[:classes] = GAIN * classifier.weight
        first.bias[:classes] = GAIN * (classifier.bias - THRESHOLD)
        second.weight *= 0.1
        second.weight[:, :classes] = class_vectors.T / GAIN
        if second.bias is not None:
            second.bias.zero_()


def standardise_head(head: Any, features: "torch.Tensor") -> None:
    """Folds the features' mean and deviation into the first layer: features float32 (n, width).

    An untrained trunk's features differ little from picture to picture; this shows the difference.
    """
    import torch

    with torch.no_grad():
        deviation = features.std(dim=0).clamp(min=1e-6 + features.std() * 1e-3)
        head.fc1.weight /= deviation
        head.fc1.bias -= head.fc1.weight @ features.mean(dim=0)


def start_text(model: "CLIP", bag: "WeightedBag") -> None:
    """Makes the text tower begin as the weighted bag of words: the first block's attention pools
    the tokens with the bag's weights, everything after it starts at nothing.
    """
    import torch

    width = model.token_embedding.weight.shape[1]
    first, *_ = blocks = list(model.transformer.resblocks)
    head = width // first.attn.num_heads
    with torch.no_grad():
        model.positional_embedding.mul_(0.1)
        model.token_embedding.weight.copy_(bag.vectors)
        for special in (0, START_ID, bag.vectors.shape[0] - 1):
            model.token_embedding.weight[special] = 0
        for block in blocks:
            block.mlp.c_proj.weight.zero_()
            block.attn.out_proj.weight.zero_()
        in_proj, bias = first.attn.in_proj_weight, first.attn.in_proj_bias
        in_proj.zero_()
        # Every head asks the same question of each token: its first key dimension times a constant.
        bias[:width:head] = head**0.5
        in_proj[width : 2 * width : head] = bag.query
        in_proj[2 * width :] = torch.eye(width)
        first.attn.out_proj.weight.copy_(torch.eye(width))
        first.attn.out_proj.bias.copy_(bag.bias)
        model.text_projection.zero_()
        model.text_projection.copy_(torch.eye(width, model.text_projection.shape[1]))


def encode_ids(model: "CLIP", ids: "torch.Tensor") -> "torch.Tensor":
    """int64 (n, context) → float32 (n, embed_dim) unit rows: encode_text without wasted work."""
    import torch.nn.functional as F

    return F.normalize(pool_ids(model, ids) @ model.text_projection, dim=-1)


def pool_ids(model: "CLIP", ids: "torch.Tensor") -> "torch.Tensor":
    """int64 (n, context) → float32 (n, width): what the text projection is given.

    Causal attention keeps padding from touching the end token, so it is cut; and after the last
    block only the end token is read, so only that is computed there.
    """
    import torch

    length = int((ids != 0).sum(dim=1).max())
    ids = ids[:, :length]
    x = model.token_embedding(ids) + model.positional_embedding[:length]
    rows, ends = torch.arange(len(ids)), ids.argmax(dim=1)
    blocks: list[Any] = list(model.transformer.resblocks)
    for block in blocks[:-1]:
        x = x + _attend(block, x, None)
        x = x + block.mlp(block.ln_2(x))
    last = blocks[-1]
    end = x[rows, ends] + _attend(last, x, ends)
    end = end + last.mlp(last.ln_2(end))
    pooled: torch.Tensor = model.ln_final(end)
    return pooled


def pool_all(model: "CLIP", ids: "torch.Tensor") -> "torch.Tensor":
    """`pool_ids` without gradient, for many texts: those of like length together."""
    import torch

    order = (ids != 0).sum(dim=1).argsort(stable=True)
    pooled = torch.empty(len(ids), model.token_embedding.weight.shape[1])
    with torch.no_grad():
        for start in range(0, len(order), 512):
            part = order[start : start + 512]
            pooled[part] = pool_ids(model, ids[part])
    return pooled


def _attend(block: Any, x: "torch.Tensor", ends: "torch.Tensor | None") -> "torch.Tensor":
    """Causal self-attention of (n, length, width); with `ends`, for one query position a text."""
    import torch
    import torch.nn.functional as F

    attention, normal = block.attn, block.ln_1(x)
    n, length, width = x.shape
    weights = attention.in_proj_weight.chunk(3)
    biases = attention.in_proj_bias.chunk(3)
    asked = normal if ends is None else normal[torch.arange(n), ends].unsqueeze(1)
    q, k, v = (
        F.linear(source, weight, bias).view(
            n, -1, attention.num_heads, width // attention.num_heads
        )
        for source, weight, bias in zip((asked, normal, normal), weights, biases, strict=True)
    )
    mask = None
    if ends is not None:
        mask = (torch.arange(length) <= ends[:, None])[:, None, None, :]
    mixed = F.scaled_dot_product_attention(
        q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2), mask, is_causal=ends is None
    )
    out = F.linear(
        mixed.transpose(1, 2).reshape(n, -1, width),
        attention.out_proj.weight,
        attention.out_proj.bias,
    )
    return out if ends is None else out[:, 0]


def trainable(model: "CLIP", prefixes: Sequence[str]) -> list["torch.nn.Parameter"]:
    """Unfreezes the parameters under `prefixes`, freezes the rest, and returns the unfrozen."""
    chosen = []
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name.startswith(tuple(prefixes)))
        if parameter.requires_grad:
            chosen.append(parameter)
    return chosen
