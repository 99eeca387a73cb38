"""The write lock of a store: one process writes, another one waits for it."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

from mmsearch.errors import InputError, StoreLocked
from mmsearch.records import printable_path

FILE_NAME = "lock"


@contextmanager
def write_lock(
    folder: Path, *, timeout: float = 0.0, on_wait: Callable[[str], None] | None = None
) -> Iterator[None]:
    """Holds the write lock of a space.

    timeout: seconds to wait where another process holds it. on_wait: receives one line when the
    waiting begins. Raises StoreLocked, and InputError where the folder cannot be written.
    """
    lock = filelock.FileLock(folder / FILE_NAME)
    try:
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            if timeout and on_wait is not None:
                on_wait(
                    f"another process is writing to {printable_path(folder)}; waiting for it, "
                    f"up to {timeout:,.0f} s"
                )
            lock.acquire(timeout=timeout)
    except filelock.Timeout:
        raise StoreLocked(
            f"another process is writing to {printable_path(folder)}; wait for it to finish, or "
            f"allow more than {timeout:,.0f} s with `lock_timeout` (reading is possible meanwhile)"
        ) from None
    except OSError as error:
        raise unwritable(folder, error) from error
    try:
        yield
    finally:
        lock.release()


def require_writable(root: Path) -> None:
    """Raises InputError where no store can be created or changed in the folder `root`."""
    existing = next(path for path in (root, *root.parents) if os.path.exists(path))  # noqa: PTH110
    if not existing.is_dir():
        raise InputError(
            f"{printable_path(existing)} is a file; a store is a folder, name another `path`"
        )
    if not os.access(existing, os.W_OK | os.X_OK):
        raise unwritable(existing, PermissionError("permission denied"))


def unwritable(folder: Path, error: OSError) -> InputError:
    """Returns the error for a store whose folder cannot be written."""
    reason = (error.strerror or str(error)).lower()
    return InputError(
        f"cannot write to {printable_path(folder)}: {reason}; change its permissions, or name "
        "a folder for the store with `path`"
    )
