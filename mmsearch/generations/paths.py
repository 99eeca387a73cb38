"""The paths of a store's generations."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mmsearch.generations.vectors import COLUMNS
from mmsearch.indexes.part_items import PartItems
from mmsearch.records import Target
from mmsearch.store.snapshot import parts_path

CURRENT = "CURRENT"
PARTS_FILE = "parts.npy"
# The previous generation is kept for readers that have opened it.
KEPT = 2


def target_path(folder: Path, target: Target, number: int) -> Path:
    """Returns the folder of a target's index."""
    return folder / "faiss" / target / f"{number:06d}"


def info_path(folder: Path, number: int) -> Path:
    """Returns the file that describes a generation."""
    return folder / "faiss" / f"{number:06d}.json"


def fusion_path(folder: Path, number: int) -> Path:
    """Returns the file of a generation's trained fusion weights."""
    return folder / "faiss" / f"{number:06d}.fusion.safetensors"


def rows_path(folder: Path, number: int) -> Path:
    """Returns the file of a generation's snapshot."""
    return folder / "faiss" / f"{number:06d}.arrow"


def files_path(folder: Path, number: int) -> Path:
    """Returns the file of what a generation knows of the files of its rows."""
    return folder / "faiss" / f"{number:06d}.files.arrow"


def write_parts(target: Path, parts: PartItems) -> None:
    """Writes which item each part belongs to into the folder of a target's index."""
    np.save(target / PARTS_FILE, np.stack([parts.parts, parts.items]))


def read_parts(target: Path) -> PartItems | None:
    """Reads the parts of an index, memory-mapped; None where it holds none. Raises OSError."""
    try:
        return PartItems(*np.load(target / PARTS_FILE, mmap_mode="r"))
    except FileNotFoundError:
        return None


def _numbers(folder: Path) -> Sequence[int]:
    names = {path.name.split(".")[0] for path in (folder / "faiss").glob("**/[0-9]*")}
    return sorted(int(name) for name in names if name.isdigit())


def last_number(folder: Path) -> int:
    """Returns the highest generation number, 0 before the first."""
    return max(_numbers(folder), default=0)


def remove_old(folder: Path, live: int) -> None:
    """Deletes every generation but the live and the previous one."""
    for number in _numbers(folder):
        if number <= live - KEPT or number > live:
            for target in COLUMNS:
                shutil.rmtree(target_path(folder, target, number), ignore_errors=True)
            info_path(folder, number).unlink(missing_ok=True)
            fusion_path(folder, number).unlink(missing_ok=True)
            rows_path(folder, number).unlink(missing_ok=True)
            parts_path(rows_path(folder, number)).unlink(missing_ok=True)
            files_path(folder, number).unlink(missing_ok=True)


def folder_size(folder: Path) -> int:
    """Returns the bytes of its files; hard links to one file, as of index files, count once."""
    found = (path.stat() for path in folder.rglob("*") if path.is_file())
    return sum({(file.st_dev, file.st_ino): file.st_size for file in found}.values())
