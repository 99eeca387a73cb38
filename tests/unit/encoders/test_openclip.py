"""The adapter gives open_clip's own vectors, in eval mode, from files that can run no code."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from mmsearch.encoders.devices import DeviceChoice
from mmsearch.encoders.files import read_folder
from mmsearch.encoders.openclip import OpenClipEncoder
from mmsearch.encoders.registry import load_encoder
from mmsearch.errors import InputError

CPU = DeviceChoice("cpu", "test")
TEXTS = ["a red apple", "", "word " * 100, "two black dogs and a cat", "🍎"]
WEIGHTS = "open_clip_model.safetensors"

TOWERS: dict[str, dict[str, Any]] = {
    "vit": {},
    "resnet": {"vision_cfg": {"layers": [1, 1, 1, 1], "width": 16, "patch_size": None}},
    "timm": {
        "vision_cfg": {
            "timm_model_name": "resnet10t",
            "timm_pool": "avg",
            "timm_proj": "linear",
            "layers": None,
        }
    },
    "unmasked_text": {
        "custom_text": True,
        "text_cfg": {"no_causal_mask": True, "pool_type": "last", "proj_bias": True},
    },
    "class_token_text": {"custom_text": True, "text_cfg": {"embed_cls": True}},
}


@pytest.mark.parametrize("changes", TOWERS.values(), ids=TOWERS)
def test_vectors_are_open_clips_own(
    make_model: Callable[..., Path], changes: dict[str, Any]
) -> None:
    folder = make_model(**changes)
    encoder = OpenClipEncoder(read_folder(folder, name="model"), CPU, batch_size=2)
    model, _, transform = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    images = [Image.effect_noise((70 + n, 40), 90).convert("RGB") for n in range(3)]
    with torch.no_grad():
        model.eval()
        pixels = torch.stack([transform(image) for image in images])
        from_images = model.encode_image(pixels, normalize=True).numpy()
        ids = open_clip.get_tokenizer(f"local-dir:{folder}")(TEXTS)
        from_texts = model.encode_text(ids, normalize=True).numpy()
    np.testing.assert_allclose(encoder.encode_images(images), from_images, atol=1e-4)
    np.testing.assert_allclose(encoder.encode_texts(TEXTS), from_texts, atol=1e-4)


def test_the_model_is_in_eval_mode(make_model: Callable[..., Path]) -> None:
    """In train mode, dropout and batch statistics would make vectors depend on the company."""
    encoder = OpenClipEncoder(read_folder(make_model(**TOWERS["timm"]), name="model"), CPU)
    modules = list(encoder._model.modules())
    assert len(modules) > 20
    assert not any(module.training for module in modules)


def test_the_size_of_the_batch_changes_nothing(tiny_model: Path) -> None:
    files = read_folder(tiny_model, name="tiny")
    pixels = np.random.default_rng(2).integers(0, 256, (7, 32, 32, 3), dtype=np.uint8)
    one, many = (OpenClipEncoder(files, CPU, batch_size=size) for size in (1, 64))
    np.testing.assert_allclose(one.encode_pixels(pixels), many.encode_pixels(pixels), atol=1e-5)
    np.testing.assert_allclose(one.encode_texts(TEXTS), many.encode_texts(TEXTS), atol=1e-5)


def test_half_precision_weights_run_in_float32(tiny_model: Path, tmp_path: Path) -> None:
    folder = copied(tiny_model, tmp_path)
    half = {name: tensor.half() for name, tensor in load_file(folder / WEIGHTS).items()}
    save_file(half, folder / WEIGHTS)
    encoder = load_encoder(str(folder), device="cpu")
    vectors = encoder.encode_texts(TEXTS)
    full = load_encoder(str(tiny_model), device="cpu").encode_texts(TEXTS)
    assert vectors.dtype == np.float32
    assert (vectors * full).sum(axis=1).min() > 1 - 1e-3


def test_plain_pickled_tensors_are_read(tiny_model: Path, tmp_path: Path) -> None:
    folder = copied(tiny_model, tmp_path)
    torch.save(load_file(folder / WEIGHTS), folder / "open_clip_pytorch_model.bin")
    (folder / WEIGHTS).unlink()
    vectors = load_encoder(str(folder), device="cpu").encode_texts(TEXTS)
    expected = load_encoder(str(tiny_model), device="cpu").encode_texts(TEXTS)
    np.testing.assert_array_equal(vectors, expected)


class Intruder:
    """What a pickle may hold: a call that runs when it is loaded."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.trace,)


def test_a_pickle_that_runs_code_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    folder = copied(tiny_model, tmp_path)
    (folder / WEIGHTS).unlink()
    torch.save({"weight": Intruder(tmp_path / "ran")}, folder / "open_clip_pytorch_model.bin")
    with pytest.raises(InputError, match=r"pickle.*convert it to safetensors"):
        load_encoder(str(folder), device="cpu")
    assert not (tmp_path / "ran").exists()


def test_weights_of_another_architecture_are_refused(
    tiny_model: Path, make_model: Callable[..., Path], tmp_path: Path
) -> None:
    folder = copied(make_model(embed_dim=40), tmp_path)
    shutil.copy(tiny_model / WEIGHTS, folder / WEIGHTS)
    with pytest.raises(InputError, match="does not fit its configuration"):
        load_encoder(str(folder), device="cpu")


def test_damaged_weights_are_refused(tiny_model: Path, tmp_path: Path) -> None:
    folder = copied(tiny_model, tmp_path)
    content = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=WEIGHTS):
        load_encoder(str(folder), device="cpu")


@pytest.mark.parametrize(
    ("tower", "key", "value", "message"),
    [
        ("vision_cfg", "timm_model_name", "hf-hub:someone/something", "which is remote"),
        ("text_cfg", "hf_model_name", "someone/something", "config.json"),
    ],
)
def test_a_local_model_never_asks_a_hub(
    tiny_model: Path, tmp_path: Path, tower: str, key: str, value: str, message: str
) -> None:
    folder = copied(tiny_model, tmp_path)
    file = folder / "open_clip_config.json"
    config = json.loads(file.read_text(encoding="utf-8"))
    config["model_cfg"][tower][key] = value
    file.write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(InputError, match=message):
        load_encoder(str(folder), device="cpu")


def test_local_models_load_with_the_network_cut(make_model: Callable[..., Path]) -> None:
    folders = [str(make_model(**TOWERS[name])) for name in ("vit", "timm")]
    script = (
        "import socket\n"
        "def refuse(*_, **__): raise AssertionError('a network call')\n"
        "socket.socket.connect = socket.getaddrinfo = refuse\n"
        "from PIL import Image\n"
        "from mmsearch.encoders.registry import load_encoder\n"
        f"for name in ('builtin', *{folders!r}):\n"
        "    encoder = load_encoder(name, device='cpu')\n"
        "    encoder.encode_texts(['a red apple'])\n"
        "    encoder.encode_images([Image.new('RGB', (9, 9))])\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def copied(folder: Path, target: Path) -> Path:
    return Path(shutil.copytree(folder, target / "copy"))
