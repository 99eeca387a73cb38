"""Finds the images that a table names: the folder to which its paths are relative, and the files.

Cells are untrusted: outside the table's folder, or one that the user named, they can refer to
images only.
"""

import os
import re
import unicodedata
from collections import deque
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import islice
from pathlib import Path

from mmsearch.errors import InputError
from mmsearch.media import sniff
from mmsearch.records import printable_path
from mmsearch.sources.file_trees import Disk, FileTree, ZipMembers
from mmsearch.sources.globs import is_hidden
from mmsearch.sources.image_paths import is_url, shortened, spellings

# Parts of the names of folders that hold images, in the languages of the headings in `roles`.
_IMAGE_FOLDERS = (
    "image", "img", "photo", "foto", "pic", "bild", "media", "immagin", "zdj", "obraz",
)  # fmt: skip
# Above the table, only a folder with a usual name is searched: others belong to somebody else.
_USUAL_FOLDER = re.compile(
    r"(?:(?:product|produkt|produit|prodotto|catalog|katalog|shop|item|article|artikel)s?[ _-]?)?"
    r"(?:images?|imgs?|photos?|fotos?|pics?|pictures?|bilder|media|immagini|zdj[eę]cia|obraz(?:y|ki)?)"
    r"(?:[ _-]?(?:\d+x\d+|large|full|small|original|jpe?g|png))?",
    re.IGNORECASE,
)
_PARENTS = 3
_MOST_SUBFOLDERS = 100
# Names of folders that are held in memory; images that are missing are sought in them.
_MOST_LISTINGS = 100
# A root that has none of the first cells is not tried with the others.
_FIRST_TRIED = 10


