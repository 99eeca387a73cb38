"""Resolves model names: 'builtin', short names, architectures with tags, hub models and folders.

Neither torch nor open_clip is imported until a model that needs them is loaded.
"""

from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mmsearch.encoders.base import Encoder, TextEncoder
from mmsearch.encoders.files import CONFIG_NAME, ModelFiles, read_folder
from mmsearch.encoders.hub import architectures, hub_model, is_cached, pretrained_model
from mmsearch.encoders.model_zoo import MODELS, KnownModel
from mmsearch.errors import InputError, MissingModel
from mmsearch.records import printable_path, real_path

if TYPE_CHECKING:
    from mmsearch.encoders.devices import DeviceChoice

__all__ = [
    "MODELS",
    "KnownModel",
    "ModelRef",
    "fusion_folder",
    "is_here",
    "load_encoder",
    "load_text_encoder",
    "model_files",
    "resolve",
]

BUILTIN = "builtin"
BUILTIN_FOLDER = Path(__file__).parent / "builtin"
HUB_PREFIX = "hf-hub:"


@dataclass(frozen=True, slots=True)
class ModelRef:
    """A resolved model name.

    name: of the model in a store. location: a folder, 'org/model' or 'architecture:tag'.
    """

    name: str
    kind: Literal["folder", "hub", "pretrained"]
    location: str


def resolve(name: str) -> ModelRef:
    """Resolves a name. Raises InputError, with close matches, if there is no such model."""
    known = {model.name: model for model in MODELS}
    if name == BUILTIN:
        return ModelRef(name, "folder", str(BUILTIN_FOLDER))
    if name in known:
        return ModelRef(name, "hub", known[name].location.removeprefix(HUB_PREFIX))
    if name.startswith(HUB_PREFIX):
        return ModelRef(name, "hub", _checked_repo(name))
    if name and Path(name).expanduser().is_dir():
        folder = printable_path(Path(name).expanduser().absolute())
        return ModelRef(folder, "folder", folder)
    architecture, colon, tag = name.partition(":")
    if architecture in architectures():
        if not colon:
            raise InputError(
                f"'{name}' is an architecture; name its weights too, as '{name}:TAG' "
                "(open_clip.list_pretrained() has the tags)"
            )
        return ModelRef(name, "pretrained", f"{architecture}:{tag}")
    raise InputError(_unknown(name, architecture))


def load_encoder(name: str, *, device: str = "auto", batch_size: int | None = None) -> Encoder:
    """Loads both towers on `device`; downloads the model if it is not in the cache.

    batch_size: images per forward pass; by device if None. Raises InputError, MissingModel,
    MissingDependency.
    """
    from mmsearch.encoders.devices import choose_device

    return _full(model_files(name), choose_device(device), batch_size)


def load_text_encoder(name: str, *, device: str = "auto") -> TextEncoder:
    """Loads the text tower, in NumPy where supported; otherwise the full encoder."""
    from mmsearch.encoders.text_numpy import NumpyTextEncoder, supports

    files = model_files(name)
    if supports(files):
        return NumpyTextEncoder(files)
    from mmsearch.encoders.devices import choose_device

    return _full(files, choose_device(device), None)


def fusion_folder(name: str) -> Path | None:
    """Returns the folder in which a model may provide a fusion, None for models without a folder.

    Raises InputError where there is no such model.
    """
    ref = resolve(name)
    return real_path(ref.location) if ref.kind == "folder" else None


def is_here(model: KnownModel) -> bool:
    """Whether the model loads without a download."""
    if model.name == BUILTIN:
        return (BUILTIN_FOLDER / CONFIG_NAME).is_file()
    return is_cached(model.location.removeprefix(HUB_PREFIX))


def _full(files: ModelFiles, device: "DeviceChoice", batch_size: int | None) -> Encoder:
    from mmsearch.encoders.openclip import OpenClipEncoder

    return OpenClipEncoder(files, device, batch_size=batch_size or device.batch_size)


def model_files(name: str) -> ModelFiles:
    """Finds a model's configuration, weights and tokenizer; downloads them if need be.

    Raises InputError, MissingModel.
    """
    ref = resolve(name)
    if ref.kind == "hub":
        return hub_model(ref.location, name=ref.name)
    if ref.kind == "pretrained":
        architecture, _, tag = ref.location.partition(":")
        return pretrained_model(architecture, tag, name=ref.name)
    if ref.name == BUILTIN and not (BUILTIN_FOLDER / CONFIG_NAME).is_file():
        raise MissingModel(
            f"the built-in model is missing from {BUILTIN_FOLDER}; install mmsearch again, or name "
            "another `model`"
        )
    return read_folder(Path(ref.location), name=ref.name)


def _checked_repo(name: str) -> str:
    repo = name.removeprefix(HUB_PREFIX)
    if repo.count("/") != 1 or not all(repo.split("/")):
        raise InputError(f"a model on the hub is named 'hf-hub:org/model', got '{name}'")
    return repo


def _unknown(name: str, architecture: str) -> str:
    if Path(name).is_file():
        return f"'{name}' is a file; give the folder that holds it and its {CONFIG_NAME}"
    candidates = [*(model.name for model in MODELS), *architectures()]
    close = get_close_matches(architecture, candidates, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(map(repr, close))}? " if close else ""
    return (
        f"there is no model '{name}'; {hint}Known are {', '.join(m.name for m in MODELS)}, any "
        "OpenCLIP architecture:tag, hf-hub:org/model and folders; see 'mmsearch models'"
    )
