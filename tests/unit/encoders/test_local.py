"""Models that lie on this machine: bare checkpoints, open_clip's training runs, transformers."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from mmsearch.encoders.own_models import save_own_models
from mmsearch.encoders.registry import load_encoder, model_files, resolve, space_of
from mmsearch.errors import InputError, MMSearchError

ARCHITECTURE = "ViT-B-32"


@pytest.fixture(autouse=True)
def own_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.fixture(scope="module")
def weights() -> dict[str, torch.Tensor]:
    """Random weights of ViT-B-32."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        state: dict[str, torch.Tensor] = open_clip.create_model(ARCHITECTURE).state_dict()
    return state


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, weights: dict[str, torch.Tensor]) -> Path:
    """A folder as open_clip's training leaves it, with the weights of two epochs."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "checkpoints").mkdir()
    (folder / "params.txt").write_text(
        "batch_size: 64\nforce_quick_gelu: True\nimage_interpolation: bilinear\n"
        f"image_mean: (0.5, 0.5, 0.5)\nmodel: {ARCHITECTURE}\nname: shoes\npretrained: openai\n"
    )
    for epoch in (9, 10):
        state = {f"module.{name}": tensor for name, tensor in weights.items()}
        state["module.logit_scale"] = torch.tensor(float(epoch))
        content = {"epoch": epoch, "name": "shoes", "state_dict": state}
        torch.save(content, folder / "checkpoints" / f"epoch_{epoch}.pt")
    return folder


def vectors_of(name: str) -> np.ndarray:
    encoder = load_encoder(name, device="cpu")
    image = Image.fromarray(np.random.default_rng(1).integers(0, 255, (50, 40, 3), np.uint8))
    return np.concatenate([encoder.encode_images([image]), encoder.encode_texts(["red shoes"])])


def test_a_bare_checkpoint_is_the_same_model_in_every_format(
    weights: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    torch.save(weights, tmp_path / "plain.pt")
    torch.save({"epoch": 1, "state_dict": weights}, tmp_path / "wrapped.pth")
    save_file(weights, tmp_path / "plain.safetensors")
    plain, wrapped, safe = (
        vectors_of(f"{ARCHITECTURE}:{tmp_path / name}")
        for name in ("plain.pt", "wrapped.pth", "plain.safetensors")
    )
    np.testing.assert_array_equal(plain, wrapped)
    np.testing.assert_array_equal(plain, safe)


def test_a_checkpoint_is_known_by_its_absolute_path(
    weights: dict[str, torch.Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_file(weights, tmp_path / "w.safetensors")
    monkeypatch.chdir(tmp_path)
    name = f"{ARCHITECTURE}:{tmp_path / 'w.safetensors'}"
    assert resolve(f"{ARCHITECTURE}:w.safetensors").name == name
    space = space_of(f"{ARCHITECTURE}:./w.safetensors")
    assert space is not None
    assert (space.model, space.dim) == (name, 512)


def test_a_training_run_is_its_last_epoch_with_its_settings(run: Path) -> None:
    for place in (run, run / "checkpoints", run / "checkpoints" / "epoch_10.pt"):
        files = model_files(str(place))
        assert files.weights == run / "checkpoints" / "epoch_10.pt"
        assert files.config["quick_gelu"] is True
        assert files.preprocessing.mean == (0.5, 0.5, 0.5)
        assert files.preprocessing.interpolation == "bilinear"
    older = model_files(str(run / "checkpoints" / "epoch_9.pt"))
    assert older.weights.name == "epoch_9.pt"
    assert vectors_of(str(run)).shape == (2, 512)


def test_a_training_run_without_checkpoints_is_refused(tmp_path: Path) -> None:
    (tmp_path / "params.txt").write_text(f"model: {ARCHITECTURE}\n")
    with pytest.raises(InputError, match="holds no checkpoint"):
        model_files(str(tmp_path))


def test_weights_of_another_architecture_are_refused(
    weights: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    save_file(weights, tmp_path / "w.safetensors")
    with pytest.raises(InputError, match="does not fit its configuration"):
        load_encoder(f"ViT-B-16:{tmp_path / 'w.safetensors'}", device="cpu")


class Harmful:
    """Unpickling it would make a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.folder),)


def test_a_checkpoint_that_would_run_code_is_refused(tmp_path: Path) -> None:
    torch.save({"state_dict": Harmful(tmp_path / "harm")}, tmp_path / "bad.pt")
    with pytest.raises(InputError, match="may run code"):
        load_encoder(f"{ARCHITECTURE}:{tmp_path / 'bad.pt'}", device="cpu")
    assert not (tmp_path / "harm").exists()


def test_a_clip_of_transformers_gives_the_vectors_of_transformers(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    tower = {
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 96,
    }
    config = transformers.CLIPConfig(
        text_config={**tower, "max_position_embeddings": 32, "hidden_act": "gelu"},
        vision_config={**tower, "image_size": 64, "patch_size": 16, "hidden_act": "gelu"},
        projection_dim=48,
    )
    with torch.random.fork_rng():
        torch.manual_seed(5)
        model = transformers.CLIPModel(config).eval()
    model.save_pretrained(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text(
        json.dumps({"image_mean": [0.5] * 3, "image_std": [0.25] * 3, "resample": 3})
    )
    encoder = load_encoder(str(tmp_path), device="cpu")
    assert encoder.space.dim == 48
    pixels = np.random.default_rng(2).integers(0, 255, (3, 64, 64, 3), np.uint8)
    texts = ["red shoes", "a long blue dress with a belt", "x"]
    tokens = torch.from_numpy(encoder._tokenizer(texts).ids)  # type: ignore[attr-defined]
    with torch.inference_mode():
        expected = model(
            input_ids=tokens,
            # OpenCLIP's BPE pads with 0, which is the token '!' here: mask it.
            attention_mask=(tokens != 0).long(),
            pixel_values=(torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255 - 0.5) / 0.25,
        )
    images = torch.nn.functional.normalize(expected.image_embeds, dim=-1).numpy()
    np.testing.assert_allclose(encoder.encode_pixels(pixels), images, atol=1e-5)
    words = torch.nn.functional.normalize(expected.text_embeds, dim=-1).numpy()
    np.testing.assert_allclose(encoder.encode_texts(texts), words, atol=1e-5)


def test_a_model_without_a_text_tower_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"architecture": "resnet50"}))
    with pytest.raises(InputError, match=r"type 'resnet50'; .* both images and texts"):
        load_encoder(str(tmp_path), device="cpu")


def test_an_own_name_stands_for_its_location(tiny_model: Path) -> None:
    save_own_models({"mine": str(tiny_model)})
    assert resolve("mine").name == str(tiny_model)
    with pytest.raises(MMSearchError, match="did you mean 'mine'"):
        resolve("mnie")


def test_safetensors_of_the_tiny_model_are_untouched(tiny_model: Path) -> None:
    """A folder of OpenCLIP is still read as before."""
    files = model_files(str(tiny_model))
    assert not files.from_transformers
    assert set(load_file(files.weights)) >= {"text_projection", "logit_scale"}
