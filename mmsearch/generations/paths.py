"""Where a store's generations lie, and which of them there are."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from mmsearch.generations.vectors import COLUMNS
from mmsearch.records import Target

CURRENT = "CURRENT"
# The generation before the live one stays for readers that opened it.
KEPT = 2


def target_path(folder: Path, target: Target, number: int) -> Path:
    return folder / "faiss" / target / f"{number:06d}"


def info_path(folder: Path, number: int) -> Path:
    return folder / "faiss" / f"{number:06d}.json"


def fusion_path(folder: Path, number: int) -> Path:
    return folder / "faiss" / f"{number:06d}.fusion.safetensors"


def rows_path(folder: Path, number: int) -> Path:
    return folder / "faiss" / f"{number:06d}.arrow"


def _numbers(folder: Path) -> Sequence[int]:
    names = {path.name.split(".")[0] for path in (folder / "faiss").glob("**/[0-9]*")}
    return sorted(int(name) for name in names if name.isdigit())


def last_number(folder: Path) -> int:
    return max(_numbers(folder), default=0)


def remove_old(folder: Path, live: int) -> None:
    for number in _numbers(folder):
        if number <= live - KEPT or number > live:
            for target in COLUMNS:
                shutil.rmtree(target_path(folder, target, number), ignore_errors=True)
            info_path(folder, number).unlink(missing_ok=True)
            fusion_path(folder, number).unlink(missing_ok=True)
            rows_path(folder, number).unlink(missing_ok=True)


def folder_size(folder: Path) -> int:
    """What its files take; one that has several names, as index files do, counts once."""
    found = (path.stat() for path in folder.rglob("*") if path.is_file())
    return sum({(file.st_dev, file.st_ino): file.st_size for file in found}.values())
