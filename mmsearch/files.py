"""Atomic file writes: a reader sees the old content or the new, never a part."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def replaced_file(path: Path, *, flush: bool = True) -> Iterator[BinaryIO]:
    """Opens a stream for writing whose content becomes the file `path` at the end of the block.

    Nothing changes when the block raises. A link stays a link: the file that it leads to is
    replaced. A pipe or a device is written to. flush: write through to the disk first, so that the
    file is complete after a power failure too; leave it out for many small files, or for large ones
    that can be computed again. Raises OSError.
    """
    if path.exists() and not path.is_file():
        with path.open("wb") as stream:
            yield stream
        return
    path = path.resolve()
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        try:
            stream = part.open("wb")
        except OSError as error:
            error.filename = str(path)
            raise
        with stream:
            yield stream
            if flush:
                stream.flush()
                os.fsync(stream.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_atomically(path: Path, text: str) -> None:
    """Replaces a file by `text` in UTF-8 atomically, also on a power failure. Raises OSError."""
    with replaced_file(path) as stream:
        stream.write(text.encode("utf-8"))


def flush_folder(folder: Path) -> None:
    """Flushes a folder, so that new names in it survive a power failure. Raises OSError."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
