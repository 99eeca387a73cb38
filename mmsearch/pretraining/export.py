"""Writes a trained model as a folder that open_clip itself loads.

open_clip_config.json, open_clip_model.safetensors (float16), tokenizer.json and a card.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmsearch.pretraining.text import vocabulary

if TYPE_CHECKING:
    from open_clip import CLIP
    from tokenizers import Tokenizer

PREPROCESS = {
    "mean": [0.5, 0.5, 0.5],
    "std": [0.5, 0.5, 0.5],
    "interpolation": "bicubic",
    "resize_mode": "shortest",
}


def write_folder(
    folder: Path,
    *,
    clip: "CLIP",
    config: dict[str, Any],
    tokenizer: "Tokenizer",
    card: str,
) -> None:
    """The folder is made if it is missing; files of the same names are replaced."""
    import torch
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    tensors = {
        # Whole numbers are batch-norm's counters; open_clip wants to find them.
        name: (tensor.to(torch.float16) if tensor.is_floating_point() else tensor).contiguous()
        for name, tensor in clip.state_dict().items()
    }
    weights = folder / "open_clip_model.safetensors"
    save_file(tensors, weights)
    # safetensors writes for the owner alone, and a wheel keeps the mode.
    weights.chmod(0o644)
    size = config["vision_cfg"]["image_size"]
    whole = {"model_cfg": config, "preprocess_cfg": {"size": [size, size], **PREPROCESS}}
    (folder / "open_clip_config.json").write_text(json.dumps(whole, indent=2) + "\n", "utf-8")
    vocabulary.save(tokenizer, folder, context=config["text_cfg"]["context_length"])
    (folder / "README.md").write_text(card, "utf-8")
