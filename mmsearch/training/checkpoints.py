"""Checkpoints of a training loop, each a folder that is either complete or absent.

    checkpoints/step-00000120/weights.safetensors    trained weights
                              average.safetensors    their moving average
                              best.safetensors       the weights with the best score so far
                              memory.safetensors     other state of what is trained, if any
                              optimizer.pt           tensors and numbers, read with weights_only
                              state.json             step, scores, settings

They are written to a temporary folder and renamed. The last two are kept, so that there is one to
fall back on.
"""

import io
import json
import pickle
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as to_bytes
from torch import Tensor

from mmsearch.errors import InputError

KEPT = 2
_PARTS = ("weights", "average", "best", "memory")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A saved training state.

    tensors: by part, 'weights', 'average', 'best' and 'memory'. state: serialisable as JSON.
    """

    step: int
    tensors: Mapping[str, Mapping[str, Tensor]]
    optimizer: Mapping[str, Any]
    state: Mapping[str, Any]


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Writes a checkpoint and deletes all but the last KEPT.

    Raises InputError if it cannot be written, on a full disk for example; older ones are kept.
    """
    final = folder / f"step-{checkpoint.step:08}"
    part = folder / f".{final.name}.part"
    try:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        for name, tensors in checkpoint.tensors.items():
            # Python's own write reports a full disk; safetensors' may crash.
            whole = {key: tensor.detach().cpu().contiguous() for key, tensor in tensors.items()}
            (part / f"{name}.safetensors").write_bytes(to_bytes(whole))
        memory = io.BytesIO()
        torch.save(checkpoint.optimizer, memory)
        (part / "optimizer.pt").write_bytes(memory.getbuffer())
        text = json.dumps({"step": checkpoint.step, **checkpoint.state}, indent=2)
        (part / "state.json").write_text(text + "\n", "utf-8")
        shutil.rmtree(final, ignore_errors=True)
        part.rename(final)
    except OSError as error:
        shutil.rmtree(part, ignore_errors=True)
        raise InputError(
            f"the checkpoint of step {checkpoint.step} cannot be written to {folder}: "
            f"{error.strerror or error}; free some space, then resume"
        ) from error
    for old in checkpoint_folders(folder)[:-KEPT]:
        shutil.rmtree(old, ignore_errors=True)


def checkpoint_folders(folder: Path) -> list[Path]:
    """Returns the complete checkpoints in `folder`, oldest first."""
    return sorted(folder.glob("step-*"))


def load_checkpoint(folder: Path) -> Checkpoint | None:
    """Returns the newest readable checkpoint, None if there are no checkpoints.

    Raises InputError if there are some but none is readable.
    """
    faults = []
    for place in reversed(checkpoint_folders(folder)):
        try:
            return _read(place)
        except (OSError, ValueError, KeyError, SafetensorError, RuntimeError) as error:
            faults.append(f"{place}: {str(error).splitlines()[0]}")
        except pickle.UnpicklingError as error:
            raise InputError(
                f"{place / 'optimizer.pt'} contains objects other than tensors and numbers, which "
                "could execute code; it was not read"
            ) from error
    if faults:
        raise InputError(f"no checkpoint can be read: {'; '.join(faults)}; start without resume")
    return None


def _read(place: Path) -> Checkpoint:
    state = json.loads((place / "state.json").read_text("utf-8"))
    files = {name: place / f"{name}.safetensors" for name in _PARTS}
    return Checkpoint(
        step=int(state.pop("step")),
        tensors={name: load_file(file) for name, file in files.items() if file.exists()},
        optimizer=torch.load(place / "optimizer.pt", map_location="cpu", weights_only=True),
        state=state,
    )


def require_same_shapes(
    weights: Mapping[str, Tensor], found: Mapping[str, Tensor], folder: Path
) -> None:
    """Raises InputError if `found`, a checkpoint's weights, differ in names or shapes."""
    here = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    there = {name: tuple(tensor.shape) for name, tensor in found.items()}
    if here == there:
        return
    name = min(name for name in here.keys() | there.keys() if here.get(name) != there.get(name))
    raise InputError(
        f"the checkpoint in {folder} belongs to another model: '{name}' is "
        f"{there.get(name, 'missing')} there and {here.get(name, 'not trained')} here; "
        "resume with the same model and method, or use another output folder"
    )
