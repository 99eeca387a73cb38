"""Images that are named by the id of their row: '15970.jpg', '15970_1.jpg', '15970/a.jpg'."""

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from mmsearch.sources.captions import IMAGE_SUFFIXES, suffix
from mmsearch.sources.file_trees import FileTree
from mmsearch.sources.image_roots import ImageRoots

# A number or a view after the id, as in '15970_1', '15970-02', '15970 (3)' or '15970_back'.
_VIEW = re.compile(
    r"(.+?)[ _.-]+\(?(\d{1,3}|front|back|side|left|right|top|bottom|main|detail|model|hover)\)?",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"(\d+)")
_TRIED_SUFFIXES = (".jpg", ".png", ".jpeg", ".webp", ".JPG")
_TRIED_VIEWS = ("", "_1", "-1", "_0", "_01", " (1)", "_2", "-2", "_front")
_TRIED_IDS = 20
# The share of ids with an image from which a folder is taken for theirs.
_ENOUGH = 0.2


class NamedImages:
    """The images in a folder, by the id that their names begin with.

    folder: the folder. column: the column of ids.
    """

    def __init__(self, files: FileTree, folder: Path, column: str, ids: Sequence[str]) -> None:
        """ids: some of the table's, which a name such as 'shoe-2' is compared with."""
        self._files, self.folder, self.column = files, folder, column
        self._by_stem: dict[str, list[str]] = {}
        self._by_id: dict[str, list[str]] = {}
        for name in _images(files, folder):
            stem = _stem(name)
            self._by_stem.setdefault(stem, []).append(name)
            view = _VIEW.fullmatch(stem)
            if view:
                self._by_id.setdefault(view[1], []).append(name)
        # If ids themselves end in numbers, 'shoe-2' is another item and no view of 'shoe'.
        if any((view := _VIEW.fullmatch(each.casefold())) and view[1] in map(str.casefold, ids)
               for each in ids):  # fmt: skip
            self._by_id = {}

    def find(self, identity: str) -> list[Path]:
        """Returns the images of an id: with just that name, with a view, and in a folder of it."""
        stem = identity.casefold()
        names = sorted(self._by_stem.get(stem, []), key=_natural)
        names += sorted(self._by_id.get(stem, []), key=_natural)
        if _is_name(identity):
            inside = sorted(_images(self._files, self.folder / identity), key=_natural)
            names += [f"{identity}/{name}" for name in inside]
        return [self.folder / name for name in names]


def find_named_images(
    roots: ImageRoots, columns: Sequence[tuple[str, Sequence[str]]]
) -> NamedImages | None:
    """Returns the images named by the first column that most of some folder's images are named by.

    columns: names of columns, with cells of each.
    """
    for column, cells in columns:
        tried = [cell for cell in cells if _is_name(cell)][:_TRIED_IDS]
        counts = {folder: _count(roots.files, folder, tried) for folder in roots.candidates}
        folder = max(counts, key=counts.__getitem__)
        if counts[folder] and counts[folder] >= _ENOUGH * len(tried):
            return NamedImages(roots.files, folder, column, cells)
    return None


def _is_name(identity: str) -> bool:
    """Whether an id may be the name of a file: cells are untrusted, '../x' is none."""
    return (
        0 < len(identity) < 100
        and not set('/\\\0:*?"<>|').intersection(identity)
        and (identity.strip(". ") != "")
    )


def _count(files: FileTree, folder: Path, ids: Sequence[str]) -> int:
    """Returns how many ids have an image, by the usual names: a listing may be a million long."""
    return sum(any(_tried(files, folder, identity)) for identity in ids)


def _tried(files: FileTree, folder: Path, identity: str) -> Iterator[bool]:
    base = os.path.join(folder, identity)  # noqa: PTH118  100,000 times
    for view in _TRIED_VIEWS:
        for kind in _TRIED_SUFFIXES:
            yield files.is_file(base + view + kind)
    yield bool(_images(files, Path(base)))


def _images(files: FileTree, folder: Path) -> list[str]:
    return [name for name in files.names(str(folder)) if suffix(name) in IMAGE_SUFFIXES]


def _stem(name: str) -> str:
    return os.path.splitext(name)[0].casefold()  # noqa: PTH122  names with surrogates


def _natural(name: str) -> list[tuple[int, str]]:
    """'a2' before 'a10'."""
    parts = _NUMBER.split(name.casefold())
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]
