"""Finds the images that a table names: the folder to which its paths are relative, and the files.

Cells are untrusted: outside the table's folder, or one that the user named, they can refer to
images only.
"""

import os
import unicodedata
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import islice
from pathlib import Path

from mmsearch.errors import InputError
from mmsearch.records import printable_path
from mmsearch.sources.globs import is_hidden
from mmsearch.sources.image_paths import is_image, is_url, shortened, spellings

# Parts of the names of folders that hold images, in the languages of the headings in `roles`.
_IMAGE_FOLDERS = (
    "image",
    "img",
    "photo",
    "foto",
    "pic",
    "bild",
    "media",
    "immagin",
    "zdj",
    "obraz",
)
_PARENTS = 3
_MOST_SUBFOLDERS = 100
# A root that has none of the first cells is not tried with the others.
_FIRST_TRIED = 10


class ImageRoots:
    """The folder to which the image paths of a table are relative, and the files in it.

    Until `choose` is called, that is the table's folder.
    """

    def __init__(self, folder: Path, given: Path | None = None) -> None:
        """folder: the table's. given: the folder that the user named, searched instead."""
        self.folder, self.given = folder, given
        self.chosen = given or folder
        self._listings: dict[str, dict[str, str]] = {}

    def choose(self, cells: Sequence[str]) -> None:
        """Takes the folder in which most of the cells name a file, the nearest of equals."""
        most = self._count(self.chosen, cells)
        if most == len(cells):
            return
        for any_case in (False, True):
            for root in self.candidates:
                if self._count(root, cells[:_FIRST_TRIED], any_case=any_case):
                    count = self._count(root, cells, any_case=any_case)
                    if count > most:
                        self.chosen, most = root, count
            if most:
                return

    @cached_property
    def candidates(self) -> list[Path]:
        """The folders that are searched, the likeliest first."""
        return list(dict.fromkeys(self._list_candidates()))

    def _list_candidates(self) -> Iterator[Path]:
        top = self.given or self.folder
        yield top
        below = _subfolders(top)
        yield from below
        for folder in below[:_FIRST_TRIED]:
            yield from _subfolders(folder)[:_FIRST_TRIED]
        if self.given is not None:
            return
        # The root of the file system would make every absolute path of another machine relative.
        for parent in list(top.parents)[:-1][:_PARENTS]:
            yield parent
            yield from (path for path in _subfolders(parent) if _holds_images(path.name))
        yield Path.cwd()

    def exists(self, cell: str) -> bool:
        """Whether a cell names an image."""
        try:
            return is_image(str(self.find(cell)))
        except InputError:
            return False

    def find(self, cell: str) -> Path:
        """Returns the file that a cell names. Raises InputError with the reason."""
        if is_url(cell):
            raise InputError(
                f"image '{shortened(cell)}' is a URL; mmsearch does not download pictures: "
                "fetch it first"
            )
        for root in dict.fromkeys((self.chosen, self.given or self.folder)):
            path = _file(cell, root) or self._file_in_any_case(cell, root)
            if path is not None:
                return self._permitted(path, cell)
        raise InputError(f"image '{shortened(cell)}' does not exist")

    def _permitted(self, path: str, cell: str) -> Path:
        inside = os.path.normpath(path)
        allowed = (self.folder, self.given or self.folder)
        within = any(inside.startswith(os.path.join(root, "")) for root in allowed)  # noqa: PTH118
        if not within and not is_image(path):
            raise InputError(
                f"image '{shortened(cell)}' lies outside the table's folder and is not a picture"
            )
        return Path(path)

    def _count(self, root: Path, cells: Sequence[str], *, any_case: bool = False) -> int:
        find = self._file_in_any_case if any_case else _file
        return sum(find(cell, root) is not None for cell in cells)

    def _file_in_any_case(self, cell: str, root: Path) -> str | None:
        """Returns the file whose path differs in case or Unicode form only."""
        for spelling in spellings(cell):
            path: str | None = str(root)
            for part in spelling.split("/"):
                if part not in ("", ".") and path is not None:
                    path = self._entry(path, part)
            if path is not None and os.path.isfile(path):  # noqa: PTH113
                return path
        return None

    def _entry(self, folder: str, name: str) -> str | None:
        names = self._listings.get(folder)
        if names is None:
            try:
                names = {_folded(entry.name): entry.name for entry in os.scandir(folder)}
            except (OSError, ValueError):
                names = {}
            self._listings[folder] = names
        entry = names.get(_folded(name))
        return None if entry is None else os.path.join(folder, entry)  # noqa: PTH118


def _file(cell: str, root: Path) -> str | None:
    paths = spellings(cell)
    paths += [path.lstrip("/") for path in paths if path.startswith("/")]
    for path in paths:
        joined = os.path.join(root, path)  # noqa: PTH118  cells may hold NUL or surrogates
        if os.path.isfile(joined):  # noqa: PTH113
            return joined
    return None


def _subfolders(folder: Path) -> list[Path]:
    """Returns the first folders in a folder, those named like images before the others."""
    try:
        with os.scandir(folder) as listing:
            found = (
                entry.name for entry in listing if entry.is_dir() and not is_hidden(entry.name)
            )
            names = sorted(islice(found, _MOST_SUBFOLDERS))
    except OSError:
        return []
    return [folder / name for name in sorted(names, key=lambda name: not _holds_images(name))]


def _holds_images(name: str) -> bool:
    return any(word in name.lower() for word in _IMAGE_FOLDERS)


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def relative_name(folder: Path, base: Path) -> str:
    """Returns a folder for messages: relative to `base` where it lies in it."""
    inside = folder.is_relative_to(base)
    return printable_path(folder.relative_to(base) if inside else folder) + "/"
