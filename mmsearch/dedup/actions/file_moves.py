"""Safe moves and links of files: verified, never through a link, never overwriting.

Each function either completes or leaves both files unchanged.
"""

import errno
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mmsearch.dedup.actions.plan import PlanEntry, PlannedFile
from mmsearch.errors import InputError
from mmsearch.media import content_hash, describe_raw, raw_format_of
from mmsearch.records import printable_path, real_path


def fault_of(entry: PlanEntry) -> str:
    """Why this step must not be taken now; '' if it may be."""
    for role, file in (("the copy", entry.remove), ("the one to keep", entry.keep)):
        if fault := _changed(file):
            return f"{role} {fault}"
    copy, kept = entry.remove.place, entry.keep.place
    if (raw := raw_format_of(copy)) is not None:
        return f"the copy is {describe_raw(raw)}"
    if copy.resolve() == kept.resolve():
        return "both names lead to one file"
    if not copy.resolve().is_relative_to(real_path(entry.root).resolve()):
        return "the copy lies outside its source's folder, behind a link"
    return ""


def _changed(file: PlannedFile) -> str:
    try:
        status = file.place.lstat()
    except FileNotFoundError:
        return "is gone"
    except OSError as fault:
        return f"cannot be reached ({fault.strerror})"
    if stat.S_ISLNK(status.st_mode):
        return "is a symbolic link"
    if not stat.S_ISREG(status.st_mode):
        return "is no file"
    if status.st_size != file.size:
        return "has changed since the plan (its size)"
    try:
        return "" if content_hash(file.place) == file.hash else "has changed since the plan"
    except InputError as fault:
        return f"cannot be read ({fault})"


def free_name(path: Path) -> Path:
    """The path itself, or with ' (2)' and so on before its suffix if it exists."""
    names = (
        path if number == 1 else path.with_name(f"{path.stem} ({number}){path.suffix}")
        for number in range(1, 100_000)
    )
    return next(name for name in names if not os.path.lexists(name))


def move(source: Path, target: Path) -> None:
    """Moves a file to an unused name. A copy across file systems is synced before it counts."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if os.path.lexists(target):
        raise FileExistsError(errno.EEXIST, "something is there already", str(target))
    try:
        source.rename(target)
    except OSError as fault:
        if fault.errno != errno.EXDEV:
            raise
        _copy(source, target)
        try:
            source.unlink()
        except OSError:
            # The source's folder is not writable.
            target.unlink()
            raise


def link(path: Path, kept: Path, *, symbolic: bool) -> None:
    """Replaces `path` atomically with a link to `kept`."""
    with _part(path) as part:
        if symbolic:
            part.symlink_to(kept)
        else:
            part.hardlink_to(kept)
        part.replace(path)


def unlink_copy(path: Path, kept: Path, mode: int, modified: int) -> None:
    """Replaces the link at `path` with a separate copy of `kept`."""
    with _part(path) as part:
        shutil.copyfile(kept, part)
        part.chmod(mode)
        os.utime(part, ns=(modified, modified))
        part.replace(path)


def _copy(source: Path, target: Path) -> None:
    with _part(target) as part:
        shutil.copy2(source, part)
        with part.open("rb+" if os.access(part, os.W_OK) else "rb") as file:
            os.fsync(file.fileno())
        if content_hash(part) != content_hash(source):
            raise OSError(errno.EIO, "the copy differs from the file", printable_path(target))
        part.rename(target)


@contextmanager
def _part(path: Path) -> Iterator[Path]:
    """An unused temporary name next to the path, removed at the end if it still exists."""
    part = path.with_name(f".mmsearch-{os.getpid()}.part")
    part.unlink(missing_ok=True)
    try:
        yield part
    finally:
        part.unlink(missing_ok=True)
