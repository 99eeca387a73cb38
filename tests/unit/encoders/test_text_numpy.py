"""The NumPy text tower gives the vectors of the torch one, for every tower it says it supports."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from safetensors.torch import load_file, save_file

from mmsearch.encoders.files import read_folder
from mmsearch.encoders.text_numpy import NumpyTextEncoder, supports
from mmsearch.errors import InputError

TEXTS = ["a red apple", "", "word " * 100, "two black dogs and a cat", "🍎"]

# As OpenCLIP writes its SigLIP models: no mask, the last position, a biased projection.
SIGLIP = {
    "custom_text": True,
    "init_logit_bias": -10,
    "text_cfg": {
        "no_causal_mask": True,
        "proj_bias": True,
        "pool_type": "last",
        "norm_kwargs": {"eps": 1e-6},
        "act_kwargs": {"approximate": "tanh"},
    },
}
SUPPORTED: dict[str, dict[str, Any]] = {
    "clip": {},
    "quick_gelu": {"quick_gelu": True},
    "custom_text": {"custom_text": True},
    "siglip": SIGLIP,
    "first": {"text_cfg": {"pool_type": "first"}},
    "eos": {"text_cfg": {"pool_type": "eos", "eos_id": 49407}},
    "wide": {"text_cfg": {"heads": 4, "mlp_ratio": 2.0, "layers": 1}},
}
UNSUPPORTED: dict[str, dict[str, Any]] = {
    "layer_scale": {"text_cfg": {"ls_init_value": 0.1}},
    "class_token": {"custom_text": True, "text_cfg": {"embed_cls": True}},
    "qk_norm": {"text_cfg": {"qk_norm": True}},
    "no_projection": {"embed_dim": 32, "text_cfg": {"proj_type": "none"}},
}


@pytest.mark.parametrize("changes", SUPPORTED.values(), ids=SUPPORTED)
def test_vectors_are_torchs(make_model: Callable[..., Path], changes: dict[str, Any]) -> None:
    folder = make_model(**changes)
    ours = NumpyTextEncoder(read_folder(folder, name="model")).encode_texts(TEXTS)
    np.testing.assert_allclose(ours, torch_vectors(folder), atol=1e-5)


def torch_vectors(folder: Path) -> np.ndarray[Any, Any]:
    model = open_clip.create_model(f"local-dir:{folder}").eval()
    tokenizer = open_clip.get_tokenizer(f"local-dir:{folder}")
    with torch.no_grad():
        vectors: np.ndarray[Any, Any] = model.encode_text(tokenizer(TEXTS), normalize=True).numpy()
    return vectors


def test_half_precision_weights_are_read(tiny_model: Path, tmp_path: Path) -> None:
    folder = cast(tiny_model, tmp_path, torch.float16)
    vectors = NumpyTextEncoder(read_folder(folder, name="half")).encode_texts(TEXTS)
    full = NumpyTextEncoder(read_folder(tiny_model, name="full")).encode_texts(TEXTS)
    assert (vectors * full).sum(axis=1).min() > 1 - 1e-3


@pytest.mark.parametrize("changes", UNSUPPORTED.values(), ids=UNSUPPORTED)
def test_other_towers_are_left_to_torch(
    make_model: Callable[..., Path], changes: dict[str, Any]
) -> None:
    files = read_folder(make_model(**changes), name="model")
    assert not supports(files)
    with pytest.raises(InputError, match="needs torch"):
        NumpyTextEncoder(files)


def test_bfloat16_is_left_to_torch(tiny_model: Path, tmp_path: Path) -> None:
    assert not supports(read_folder(cast(tiny_model, tmp_path, torch.bfloat16), name="model"))


def test_a_text_query_imports_no_torch(tiny_model: Path) -> None:
    script = (
        "import sys\n"
        "from mmsearch.encoders.registry import load_text_encoder\n"
        f"for name in ('builtin', {str(tiny_model)!r}):\n"
        "    encoder = load_text_encoder(name)\n"
        "    encoder.encode_texts(['a red apple', 'caf\\u00e9'])\n"
        "    encoder.space\n"
        "heavy = {'torch', 'open_clip', 'transformers', 'lancedb'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def cast(folder: Path, target: Path, dtype: torch.dtype) -> Path:
    """A copy of the model with its weights in another precision."""
    weights = load_file(folder / "open_clip_model.safetensors")
    save_file(
        {name: tensor.to(dtype) for name, tensor in weights.items()},
        target / "open_clip_model.safetensors",
    )
    config = (folder / "open_clip_config.json").read_text(encoding="utf-8")
    (target / "open_clip_config.json").write_text(config, encoding="utf-8")
    return target
