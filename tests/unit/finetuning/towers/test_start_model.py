"""An exported folder is an ordinary OpenCLIP model: open_clip and our registry read it alike."""

from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from mmsearch.encoders.devices import DeviceChoice
from mmsearch.encoders.registry import load_encoder
from mmsearch.errors import InputError
from mmsearch.finetuning.towers.start_model import StartModel, load_start

CPU = DeviceChoice("cpu", "requested")
TEXTS = ["a red apple", "Granny Smith &amp; pears", "a photo of   two blue birds on a wire"]


def changed(start: StartModel) -> dict[str, torch.Tensor]:
    """Other weights than the start's, as training gives them."""
    generator = torch.Generator().manual_seed(0)
    return {
        name: value + 0.02 * torch.randn(value.shape, generator=generator)
        if value.is_floating_point() and value.ndim > 1
        else value
        for name, value in start.weights().items()
    }


def drawn_images() -> list[Image.Image]:
    chance = np.random.default_rng(1)
    small = [chance.integers(0, 256, (6, 9, 3), dtype=np.uint8) for _ in range(3)]
    return [Image.fromarray(each).resize((150, 260)) for each in small]


def vectors_of_open_clip(folder: Path) -> tuple[torch.Tensor, torch.Tensor]:
    model, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    tokens = open_clip.get_tokenizer(f"local-dir:{folder}")(TEXTS)
    with torch.inference_mode():
        images = torch.stack([preprocess(image) for image in drawn_images()])
        found = model.eval().encode_image(images), model.encode_text(tokens)
    return F.normalize(found[0], dim=-1), F.normalize(found[1], dim=-1)


@pytest.mark.parametrize("kind", ["builtin", "tiny"])
def test_open_clip_and_the_registry_agree(
    kind: str, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    start = load_start("builtin" if kind == "builtin" else str(tiny_model), CPU)
    weights = changed(start)
    folder = tmp_path / "tuned"
    start.save(weights, folder, card="# Tuned\n")
    start.model.load_state_dict(weights)
    theirs = vectors_of_open_clip(folder)
    ours = load_encoder(str(folder), device="cpu")
    own = ours.encode_images(drawn_images()), ours.encode_texts(TEXTS)
    with torch.inference_mode():
        ids = start.token_ids(TEXTS)
        trained = F.normalize(
            start.model.encode_text(F.pad(ids, (0, _missing(start, ids)))), dim=-1
        )
    for one, other in zip(theirs, own, strict=True):
        assert (one.numpy() * other).sum(axis=1).min() > 0.999
    assert (theirs[1] * trained).sum(dim=1).min() > 0.999
    assert (folder / "README.md").read_text("utf-8") == "# Tuned\n"
    assert not [each for each in folder.iterdir() if each.name.startswith(".")]


def _missing(start: StartModel, ids: torch.Tensor) -> int:
    return start.tokenizer.context - ids.shape[1]


def test_what_else_lies_in_the_folder_stays(tiny_model: Path, tmp_path: Path) -> None:
    start = load_start(str(tiny_model), CPU)
    (tmp_path / "split.json").write_text("{}\n", "utf-8")
    (tmp_path / "README.md").write_text("mine\n", "utf-8")
    start.save(start.weights(), tmp_path)
    start.save(changed(start), tmp_path)
    assert sorted(each.name for each in tmp_path.iterdir()) == [
        "README.md",
        "open_clip_config.json",
        "open_clip_model.safetensors",
        "split.json",
    ]
    assert (tmp_path / "README.md").read_text("utf-8") == "mine\n"
    again = load_start(str(tmp_path), CPU)
    wanted = changed(start)["visual.proj"]
    torch.testing.assert_close(again.weights()["visual.proj"], wanted, atol=2e-3, rtol=0)


def test_a_place_that_cannot_be_written_is_one_message(tiny_model: Path, tmp_path: Path) -> None:
    start = load_start(str(tiny_model), CPU)
    (tmp_path / "file").write_text("", "utf-8")
    with pytest.raises(InputError, match="the model cannot be written to"):
        start.save(start.weights(), tmp_path / "file")
