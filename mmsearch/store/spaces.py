"""One store, several embedding spaces: which of them is live, and where the others lie.

A store's first space lies in its own folder. Another model's is built complete in `spaces/<number>`
beside it, then `spaces.json`, replaced by rename, names it the live one and the former the
previous one: a reader opens either in full, and who has opened one keeps it.
"""

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from mmsearch.errors import CorruptIndex
from mmsearch.files import write_atomically

FILE_NAME = "spaces.json"
FOLDER = "spaces"
# The store's own folder, as spaces.json calls it.
FIRST = "."
# What a space consists of; the manifest stays where a store is looked for.
_PARTS = ("lance", "faiss")
_FILES = ("CURRENT", "hidden.json")


@dataclass(frozen=True, slots=True)
class Spaces:
    """live, previous: folders relative to the store's; previous: None before the first change."""

    live: str = FIRST
    previous: str | None = None


def read_spaces(root: Path) -> Spaces:
    """root: the store's folder. Raises CorruptIndex."""
    path = root / FILE_NAME
    try:
        return Spaces(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return Spaces()
    except (ValueError, TypeError) as error:
        raise CorruptIndex(
            f"{path} is damaged ({error}); restore it from a copy, or delete it to go on with the "
            "space of the store's first model"
        ) from error


def write_spaces(root: Path, spaces: Spaces) -> None:
    """Call it under the live space's write lock: at once, readers open the new one."""
    write_atomically(root / FILE_NAME, json.dumps(asdict(spaces)))


def live_folder(root: Path) -> Path:
    """Where the live space's manifest, tables and indexes lie. Raises CorruptIndex."""
    return root / read_spaces(root).live


def root_of(folder: Path) -> Path:
    """The store that a space's folder belongs to."""
    return folder.parent.parent if folder.parent.name == FOLDER else folder


def is_live(folder: Path) -> bool:
    """folder: a space's."""
    return live_folder(root_of(folder)) == folder


def space_numbers(root: Path) -> list[int]:
    """Of the folders beside the first space, ascending."""
    names = [path.name for path in (root / FOLDER).glob("*")]
    return sorted(int(name) for name in names if name.isdigit())


def space_name(number: int) -> str:
    return f"{FOLDER}/{number:06d}"


def remove_others(root: Path) -> None:
    """Takes out every space that is neither live nor the previous one."""
    kept = read_spaces(root)
    for number in space_numbers(root):
        if space_name(number) not in (kept.live, kept.previous):
            shutil.rmtree(root / space_name(number))
    if FIRST not in (kept.live, kept.previous):
        for name in _PARTS:
            shutil.rmtree(root / name, ignore_errors=True)
        for name in _FILES:
            (root / name).unlink(missing_ok=True)
