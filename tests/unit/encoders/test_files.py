"""What is read from a model's folder, and how its space follows from it."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import load_file, save_file

from mmsearch.encoders.files import ModelFiles, read_folder, weights_hash
from mmsearch.errors import InputError
from mmsearch.media import Preprocessing
from mmsearch.records import SpaceId

CONFIG = "open_clip_config.json"
WEIGHTS = "open_clip_model.safetensors"


def test_preprocessing_is_the_models_own(tiny_model: Path) -> None:
    files = read_folder(tiny_model, name="tiny")
    assert files.preprocessing == Preprocessing(
        size=32, mean=(0.5, 0.45, 0.4), std=(0.25, 0.3, 0.35)
    )


def test_the_size_is_the_image_towers(tiny_model: Path, tmp_path: Path) -> None:
    folder = edited(tiny_model, tmp_path, lambda c: c["preprocess_cfg"].update(size=999))
    assert read_folder(folder, name="tiny").preprocessing.size == 32


def test_the_space_is_that_of_the_content(tiny_model: Path, tmp_path: Path) -> None:
    same = Path(shutil.copytree(tiny_model, tmp_path / "same"))
    assert space_of(same) == space_of(tiny_model)
    assert space_of(tiny_model).dim == 24


def test_other_weights_are_another_space(tiny_model: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_model, tmp_path / "other"))
    tensors = load_file(folder / WEIGHTS)
    tensors["text_projection"][0, 0] += 1
    save_file(tensors, folder / WEIGHTS)
    assert space_of(folder).weights_hash != space_of(tiny_model).weights_hash


@pytest.mark.parametrize(
    "change",
    [
        lambda config: config["preprocess_cfg"].update(mean=[0.5, 0.5, 0.5]),
        lambda config: config["preprocess_cfg"].update(resize_mode="squash"),
        lambda config: config["model_cfg"]["text_cfg"].update(context_length=12),
        lambda config: config["model_cfg"]["text_cfg"].update(
            tokenizer_kwargs={"clean": "canonicalize"}
        ),
    ],
    ids=["mean", "mode", "context", "clean"],
)
def test_another_treatment_of_inputs_is_another_space(
    tiny_model: Path, tmp_path: Path, change: Callable[[dict[str, Any]], None]
) -> None:
    folder = edited(tiny_model, tmp_path, change)
    assert space_of(folder).preprocessing_hash != space_of(tiny_model).preprocessing_hash


def test_weights_are_named_by_their_sha256(tmp_path: Path) -> None:
    file = tmp_path / WEIGHTS
    file.write_bytes(b"some weights")
    expected = hashlib.sha256(b"some weights").hexdigest()
    assert weights_hash(file) == expected


def test_the_hugging_face_cache_names_weights_by_their_hash(tmp_path: Path) -> None:
    """So a link to such a blob is not read at all; here it would give another hash."""
    blob = tmp_path / ("ab" * 32)
    blob.write_bytes(b"not what its name says")
    link = tmp_path / WEIGHTS
    link.symlink_to(blob)
    assert weights_hash(link) == "ab" * 32


def test_safetensors_are_preferred_to_pickles(tiny_model: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_model, tmp_path / "both"))
    (folder / "open_clip_pytorch_model.bin").write_bytes(b"a pickle")
    assert read_folder(folder, name="both").weights == folder / WEIGHTS


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (CONFIG, None, "is not a model: it has no open_clip_config.json"),
        (CONFIG, "{", "is not valid JSON"),
        (CONFIG, "[]", "must hold a JSON object, got list"),
        (CONFIG, "{}", "has no 'model_cfg'"),
        (WEIGHTS, None, "holds no weights; expected one of open_clip_model.safetensors"),
    ],
)
def test_what_is_wrong_with_a_folder_is_said(
    tiny_model: Path, tmp_path: Path, name: str, content: str | None, message: str
) -> None:
    folder = Path(shutil.copytree(tiny_model, tmp_path / "bad"))
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        read_folder(folder, name="bad")


def test_a_missing_tokenizer_is_said(tiny_model: Path, tmp_path: Path) -> None:
    def ask(config: dict[str, Any]) -> None:
        config["model_cfg"]["text_cfg"]["hf_tokenizer_name"] = "someone/something"

    with pytest.raises(InputError, match=r"has no tokenizer.json"):
        read_folder(edited(tiny_model, tmp_path, ask), name="bad")


def edited(folder: Path, target: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    copy = Path(shutil.copytree(folder, target / "edited"))
    config = json.loads((copy / CONFIG).read_text(encoding="utf-8"))
    change(config)
    (copy / CONFIG).write_text(json.dumps(config), encoding="utf-8")
    return copy


def space_of(folder: Path) -> SpaceId:
    files: ModelFiles = read_folder(folder, name="model")
    return files.space(files.open_tokenizer())
