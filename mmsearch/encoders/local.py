"""Finds the files of a model on this machine: model folders, training runs, bare checkpoints.

A checkpoint holds weights alone; its architecture comes from its name, 'ViT-B-32:weights.pt', or
from the `params.txt` that open_clip's training writes beside its `checkpoints` folder.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmsearch.encoders.files import (
    CONFIG_NAME,
    TOKENIZER_NAME,
    ModelFiles,
    preprocessing_of,
    read_folder,
)
from mmsearch.encoders.hub import architecture_config, architectures, tokenizer_files
from mmsearch.encoders.transformers_clip import CONFIG_NAME as TRANSFORMERS_CONFIG
from mmsearch.encoders.transformers_clip import read_transformers
from mmsearch.errors import InputError
from mmsearch.records import printable_path

PARAMS_NAME = "params.txt"
CHECKPOINT_SUFFIXES = (".safetensors", ".pt", ".pth", ".bin", ".ckpt")
# The same for all of OpenCLIP's SigLIP weights; others have CLIP's mean, std and centre crop.
_SIGLIP_PREPROCESSING: Mapping[str, Any] = {
    "mean": (0.5, 0.5, 0.5),
    "std": (0.5, 0.5, 0.5),
    "resize_mode": "squash",
}
_EPOCH = re.compile(r"epoch_(\d+)\.pt")
# Options of open_clip's training that change how images are prepared, under their names there.
_IMAGE_OPTIONS = {
    "image_mean": "mean",
    "image_std": "std",
    "image_interpolation": "interpolation",
    "image_resize_mode": "resize_mode",
}


def is_checkpoint(text: str) -> bool:
    """Whether what follows 'architecture:' names a file of weights rather than a tag."""
    return "/" in text or text.endswith(CHECKPOINT_SUFFIXES)


def read_model(path: Path, *, name: str) -> ModelFiles:
    """Finds the files of the model in a folder, or of the training run of a checkpoint.

    Raises InputError where there is none.
    """
    if (path / CONFIG_NAME).is_file():
        return read_folder(path, name=name)
    run = training_run(path)
    if run is not None:
        return _read_run(run, path, name)
    if (path / TRANSFORMERS_CONFIG).is_file():
        return read_transformers(path, name=name)
    return read_folder(path, name=name)


def read_checkpoint(architecture: str, weights: Path, *, name: str) -> ModelFiles:
    """Combines weights with one of OpenCLIP's architectures. Raises InputError, MissingModel."""
    config = architecture_config(architecture)
    return _assembled(config, _usual_preprocessing(architecture), weights, name)


def training_run(path: Path) -> Path | None:
    """Returns the folder of open_clip's training that `path` is, or is inside; None if it is not.

    path: the folder of the run, its `checkpoints` folder, or a checkpoint in that.
    """
    if path.is_file():
        candidates = [path.parent, path.parent.parent]
    else:
        candidates = [path, path.parent] if path.name == "checkpoints" else [path]
    return next((folder for folder in candidates if (folder / PARAMS_NAME).is_file()), None)


def _read_run(run: Path, path: Path, name: str) -> ModelFiles:
    params = _read_params(run / PARAMS_NAME)
    architecture = params.get("model", "")
    if architecture not in architectures():
        raise InputError(
            f"{printable_path(run / PARAMS_NAME)} names the architecture '{architecture}', which "
            "this version of open_clip does not have"
        )
    config = architecture_config(architecture)
    if params.get("force_quick_gelu") == "True":
        config["quick_gelu"] = True
    if params.get("force_custom_text") == "True":
        config["custom_text"] = True
    if (size := params.get("force_image_size", "None")) != "None":
        config["vision_cfg"]["image_size"] = _numbers(size)[0]
    if (length := params.get("force_context_length", "None")) != "None":
        config["text_cfg"]["context_length"] = int(length)
    preprocessing = _usual_preprocessing(architecture)
    for option, field in _IMAGE_OPTIONS.items():
        if (value := params.get(option, "None")) != "None":
            preprocessing[field] = _numbers(value) if field in ("mean", "std") else value
    weights = path if path.is_file() else _last_checkpoint(run)
    return _assembled(config, preprocessing, weights, name)


def _usual_preprocessing(architecture: str) -> dict[str, Any]:
    return dict(_SIGLIP_PREPROCESSING if "siglip" in architecture.lower() else {})


def _assembled(
    config: dict[str, Any], preprocessing: Mapping[str, Any], weights: Path, name: str
) -> ModelFiles:
    beside = weights.with_name(TOKENIZER_NAME)
    tokenizer, text_folder = tokenizer_files(config["text_cfg"], name)
    return ModelFiles(
        name=name,
        config=config,
        preprocessing=preprocessing_of(config, preprocessing),
        weights=weights,
        tokenizer=beside if tokenizer and beside.is_file() else tokenizer,
        text_folder=text_folder,
    )


def _read_params(path: Path) -> dict[str, str]:
    """Reads the lines 'name: value' of a params.txt."""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    pairs = (line.partition(":") for line in lines if ":" in line)
    return {name.strip(): value.strip() for name, _, value in pairs}


def _numbers(text: str) -> list[Any]:
    """'(0.5, 0.5, 0.5)' or '[256]' → its numbers."""
    found = re.findall(r"[\d.]+", text)
    return [float(each) if "." in each else int(each) for each in found]


def _last_checkpoint(run: Path) -> Path:
    folder = run / "checkpoints"
    latest = folder / "epoch_latest.pt"
    if latest.is_file():
        return latest
    epochs = {
        int(found[1]): file
        for file in folder.glob("epoch_*.pt")
        if (found := _EPOCH.fullmatch(file.name))
    }
    if not epochs:
        raise InputError(f"{printable_path(folder)} holds no checkpoint such as epoch_10.pt")
    return epochs[max(epochs)]
