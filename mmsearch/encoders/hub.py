"""Finds a model's files in the Hugging Face cache, and downloads those that are missing.

The network is not used for files that are in the cache.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmsearch.encoders.files import (
    CONFIG_NAME,
    TOKENIZER_NAME,
    WEIGHT_NAMES,
    ModelFiles,
    preprocessing_of,
    read_json,
)
from mmsearch.errors import InputError, MissingModel
from mmsearch.extras import package_folder


def hub_model(repo: str, *, name: str) -> ModelFiles:
    """Finds the files of an OpenCLIP model on the hub. repo: 'org/model'."""
    config = read_json(_fetch(repo, [CONFIG_NAME], name))
    if "model_cfg" not in config:
        raise InputError(f"the {CONFIG_NAME} of {repo} has no 'model_cfg'")
    return _assemble(
        name,
        config["model_cfg"],
        config.get("preprocess_cfg", {}),
        repo=repo,
        weight_names=WEIGHT_NAMES,
    )


def pretrained_model(architecture: str, tag: str, *, name: str) -> ModelFiles:
    """Finds the files of pretrained weights by open_clip's tag. Raises InputError if unknown."""
    import open_clip

    pretrained = open_clip.get_pretrained_cfg(architecture, tag)
    if not pretrained:
        raise InputError(
            f"open_clip has no weights '{tag}' for {architecture}; it has "
            f"{', '.join(open_clip.list_pretrained_tags_by_model(architecture)) or 'none'}"
        )
    repo, _, file = pretrained["hf_hub"].rpartition("/")
    names = [f"{file.rpartition('.')[0]}.safetensors", file] if file else WEIGHT_NAMES
    config = {
        **architecture_config(architecture),
        "quick_gelu": pretrained.get("quick_gelu", False),
    }
    return _assemble(name, config, pretrained, repo=repo, weight_names=names)


def architectures() -> list[str]:
    """Returns the names of open_clip's architectures, without importing it."""
    return sorted(path.stem for path in _architecture_folder().glob("*.json"))


def architecture_config(name: str) -> dict[str, Any]:
    """Returns the `model_cfg` of one of open_clip's architectures."""
    content: dict[str, Any] = json.loads(
        (_architecture_folder() / f"{name}.json").read_text(encoding="utf-8")
    )
    return content


def is_cached(repo: str) -> bool:
    """Whether the weights of a hub model, 'org/model', are in the cache."""
    from huggingface_hub import try_to_load_from_cache

    return any(isinstance(try_to_load_from_cache(repo, name), str) for name in WEIGHT_NAMES)


def _assemble(
    name: str,
    config: Mapping[str, Any],
    preprocess_cfg: Mapping[str, Any],
    *,
    repo: str,
    weight_names: Sequence[str],
) -> ModelFiles:
    tokenizer, text_folder = tokenizer_files(config["text_cfg"], name)
    return ModelFiles(
        name=name,
        config=config,
        preprocessing=preprocessing_of(config, preprocess_cfg),
        weights=_fetch(repo, weight_names, name),
        tokenizer=tokenizer,
        text_folder=text_folder,
    )


def tokenizer_files(text_cfg: Mapping[str, Any], name: str) -> tuple[Path | None, Path | None]:
    """Returns the tokenizer.json and the folder of the text tower's configuration.

    Each is None where the model needs none. name: of the model. Raises InputError, MissingModel.
    """
    tokenizer, text_folder = None, None
    if source := text_cfg.get("hf_tokenizer_name"):
        tokenizer = _fetch(source, [TOKENIZER_NAME], name)
        _fetch(source, ["tokenizer_config.json"], name)
    if source := text_cfg.get("hf_model_name"):
        text_folder = _fetch(source, ["config.json"], name).parent
    return tokenizer, text_folder


def _fetch(repo: str, names: Sequence[str], model: str) -> Path:
    """Returns the first file that exists, from the cache if possible."""
    from huggingface_hub import hf_hub_download, try_to_load_from_cache
    from huggingface_hub.errors import EntryNotFoundError, RepositoryNotFoundError

    for name in names:
        cached = try_to_load_from_cache(repo, name)
        if isinstance(cached, str):
            return Path(cached)
    for name in names:
        try:
            return Path(hf_hub_download(repo, name))
        except RepositoryNotFoundError as error:
            raise InputError(
                f"the hub has no public model {repo}; check the name or run 'hf auth login'"
            ) from error
        except OSError as error:
            if not isinstance(error, EntryNotFoundError) or isinstance(error, FileNotFoundError):
                raise _missing(model, repo, name) from error
    raise InputError(f"{repo} holds none of {', '.join(names)}; is it an OpenCLIP model?")


def _missing(model: str, repo: str, file: str) -> MissingModel:
    from huggingface_hub.constants import HF_HUB_CACHE

    folder = Path(HF_HUB_CACHE) / f"models--{repo.replace('/', '--')}"
    return MissingModel(
        f"model '{model}' is not on this machine, and {file} of {repo} could not be downloaded; "
        f"run `mmsearch.load_model('{model}')` with a network, or copy {folder} from a machine "
        "that has it"
    )


def _architecture_folder() -> Path:
    return package_folder("open_clip", distribution="open_clip_torch") / "model_configs"
