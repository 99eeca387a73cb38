"""The files among which a table's images are found: on the disk, or in a zip archive."""

import os
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Protocol

from mmsearch.errors import InputError
from mmsearch.media import SNIFF_BYTES, MediaBounds
from mmsearch.records import printable_path
from mmsearch.sources.captions import read_head, suffix
from mmsearch.sources.globs import is_hidden
from mmsearch.sources.picture_files import PictureFiles

# Images hardly shrink, and tables of text to a tenth: an archive that grows more is a zip bomb.
_MOST_GROWTH = 100
_ALWAYS_ALLOWED = 64 * 2**20
_MOST_MEMBERS = 2_000_000


class FileTree(Protocol):
    """Folders and files by path."""

    def is_file(self, path: str) -> bool:
        """Whether there is such a file; False for paths that are none."""
        ...

    def head(self, path: str) -> bytes:
        """Reads the bytes that `sniff` needs. Raises OSError."""
        ...

    def names(self, folder: str) -> list[str]:
        """Returns the names in a folder; none if it cannot be listed."""
        ...

    def subfolders(self, folder: str) -> Iterator[str]:
        """Yields the names of the folders in a folder."""
        ...

    def real_file(self, path: str) -> Path:
        """Returns a file that can be opened. Raises InputError."""
        ...


class Disk:
    """The file system."""

    def is_file(self, path: str) -> bool:
        """Whether there is such a file."""
        return os.path.isfile(path)  # noqa: PTH113  cells may hold NUL, which Path lets raise

    def head(self, path: str) -> bytes:
        """Reads the first bytes. Raises OSError."""
        return read_head(path)

    def names(self, folder: str) -> list[str]:
        """Returns the names in a folder."""
        try:
            with os.scandir(folder) as listing:
                return [entry.name for entry in listing]
        except (OSError, ValueError):
            return []

    def subfolders(self, folder: str) -> Iterator[str]:
        """Yields the names of folders."""
        try:
            with os.scandir(folder) as listing:
                yield from (entry.name for entry in listing if entry.is_dir())
        except OSError:
            return

    def real_file(self, path: str) -> Path:
        """Returns the path."""
        return Path(path)


class ZipMembers:
    """The members of a zip archive, whose own path stands for its top folder.

    They are listed by the names in its directory, never unpacked to these names.
    """

    def __init__(self, path: Path, pictures: PictureFiles) -> None:
        """pictures: where members that are opened are kept. Raises InputError."""
        self.path, self._pictures = path, pictures
        try:
            self._archive = zipfile.ZipFile(path)
        except (OSError, zipfile.BadZipFile) as error:
            raise InputError(f"{printable_path(path)} is not a zip archive: {error}") from error
        listed = [member for member in self._archive.infolist() if not member.is_dir()]
        self._require_bounded(listed)
        self._members = {f"{path}/{member.filename.lstrip('/')}": member for member in listed}
        self._folders: dict[str, dict[str, bool]] = {}
        for member in listed:
            inner = PurePosixPath(member.filename.lstrip("/"))
            for part in (inner, *inner.parents):
                if part != part.parent:
                    folder = self._folders.setdefault(self._full(part.parent), {})
                    folder[part.name] = folder.get(part.name, False) or part is not inner

    def files(self) -> list[str]:
        """Returns the paths of its files that are not hidden."""
        start = len(str(self.path)) + 1
        return [
            path
            for path in self._members
            if not any(is_hidden(part) for part in path[start:].split("/"))
        ]

    def is_file(self, path: str) -> bool:
        """Whether there is such a member."""
        return os.path.normpath(path) in self._members

    def head(self, path: str) -> bytes:
        """Reads the first bytes of a member. Raises OSError."""
        return self._read(path, SNIFF_BYTES)

    def names(self, folder: str) -> list[str]:
        """Returns the names in a folder of the archive."""
        return list(self._folders.get(folder, {}))

    def subfolders(self, folder: str) -> Iterator[str]:
        """Yields the names of folders."""
        yield from (name for name, is_folder in self._folders.get(folder, {}).items() if is_folder)

    def real_file(self, path: str) -> Path:
        """Keeps a member among the pictures of the store; returns its file. Raises InputError."""
        limit = MediaBounds().max_bytes
        try:
            content = self._read(path, limit + 1)
        except OSError as error:
            raise InputError(f"'{Path(path).name}' in {self.path.name}: {error}") from error
        if len(content) > limit:
            raise InputError(f"'{Path(path).name}' has more than {limit:,} bytes")
        return self._pictures.add(content, suffix(path)[1:] or "bin")

    def copy_to(self, path: str, target: Path) -> None:
        """Unpacks a member of any size to a file. Raises InputError."""
        try:
            with self._archive.open(self._members[path]) as member, target.open("wb") as file:
                while block := member.read(2**20):
                    file.write(block)
        except (OSError, RuntimeError, zipfile.BadZipFile, NotImplementedError) as error:
            raise InputError(f"'{Path(path).name}' in {self.path.name}: {error}") from error

    def _read(self, path: str, size: int) -> bytes:
        try:
            with self._archive.open(self._members[os.path.normpath(path)]) as member:
                return member.read(size)
        except (RuntimeError, zipfile.BadZipFile, NotImplementedError, EOFError) as error:
            # Encrypted, damaged, or compressed in another way.
            raise OSError(str(error)) from error

    def _full(self, folder: PurePosixPath) -> str:
        return str(self.path) if folder == PurePosixPath() else f"{self.path}/{folder}"

    def _require_bounded(self, members: list[zipfile.ZipInfo]) -> None:
        shown = printable_path(self.path)
        size, unpacked = self.path.stat().st_size, sum(member.file_size for member in members)
        if unpacked > max(_ALWAYS_ALLOWED, _MOST_GROWTH * size):
            raise InputError(
                f"{shown} has {size:,} bytes and would unpack to {unpacked:,}, which no pictures "
                "and tables do; unpack it yourself if you trust it, and index the folder"
            )
        if len(members) > _MOST_MEMBERS:
            raise InputError(f"{shown} has {len(members):,} members; unpack it, index the folder")
