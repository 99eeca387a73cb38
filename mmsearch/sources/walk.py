"""Walks a folder tree in the byte order of relative paths, following each link once."""

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from operator import itemgetter
from pathlib import Path
from typing import TypeAlias

from mmsearch.records import printable_path
from mmsearch.sources.globs import Globs, is_hidden

Identity: TypeAlias = tuple[int, int]


@dataclass(slots=True, eq=False)
class Folder:
    """A folder.

    relative: its POSIX path from the root with '/' at the end, '' for the root. names: of its files
    that are neither hidden nor excluded, once it has been listed. by_stem: the same names by their
    part before the last dot.
    """

    path: str
    relative: str
    identity: Identity
    parent: "Folder | None" = None
    names: frozenset[str] = frozenset()
    by_stem: dict[str, list[str]] = field(default_factory=dict)

    def set_names(self, names: Iterable[str]) -> None:
        """Sets the names of its files."""
        self.names = frozenset(names)
        for name in sorted(self.names):
            self.by_stem.setdefault(os.path.splitext(name)[0], []).append(name)  # noqa: PTH122

    def is_within(self, identity: Identity) -> bool:
        """Whether it is, or is inside, the folder with that device and inode."""
        folder: Folder | None = self
        while folder is not None:
            if folder.identity == identity:
                return True
            folder = folder.parent
        return False


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A regular file. size: bytes; modified: in UTC, None if it is out of range."""

    folder: Folder
    name: str
    size: int
    modified: datetime | None

    @property
    def path(self) -> str:
        """The path of the file."""
        return os.path.join(self.folder.path, self.name)  # noqa: PTH118  surrogates, and speed

    @property
    def relative(self) -> str:
        """The POSIX path from the root."""
        return self.folder.relative + self.name


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A file, link or folder that cannot be read."""

    relative: str
    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Special:
    """A pipe, socket or device, which is never opened, as that could block."""

    relative: str


Step: TypeAlias = FoundFile | Unreadable | Special


def walk(root: Path, globs: Globs) -> Iterator[Step]:
    """Yields every file under `root`.

    A link to a folder is followed unless it leads to a parent of the current folder, or another
    link has led there before; so the walk ends on any tree.
    """
    status = root.stat()
    linked: set[Identity] = set()
    top = Folder(str(root), "", (status.st_dev, status.st_ino))
    stack = [_steps(top, globs, linked)]
    while stack:
        step = next(stack[-1], None)
        if step is None:
            stack.pop()
        elif isinstance(step, Folder):
            stack.append(_steps(step, globs, linked))
        else:
            yield step


def find_file(path: Path) -> FoundFile:
    """Returns a single file as the walk would, with the names beside it. Raises OSError."""
    status, parent = path.stat(), path.parent.stat()
    folder = Folder(str(path.parent), "", (parent.st_dev, parent.st_ino))
    with os.scandir(path.parent) as listing:
        folder.set_names(entry.name for entry in listing if entry.is_file())
    return FoundFile(folder, path.name, status.st_size, _utc(status.st_mtime))


def reason_of(error: OSError) -> str:
    """Describes an error for a failure's reason."""
    return f"cannot be read: {(error.strerror or str(error)).lower()}"


def _steps(folder: Folder, globs: Globs, linked: set[Identity]) -> Iterator[Step | Folder]:
    try:
        with os.scandir(folder.path) as listing:
            entries = [entry for entry in listing if not is_hidden(entry.name)]
    except OSError as error:
        yield Unreadable(folder.relative.rstrip("/"), folder.path, reason_of(error))
        return
    ordered = sorted(((_byte_order(entry), entry) for entry in entries), key=itemgetter(0))
    kept = [
        (order.endswith(b"/"), entry)
        for order, entry in ordered
        if not globs.excludes(folder.relative + entry.name + "/" * order.endswith(b"/"))
    ]
    folder.set_names(entry.name for is_folder, entry in kept if not is_folder)
    for is_folder, entry in kept:
        step = _enter(folder, entry, linked) if is_folder else _find(folder, entry)
        if step is not None:
            yield step


def _byte_order(entry: os.DirEntry[str]) -> bytes:
    """Returns a sort key equal to the order of whole relative paths: folders end with a slash."""
    try:
        is_folder = entry.is_dir()
    except OSError:
        # A link that leads to itself, which `_find` reports.
        is_folder = False
    return os.fsencode(entry.name) + (b"/" if is_folder else b"")


def _enter(
    parent: Folder, entry: os.DirEntry[str], linked: set[Identity]
) -> Folder | Unreadable | None:
    relative = parent.relative + entry.name
    try:
        # Not entry.stat(), which has no inode on Windows.
        status = os.stat(entry.path)  # noqa: PTH116
    except OSError as error:
        return Unreadable(relative, entry.path, reason_of(error))
    identity = (status.st_dev, status.st_ino)
    if entry.is_symlink():
        if identity in linked or parent.is_within(identity):
            return None
        linked.add(identity)
    return Folder(entry.path, f"{relative}/", identity, parent)


def _find(folder: Folder, entry: os.DirEntry[str]) -> Step:
    try:
        status = entry.stat()
    except OSError as error:
        reason = reason_of(error)
        if entry.is_symlink():
            reason = f"is a broken link to '{printable_path(Path(entry.path).readlink())}'"
        return Unreadable(folder.relative + entry.name, entry.path, reason)
    if not stat.S_ISREG(status.st_mode):
        return Special(folder.relative + entry.name)
    return FoundFile(folder, entry.name, status.st_size, _utc(status.st_mtime))


def _utc(seconds: float) -> datetime | None:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):
        return None
