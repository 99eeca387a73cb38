"""Reads CLIP models in the format of the transformers library as OpenCLIP models.

The two name and lay out the same weights differently.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmsearch.encoders.files import ModelFiles, find_weights, preprocessing_of, read_json
from mmsearch.errors import InputError
from mmsearch.records import printable_path

if TYPE_CHECKING:
    from torch import Tensor

CONFIG_NAME = "config.json"
_PREPROCESSOR_NAME = "preprocessor_config.json"
_CLIP_VOCABULARY = 49408
# Pillow's numbers, as preprocessor_config.json has them.
_RESAMPLING = {2: "bilinear", 3: "bicubic"}
_RENAMED = (
    ("text_model.embeddings.token_embedding.weight", "token_embedding.weight"),
    ("text_model.embeddings.position_embedding.weight", "positional_embedding"),
    ("text_model.encoder.layers.", "transformer.resblocks."),
    ("text_model.final_layer_norm.", "ln_final."),
    ("vision_model.embeddings.class_embedding", "visual.class_embedding"),
    ("vision_model.embeddings.patch_embedding.weight", "visual.conv1.weight"),
    ("vision_model.embeddings.position_embedding.weight", "visual.positional_embedding"),
    ("vision_model.encoder.layers.", "visual.transformer.resblocks."),
    ("vision_model.pre_layrnorm.", "visual.ln_pre."),
    ("vision_model.post_layernorm.", "visual.ln_post."),
    ("self_attn.out_proj.", "attn.out_proj."),
    ("layer_norm1.", "ln_1."),
    ("layer_norm2.", "ln_2."),
    ("mlp.fc1.", "mlp.c_fc."),
    ("mlp.fc2.", "mlp.c_proj."),
)
_TRANSPOSED = {
    "text_projection.weight": "text_projection",
    "visual_projection.weight": "visual.proj",
}


def read_transformers(folder: Path, *, name: str) -> ModelFiles:
    """Finds the files of a CLIP model of transformers. Raises InputError for other models."""
    config = read_json(folder / CONFIG_NAME)
    kind = config.get("model_type") or config.get("architecture") or "unknown"
    shown = printable_path(folder)
    if kind != "clip":
        raise InputError(
            f"{shown} holds a model of type '{kind}'; of transformers' models only CLIP can be "
            "read, and a model must embed both images and texts; use its OpenCLIP version (a "
            "folder with open_clip_config.json)"
        )
    text, vision = _with_defaults(config, "text"), _with_defaults(config, "vision")
    if text["vocab_size"] != _CLIP_VOCABULARY:
        raise InputError(
            f"{shown} has a vocabulary of {text['vocab_size']:,} tokens; only CLIP's own of "
            f"{_CLIP_VOCABULARY:,} is supported"
        )
    model_cfg = {
        "embed_dim": config.get("projection_dim", 512),
        "quick_gelu": text["hidden_act"] == "quick_gelu",
        "vision_cfg": {
            "image_size": vision["image_size"],
            "layers": vision["num_hidden_layers"],
            "width": vision["hidden_size"],
            "head_width": vision["hidden_size"] // vision["num_attention_heads"],
            "mlp_ratio": vision["intermediate_size"] / vision["hidden_size"],
            "patch_size": vision["patch_size"],
        },
        "text_cfg": {
            "context_length": text["max_position_embeddings"],
            "vocab_size": text["vocab_size"],
            "width": text["hidden_size"],
            "heads": text["num_attention_heads"],
            "layers": text["num_hidden_layers"],
            "mlp_ratio": text["intermediate_size"] / text["hidden_size"],
        },
    }
    return ModelFiles(
        name=name,
        config=model_cfg,
        preprocessing=preprocessing_of(model_cfg, _preprocessing(folder)),
        weights=find_weights(folder),
        from_transformers=True,
    )


def open_clip_weights(weights: Mapping[str, "Tensor"]) -> dict[str, "Tensor"]:
    """Renames transformers' weights as OpenCLIP's; query, key and value become one matrix."""
    import torch

    converted: dict[str, Tensor] = {}
    for name, tensor in weights.items():
        if name.endswith("position_ids"):
            continue
        if name in _TRANSPOSED:
            converted[_TRANSPOSED[name]] = tensor.T.contiguous()
        elif ".self_attn.q_proj." in name:
            parts = [weights[name.replace("q_proj", f"{part}_proj")] for part in "qkv"]
            renamed = name.replace("self_attn.q_proj.", "attn.in_proj_")
            converted[_renamed(renamed)] = torch.cat(parts)
        elif ".self_attn.k_proj." not in name and ".self_attn.v_proj." not in name:
            converted[_renamed(name)] = tensor
    return converted


def _renamed(name: str) -> str:
    for old, new in _RENAMED:
        name = name.replace(old, new)
    return name


def _with_defaults(config: Mapping[str, Any], tower: str) -> dict[str, Any]:
    """Returns a tower's settings; config.json leaves out those of OpenAI's ViT-B/32."""
    sizes = {"text": (512, 8, 2048), "vision": (768, 12, 3072)}
    width, heads, hidden = sizes[tower]
    return {
        "hidden_size": width,
        "num_attention_heads": heads,
        "intermediate_size": hidden,
        "num_hidden_layers": 12,
        "hidden_act": "quick_gelu",
        "vocab_size": _CLIP_VOCABULARY,
        "max_position_embeddings": 77,
        "image_size": 224,
        "patch_size": 32,
        **(config.get(f"{tower}_config_dict") or {}),
        **(config.get(f"{tower}_config") or {}),
    }


def _preprocessing(folder: Path) -> dict[str, Any]:
    if not (folder / _PREPROCESSOR_NAME).is_file():
        return {}
    config = read_json(folder / _PREPROCESSOR_NAME)
    size = config.get("size")
    squashed = isinstance(size, dict) and "height" in size and not config.get("do_center_crop")
    return {
        "mean": config.get("image_mean"),
        "std": config.get("image_std"),
        "interpolation": _RESAMPLING.get(config.get("resample", 3), "bicubic"),
        "resize_mode": "squash" if squashed else "shortest",
    }
