"""The embedding spaces of a store: which one is live, and where the others are.

A store's first space is in its own folder. Another model's is built completely in `spaces/<number>`
beside it; then `spaces.json`, replaced atomically, makes it the live one and the former the
previous one. A reader that has opened one keeps it.
"""

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from mmsearch.errors import CorruptIndex
from mmsearch.files import write_atomically
from mmsearch.typed_json import parse_json

FILE_NAME = "spaces.json"
FOLDER = "spaces"
# The store's own folder in spaces.json.
FIRST = "."
# The parts of a space; the manifest stays, since it identifies the store.
_PARTS = ("lance", "faiss")
_FILES = ("CURRENT", "hidden.json")


@dataclass(frozen=True, slots=True)
class Spaces:
    """The live and the previous space: folders relative to the store's.

    previous: None before the first change of model.
    """

    live: str = FIRST
    previous: str | None = None


def read_spaces(root: Path) -> Spaces:
    """Reads spaces.json in a store's folder. Raises CorruptIndex."""
    path = root / FILE_NAME
    try:
        return parse_json(Spaces, path.read_bytes())
    except FileNotFoundError:
        return Spaces()
    except ValueError as error:
        raise CorruptIndex(
            f"{path} is damaged ({error}); restore it from a copy, or delete it to use "
            "the space of the store's first model"
        ) from error


def write_spaces(root: Path, spaces: Spaces) -> None:
    """Changes the live space, atomically. Call it under the live space's write lock."""
    write_atomically(root / FILE_NAME, json.dumps(asdict(spaces)))


def live_folder(root: Path) -> Path:
    """Returns the folder of the live space. Raises CorruptIndex."""
    return root / read_spaces(root).live


def root_of(folder: Path) -> Path:
    """Returns the store's folder that a space's folder belongs to."""
    return folder.parent.parent if folder.parent.name == FOLDER else folder


def is_live(folder: Path) -> bool:
    """Whether a space's folder is that of the live one."""
    return live_folder(root_of(folder)) == folder


def space_numbers(root: Path) -> list[int]:
    """Returns the numbers of the spaces beside the first, ascending."""
    names = [path.name for path in (root / FOLDER).glob("*")]
    return sorted(int(name) for name in names if name.isdigit())


def space_name(number: int) -> str:
    """Returns the folder of a space relative to the store's."""
    return f"{FOLDER}/{number:06d}"


def remove_others(root: Path) -> None:
    """Deletes every space but the live and the previous one."""
    kept = read_spaces(root)
    for number in space_numbers(root):
        if space_name(number) not in (kept.live, kept.previous):
            shutil.rmtree(root / space_name(number))
    if FIRST not in (kept.live, kept.previous):
        for name in _PARTS:
            shutil.rmtree(root / name, ignore_errors=True)
        for name in _FILES:
            (root / name).unlink(missing_ok=True)
