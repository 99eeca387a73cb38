"""Resolves model names: 'builtin', short names, architectures with weights, hub models, folders.

Neither torch nor open_clip is imported until a model that needs them is loaded.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mmsearch.encoders.base import Encoder, TextEncoder
from mmsearch.encoders.files import CONFIG_NAME, ModelFiles
from mmsearch.encoders.hub import architectures, hub_model, is_cached, pretrained_model
from mmsearch.encoders.local import is_checkpoint, read_checkpoint, read_model, training_run
from mmsearch.encoders.model_zoo import MODELS, KnownModel
from mmsearch.encoders.own_models import own_models
from mmsearch.errors import InputError, MissingModel
from mmsearch.records import SpaceId, printable_path, real_path

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
    "space_of",
]

BUILTIN = "builtin"
BUILTIN_FOLDER = Path(__file__).parent / "builtin"
HUB_PREFIX = "hf-hub:"


@dataclass(frozen=True, slots=True)
class ModelRef:
    """A resolved model name.

    name: of the model in a store. location: a path, 'org/model', 'architecture:tag' or
    'architecture:path'. local: a folder, or a checkpoint of open_clip's training.
    """

    name: str
    kind: Literal["local", "checkpoint", "hub", "pretrained"]
    location: str


def resolve(name: str) -> ModelRef:
    """Resolves a name. Raises InputError, with close matches, if there is no such model."""
    known = {model.name: model for model in MODELS}
    if name == BUILTIN:
        return ModelRef(name, "local", str(BUILTIN_FOLDER))
    if name in known:
        return ModelRef(name, "hub", known[name].location.removeprefix(HUB_PREFIX))
    if name.startswith(HUB_PREFIX):
        return ModelRef(name, "hub", _checked_repo(name))
    own = own_models()
    if name in own and own[name] != name:
        # A store keeps the location, so that it does not depend on the name.
        return resolve(own[name])
    path = Path(name).expanduser()
    if name and (path.is_dir() or (path.is_file() and training_run(path.absolute()))):
        location = printable_path(path.absolute())
        return ModelRef(location, "local", location)
    architecture, colon, tag = name.partition(":")
    if architecture in architectures():
        if not colon:
            raise InputError(
                f"'{name}' is an architecture; name its weights too, as '{name}:TAG' "
                f"(open_clip.list_pretrained() has the tags) or '{name}:FILE'"
            )
        if is_checkpoint(tag) or Path(tag).is_file():
            location = f"{architecture}:{_checked_file(tag)}"
            return ModelRef(location, "checkpoint", location)
        return ModelRef(name, "pretrained", f"{architecture}:{tag}")
    raise InputError(_unknown(name, architecture, own))


def space_of(name: str) -> SpaceId | None:
    """Returns a model's space without loading it; None if its weights would be downloaded."""
    ref = resolve(name)
    if ref.kind == "pretrained" or (ref.kind == "hub" and not is_cached(ref.location)):
        return None
    files = model_files(name)
    return files.space(files.open_tokenizer())


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
    folder = real_path(ref.location)
    return folder if ref.kind == "local" and folder.is_dir() else None


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
    if ref.kind == "checkpoint":
        architecture, _, file = ref.location.partition(":")
        return read_checkpoint(architecture, real_path(file), name=ref.name)
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
    return read_model(real_path(ref.location), name=ref.name)


def _checked_repo(name: str) -> str:
    repo = name.removeprefix(HUB_PREFIX)
    if repo.count("/") != 1 or not all(repo.split("/")):
        raise InputError(f"a model on the hub is named 'hf-hub:org/model', got '{name}'")
    return repo


def _checked_file(text: str) -> str:
    path = Path(text).expanduser().absolute()
    if not path.is_file():
        raise InputError(f"there is no file {printable_path(path)} with a model's weights")
    return printable_path(path)


def _unknown(name: str, architecture: str, own: Iterable[str]) -> str:
    if Path(name).is_file():
        return (
            f"'{name}' is a file of weights alone; name its architecture too, as "
            f"'ViT-B-32:{name}', or give the folder that holds it and its {CONFIG_NAME}"
        )
    names = [*(model.name for model in MODELS), *own]
    close = get_close_matches(architecture, [*names, *architectures()], n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(map(repr, close))}? " if close else ""
    return (
        f"there is no model '{name}'; {hint}Known are {', '.join(names)}, any OpenCLIP "
        "architecture:tag or architecture:file, hf-hub:org/model and folders; see "
        "'mmsearch models'"
    )
