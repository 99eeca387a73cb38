"""Checkpoints of a training loop: a folder each, complete or not there at all.

    checkpoints/step-00000120/weights.safetensors    what is trained
                              average.safetensors    its moving average
                              best.safetensors       the weights that scored best so far
                              optimizer.pt           tensors and numbers, read with weights_only
                              state.json             step, scores, settings

Written beside and renamed; the last two are kept, so that a damaged one has a predecessor.
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
    """tensors: by part, 'weights', 'average', 'best' and 'memory'; state: what JSON can hold."""

    step: int
    tensors: Mapping[str, Mapping[str, Tensor]]
    optimizer: Mapping[str, Any]
    state: Mapping[str, Any]


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Raises InputError if it cannot be written, on a full disk for example; older ones stay."""
    final = folder / f"step-{checkpoint.step:08}"
    part = folder / f".{final.name}.part"
    try:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        for name, tensors in checkpoint.tensors.items():
            # Bytes first: Python's own write tells of a full disk, safetensors' may only crash.
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
            f"{error.strerror or error}; make room, then resume with `resume=True`"
        ) from error
    for old in checkpoint_folders(folder)[:-KEPT]:
        shutil.rmtree(old, ignore_errors=True)


def checkpoint_folders(folder: Path) -> list[Path]:
    """Oldest first."""
    return sorted(folder.glob("step-*"))


def load_checkpoint(folder: Path) -> Checkpoint | None:
    """The newest that can be read; None if there is none. Raises InputError if none can be."""
    faults = []
    for place in reversed(checkpoint_folders(folder)):
        try:
            return _read(place)
        except (OSError, ValueError, KeyError, SafetensorError, RuntimeError) as error:
            faults.append(f"{place}: {str(error).splitlines()[0]}")
        except pickle.UnpicklingError as error:
            raise InputError(
                f"{place / 'optimizer.pt'} holds more than tensors and numbers, which may run "
                "code; it was not read"
            ) from error
    if faults:
        raise InputError(f"no checkpoint can be read: {'; '.join(faults)}; start without `resume`")
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
    """Raises InputError if the checkpoint is of another architecture or another method."""
    here = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    there = {name: tuple(tensor.shape) for name, tensor in found.items()}
    if here == there:
        return
    name = min(name for name in here.keys() | there.keys() if here.get(name) != there.get(name))
    raise InputError(
        f"the checkpoint in {folder} is of another model: '{name}' is "
        f"{there.get(name, 'not in it')}, here {here.get(name, 'not trained')}; "
        "resume with the same model and method, or name another `out`"
    )
