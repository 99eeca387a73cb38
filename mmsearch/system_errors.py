"""Puts what the operating system refused into a sentence that says what to do."""

import errno
import re
from pathlib import Path

from mmsearch.errors import InputError

_DENIED = (errno.EACCES, errno.EPERM, errno.EROFS)
_FULL = (errno.ENOSPC, errno.EDQUOT)
# The system's error in messages of LanceDB, which is written in Rust, and a path in them.
_RUST_CODE = re.compile(r"(?:\(os error |\bOs \{ code: )(\d+)")
_RUST_PATH = re.compile(r"(?<![\w.])/[^\s:,'\"()]+")


def refused_by_system(error: Exception) -> InputError | None:
    """Returns the error to raise for a missing permission, a full disk or a wrong kind of path.

    error: an OSError, or one of LanceDB with the number of the system's error in its text. None
    for all others.
    """
    found = _RUST_CODE.search(str(error))
    code = error.errno if isinstance(error, OSError) and error.errno else found and int(found[1])
    message = _message(code, _path_in(error)) if code else None
    return InputError(message) if message else None


def _message(code: int, path: str) -> str | None:
    if code in _FULL:
        return (
            f"the disk is full{f' at {path}' if path else ''}; free some space, or put the store "
            "on another disk with `path`; what is complete is kept, run the same command to resume"
        )
    if code in _DENIED:
        reason = "the file system is read-only" if code == errno.EROFS else "permission denied"
        return (
            f"{path or 'a file of the store'}: {reason}; change its permissions, or name another "
            "place (that of the store with `path`)"
        )
    if code == errno.ENOENT and not _has_working_directory():
        return "the working directory no longer exists; change to another one"
    if code == errno.ENOENT and path:
        return f"{path} does not exist"
    if code == errno.ENOTDIR:
        return f"{path}: a part of this path is a file, not a folder"
    if code == errno.EISDIR:
        return f"{path} is a folder; name a file"
    return None


def _path_in(error: Exception) -> str:
    if isinstance(error, OSError):
        return str(error.filename or "")
    # The paths of its own source code end with the line.
    paths = [path for path in _RUST_PATH.findall(str(error)) if not path.endswith(".rs")]
    return paths[0] if paths else ""


def _has_working_directory() -> bool:
    try:
        Path.cwd()
    except FileNotFoundError:
        return False
    return True
