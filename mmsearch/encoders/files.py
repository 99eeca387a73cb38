"""The files of a model: a configuration, weights and optionally a tokenizer.

They are read without torch, so that the full encoder and the light text tower agree on the space.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from mmsearch.digests import sha256_of_bytes, sha256_of_file
from mmsearch.encoders.tokenize import Tokenizer
from mmsearch.errors import InputError
from mmsearch.media import Preprocessing
from mmsearch.records import SpaceId

CONFIG_NAME = "open_clip_config.json"
TOKENIZER_NAME = "tokenizer.json"
# In order of preference; pickled formats are read with weights_only.
WEIGHT_NAMES = (
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.safetensors",
    "model.safetensors",
    "open_clip_pytorch_model.bin",
    "pytorch_model.bin",
)
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """The files of a model.

    name: of the model in SpaceId. config: OpenCLIP's `model_cfg`. tokenizer: the tokenizer.json,
    None where the model uses OpenCLIP's BPE. text_folder: the folder with the configuration of a
    Hugging Face text tower, None for OpenCLIP's own. from_transformers: whether the weights have
    the names that the transformers library gives them.
    """

    name: str
    config: Mapping[str, Any]
    preprocessing: Preprocessing
    weights: Path
    tokenizer: Path | None = None
    text_folder: Path | None = None
    from_transformers: bool = False

    def open_tokenizer(self) -> Tokenizer:
        """Loads the tokenizer. Raises InputError."""
        return Tokenizer.from_config(self.config["text_cfg"], self.tokenizer)

    def space(self, tokenizer: Tokenizer) -> SpaceId:
        """Identifies the embedding space by weights, preprocessing and tokenizer."""
        identity = f"{self.preprocessing!r} {tokenizer.identity}"
        return SpaceId(
            model=self.name,
            weights_hash=weights_hash(self.weights),
            dim=int(self.config["embed_dim"]),
            preprocessing_hash=sha256_of_bytes(identity.encode()),
        )


def read_folder(folder: Path, *, name: str) -> ModelFiles:
    """Finds the files of an OpenCLIP model. Raises InputError where `folder` is not one."""
    config = read_json(folder / CONFIG_NAME)
    if "model_cfg" not in config:
        raise InputError(f"{folder / CONFIG_NAME} has no 'model_cfg'; is it an OpenCLIP model?")
    model_cfg = config["model_cfg"]
    return ModelFiles(
        name=name,
        config=model_cfg,
        preprocessing=preprocessing_of(model_cfg, config.get("preprocess_cfg", {})),
        weights=find_weights(folder),
        tokenizer=_tokenizer_in(folder, model_cfg),
        text_folder=folder if (folder / "config.json").is_file() else None,
    )


def preprocessing_of(
    model_cfg: Mapping[str, Any], preprocess_cfg: Mapping[str, Any]
) -> Preprocessing:
    """Returns the preprocessing; as in OpenCLIP, its size is always the image tower's."""
    size = model_cfg["vision_cfg"].get("image_size", 224)
    return Preprocessing.from_open_clip({**preprocess_cfg, "size": size})


def weights_hash(weights: Path) -> str:
    """Returns the SHA-256 of the file, from its name where the Hugging Face cache names it so."""
    stored = weights.resolve()
    if _SHA256.fullmatch(stored.name):
        return stored.name
    status = stored.stat()
    return _hash_of(stored, status.st_size, status.st_mtime_ns)


@lru_cache
def _hash_of(weights: Path, size: int, mtime_ns: int) -> str:
    """Hashes a file once in each of its states: it may be large, and several checks ask for it."""
    return sha256_of_file(weights)


def read_json(path: Path) -> dict[str, Any]:
    """Reads a JSON object. Raises InputError."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(
            f"{path.parent} is not a model: it has no {path.name}; give a folder of OpenCLIP, its "
            "training or transformers' CLIP, or weights with their architecture, as "
            "'ViT-B-32:weights.pt'"
        ) from error
    except ValueError as error:
        raise InputError(f"{path} is not valid JSON: {error}") from error
    if not isinstance(content, dict):
        raise InputError(f"{path} must hold a JSON object, got {type(content).__name__}")
    return content


def find_weights(folder: Path) -> Path:
    """Returns the file of weights in a model's folder. Raises InputError."""
    for name in WEIGHT_NAMES:
        if (folder / name).is_file():
            return folder / name
    raise InputError(f"{folder} holds no weights; expected one of {', '.join(WEIGHT_NAMES)}")


def _tokenizer_in(folder: Path, model_cfg: Mapping[str, Any]) -> Path | None:
    if not model_cfg["text_cfg"].get("hf_tokenizer_name"):
        return None
    path = folder / TOKENIZER_NAME
    if not path.is_file():
        raise InputError(f"{folder} has no {TOKENIZER_NAME}, which its {CONFIG_NAME} calls for")
    return path
