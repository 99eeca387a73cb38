"""A tiny OpenCLIP model, made on the spot: real architecture, real tokenizer, random weights."""

import json
from pathlib import Path

import pytest

# Two small layers a tower; the vocabulary is that of OpenCLIP's own BPE.
TINY_CONFIG = {
    "model_cfg": {
        "embed_dim": 24,
        "vision_cfg": {
            "image_size": 32,
            "layers": 2,
            "width": 32,
            "head_width": 16,
            "patch_size": 8,
        },
        "text_cfg": {
            "context_length": 16,
            "vocab_size": 49408,
            "width": 32,
            "heads": 2,
            "layers": 2,
        },
    },
    "preprocess_cfg": {
        "size": 32,
        "mode": "RGB",
        "mean": [0.5, 0.45, 0.4],
        "std": [0.25, 0.3, 0.35],
        "interpolation": "bicubic",
        "resize_mode": "shortest",
        "fill_color": 0,
    },
}


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with open_clip_config.json and open_clip_model.safetensors, 32-pixel images."""
    import torch
    from open_clip import CLIP
    from safetensors.torch import save_file

    folder = tmp_path_factory.mktemp("tiny_model")
    (folder / "open_clip_config.json").write_text(json.dumps(TINY_CONFIG), encoding="utf-8")
    with torch.random.fork_rng():
        torch.manual_seed(7)
        model = CLIP(**TINY_CONFIG["model_cfg"])
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    return folder
