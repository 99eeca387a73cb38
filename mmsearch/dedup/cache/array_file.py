"""Cache files of arrays: derived data, replaced atomically, can be deleted."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray


def read_kept(path: Path, setting: str) -> Mapping[str, NDArray[Any]] | None:
    """Reads arrays by name; None if the file is missing, damaged or has another setting.

    Without the file everything is recomputed, with the same result.
    """
    try:
        with np.load(path, allow_pickle=False) as parts:
            if str(parts["setting"]) != setting:
                return None
            return {name: parts[name] for name in parts.files}
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        return None


def keep(path: Path, setting: str, **arrays: NDArray[Any]) -> None:
    """Writes arrays. setting: what they depend on besides the content of the store."""
    named: dict[str, Any] = {"setting": np.array(setting), **arrays}
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    with part.open("wb") as file:
        np.savez(file, **named)
    part.replace(path)
