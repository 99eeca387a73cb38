"""The dual encoder that a recipe trains: open_clip's own, initialised from the teachers.

The image head's first layer starts as the ImageNet classifier: after GELU only the few classes with
a high logit stay, and its second layer maps them to the text vectors of their names (ConSE, Norouzi
et al. 2014). So photographs are understood before the first step.
"""

from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from mmsearch.encoders.text_tower import pool, project
from mmsearch.pretraining.recipe import Recipe
from mmsearch.pretraining.text.tokenizer import PAD_ID

if TYPE_CHECKING:
    from open_clip import CLIP

# Top-level names of the text tower's parameters.
TEXT_TOWER = (
    "token_embedding",
    "positional_embedding",
    "transformer",
    "ln_final",
    "text_projection",
)
# The classifier's logits have mean 0 and deviation 1.3; classes that it recognises are above 4.
THRESHOLD = 4.0
GAIN = 2.0
# Texts encoded at once without gradients.
_BATCH = 512


def model_config(recipe: Recipe, *, vocabulary: int) -> dict[str, Any]:
    """Returns the content of open_clip_config.json; vocabulary: number of word pieces."""
    image, text = recipe.image, recipe.text
    return {
        "model_cfg": {
            "embed_dim": recipe.embed_dim,
            "vision_cfg": {
                "timm_model_name": image.trunk,
                "timm_model_pretrained": False,
                "timm_pool": "avg",
                "timm_proj": "mlp",
                "timm_proj_bias": True,
                "image_size": image.size,
            },
            "text_cfg": {
                "context_length": text.context,
                "width": text.width,
                "heads": text.heads,
                "layers": text.layers,
                "vocab_size": vocabulary,
                "hf_tokenizer_name": "tokenizer.json",
                "pad_id": PAD_ID,
                "pool_type": "argmax",
            },
        },
        # As images/views.py makes the plain view.
        "preprocess_cfg": {
            "size": [image.size, image.size],
            "mean": [0.5, 0.5, 0.5],
            "std": [0.5, 0.5, 0.5],
            "interpolation": "bicubic",
            "resize_mode": "shortest",
        },
    }


def build_model(model_cfg: dict[str, Any]) -> "CLIP":
    """Builds open_clip's model of a model_cfg, with random weights."""
    from open_clip import CLIP

    model: CLIP = CLIP(**model_cfg)
    return model.eval()


@torch.no_grad()
def initialise_head(head: Any, classifier: torch.nn.Linear, class_vectors: Tensor) -> None:
    """Writes the classifier into the head's first layer, and class vectors into its second.

    class_vectors: float32 (classes, embed_dim), unit rows. A hidden unit gives
    gelu(GAIN · (logit - THRESHOLD)). Units beyond the classes keep their random weights, with a
    small output.
    """
    first, second = head.fc1, head.fc2
    classes = class_vectors.shape[0]
    first.weight[:classes] = GAIN * classifier.weight
    first.bias[:classes] = GAIN * (classifier.bias - THRESHOLD)
    second.weight *= 0.1
    second.weight[:, :classes] = class_vectors.T / GAIN
    if second.bias is not None:
        second.bias.zero_()


@torch.no_grad()
def standardise_head(head: Any, features: Tensor) -> None:
    """Folds the features' mean and deviation into the first layer; features: float32 (n, width).

    An untrained trunk's features differ little from image to image; this amplifies the difference.
    """
    deviation = features.std(dim=0).clamp(min=1e-6 + features.std() * 1e-3)
    head.fc1.weight /= deviation
    head.fc1.bias -= head.fc1.weight @ features.mean(dim=0)


def encode_ids(model: "CLIP", ids: Tensor) -> Tensor:
    """Encodes token ids, int64 (n, context): float32 (n, embed_dim), unit rows."""
    # Under the causal mask nothing depends on the padding at the end.
    length = int((ids != PAD_ID).sum(dim=1).max())
    return F.normalize(project(model, pool(model, ids[:, :length])), dim=-1)


@torch.no_grad()
def pool_all(model: "CLIP", ids: Tensor) -> Tensor:
    """Computes the text projection's inputs for many texts: float32 (n, width).

    ids: int64 (n, context). Texts of similar length are computed together.
    """
    lengths = (ids != PAD_ID).sum(dim=1)
    order = lengths.argsort(stable=True)
    pooled = torch.empty(len(ids), model.token_embedding.weight.shape[1])
    for part in torch.split(order, _BATCH):
        pooled[part] = pool(model, ids[part, : int(lengths[part].max())])
    return pooled


def unfreeze(model: "CLIP", prefixes: tuple[str, ...]) -> dict[str, torch.nn.Parameter]:
    """Freezes all parameters but those under `prefixes`, and returns these by name."""
    unfrozen = {}
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name.startswith(prefixes))
        if parameter.requires_grad:
            unfrozen[name] = parameter
    return unfrozen