class ImageRoots:
    """The folder to which the image paths of a table are relative, and the files in it.

    Until `choose` is called, that is the table's folder.
    """

    def __init__(
        self, folder: Path, given: Path | None = None, *, archive: ZipMembers | None = None
    ) -> None:
        """folder: the table's. given: the folder that the user named, searched instead.

        archive: that holds the table and its images.
        """
        self.folder, self.given = folder, given
        self._archive = archive.path if archive else None
        self.files: FileTree = archive or Disk()
        self.chosen = given or folder
        # Leading folders of the paths, which were written on another machine.
        self._dropped = 0
        self._listings: dict[str, dict[str, str]] = {}

    def choose(self, cells: Sequence[str]) -> None:
        """Takes the folder in which most of the cells name a file, the nearest of equals."""
        most = self._count(self.chosen, cells)
        if most == len(cells):
            return
        depth = max(cell.replace("\\", "/").count("/") for cell in cells)
        for any_case, dropped in (
            (False, 0),
            (True, 0),
            *((False, n) for n in range(1, depth + 1)),
        ):
            self._dropped, best = dropped, self.chosen
            for root in self.candidates:
                if self._count(root, cells[:_FIRST_TRIED], any_case=any_case):
                    count = self._count(root, cells, any_case=any_case)
                    if count > most:
                        best, most = root, count
            self.chosen = best
            if most:
                return
        self._dropped = 0

    def describe(self) -> str:
        """Where images are looked for, in words."""
        top = printable_path(self.given or self.folder)
        if self.given is not None or self._archive is not None:
            return f"{top} and the folders in it"
        return f"{top}, the folders in it and above it, and the working directory"

    @cached_property
    def candidates(self) -> list[Path]:
        """The folders that are searched, the likeliest first."""
        return list(dict.fromkeys(self._list_candidates()))

    def _list_candidates(self) -> Iterator[Path]:
        top = self.given or self.folder
        yield top
        below = deque(self._subfolders(top))
        for _ in range(_MOST_SUBFOLDERS):
            if not below:
                break
            yield below[0]
            below += self._subfolders(below.popleft())
        if self.given is not None:
            return
        # The root of the file system would make every absolute path of another machine relative.
        for parent in list(top.parents)[:-1][:_PARENTS]:
            if self._archive is None or parent.is_relative_to(self._archive):
                yield parent
                usual = (p for p in self._subfolders(parent) if _USUAL_FOLDER.fullmatch(p.name))
                yield from usual
        if self._archive is None:
            yield Path.cwd()

    def _subfolders(self, folder: Path) -> list[Path]:
        """Returns the first folders in a folder, those named like images before the others."""
        visible = (name for name in self.files.subfolders(str(folder)) if not is_hidden(name))
        names = sorted(islice(visible, _MOST_SUBFOLDERS))
        return [folder / name for name in sorted(names, key=lambda name: not _holds_images(name))]

    def exists(self, cell: str) -> bool:
        """Whether a cell names an image."""
        path = self._path(cell)
        return path is not None and self._is_image(path)

    def find(self, cell: str) -> Path:
        """Returns the file that a cell names. Raises InputError with the reason."""
        if is_url(cell):
            raise InputError(f"image '{shortened(cell)}' is a URL; `fetch=True` downloads it")
        path = self._path(cell)
        if path is None:
            raise InputError(f"image '{shortened(cell)}' does not exist")
        if not self._is_within(path) and not self._is_image(path):
            raise InputError(
                f"image '{shortened(cell)}' lies outside the table's folder and is not a picture"
            )
        return self.files.real_file(path)

    def _path(self, cell: str) -> str | None:
        if is_url(cell):
            return None
        roots = dict.fromkeys((self.chosen, self.given or self.folder))
        found = (self._file(cell, root) or self._file_in_any_case(cell, root) for root in roots)
        return next((path for path in found if path is not None), None)

    def _is_within(self, path: str) -> bool:
        inside, roots = os.path.normpath(path), (self.folder, self.given or self.folder)
        return any(inside.startswith(os.path.join(root, "")) for root in roots)  # noqa: PTH118

    def _is_image(self, path: str) -> bool:
        try:
            return sniff(self.files.head(path)) is not None
        except OSError:
            return False

    def _count(self, root: Path, cells: Sequence[str], *, any_case: bool = False) -> int:
        find = self._file_in_any_case if any_case else self._file
        return sum(find(cell, root) is not None for cell in cells)

    def _file(self, cell: str, root: Path) -> str | None:
        given = os.path.join(root, cell)  # noqa: PTH118  surrogates, and speed
        if not self._dropped and self.files.is_file(given):
            return given
        paths = spellings(cell)
        if self._dropped:
            paths = ["/".join(path.split("/")[self._dropped :]) for path in paths]
        paths += [path.lstrip("/") for path in paths if path.startswith("/")]
        joined = (os.path.join(root, path) for path in paths)  # noqa: PTH118
        return next(filter(self.files.is_file, joined), None)

    def _file_in_any_case(self, cell: str, root: Path) -> str | None:
        """Returns the file whose path differs in case or Unicode form only."""
        for spelling in spellings(cell):
            path: str | None = str(root)
            for part in spelling.split("/"):
                if part not in ("", ".") and path is not None:
                    path = self._entry(path, part)
            if path is not None and self.files.is_file(path):
                return path
        return None

    def _entry(self, folder: str, name: str) -> str | None:
        names = self._listings.get(folder)
        if names is None:
            if len(self._listings) >= _MOST_LISTINGS:
                self._listings.clear()
            names = {_folded(entry): entry for entry in self.files.names(folder)}
            self._listings[folder] = names
        entry = names.get(_folded(name))
        return None if entry is None else os.path.join(folder, entry)  # noqa: PTH118


def _holds_images(name: str) -> bool:
    return any(word in name.lower() for word in _IMAGE_FOLDERS)


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def relative_name(folder: Path, base: Path) -> str:
    """Returns a folder for messages: relative to `base` where it lies in it."""
    inside = folder.is_relative_to(base)
    return printable_path(folder.relative_to(base) if inside else folder) + "/"
