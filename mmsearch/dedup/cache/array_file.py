"""Files that keep what a run worked out: derived, only ever replaced whole, free to be deleted."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray


def read_kept(path: Path, setting: str) -> Mapping[str, NDArray[Any]] | None:
    """Arrays by name; None where the file is not there, damaged, or made with another setting.

    Without them all is worked out again, which gives the same answer.
    """
    try:
        with np.load(path, allow_pickle=False) as parts:
            if str(parts["setting"]) != setting:
                return None
            return {name: parts[name] for name in parts.files}
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        return None


def keep(path: Path, setting: str, **arrays: NDArray[Any]) -> None:
    """setting: what the arrays hang on besides the store's content."""
    named: dict[str, Any] = {"setting": np.array(setting), **arrays}
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    with part.open("wb") as file:
        np.savez(file, **named)
    part.replace(path)
