"""Errors of the operating system in words."""

import errno
import os

import pytest

from mmsearch.errors import InputError
from mmsearch.system_errors import refused_by_system

FULL = (
    "lance error: LanceError(IO): Generic LocalFileSystem error: Unable to copy data to file "
    "/data/shop/lance/items.lance/data/1.lance: No space left on device (os error 28), "
    "/root/.cargo/registry/src/lance-io/src/local.rs:120:5"
)
WALK = (
    "Failed to connect: IO { source: UnableToWalkDir { source: Error { inner: Io { path: "
    'Some("/data/shop/lance/_versions"), err: Os { code: 13, kind: PermissionDenied } } } } }'
)


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (PermissionError(errno.EACCES, "Permission denied", "/data/x"), "/data/x: permission"),
        (OSError(errno.EROFS, "Read-only", "/data/x"), "/data/x: the file system is read-only"),
        (OSError(errno.ENOSPC, "No space left on device"), "the disk is full; free some space"),
        (RuntimeError(FULL), "the disk is full at /data/shop/lance/items.lance/data/1.lance;"),
        (RuntimeError(WALK), "/data/shop/lance/_versions: permission denied"),
        (FileNotFoundError(errno.ENOENT, "No such file", "/data/x"), "/data/x does not exist"),
        (NotADirectoryError(errno.ENOTDIR, "Not a directory", "/f/x"), "/f/x: a part of this"),
        (IsADirectoryError(errno.EISDIR, "Is a directory", "/data"), "/data is a folder"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_a_refusal_says_what_and_where(error: Exception, says: str) -> None:
    refused = refused_by_system(error)
    assert isinstance(refused, InputError)
    assert str(refused).startswith(says)
    assert ".cargo" not in str(refused)


@pytest.mark.parametrize(
    "error",
    [ValueError("wrong"), RuntimeError("index out of range"), OSError(), ConnectionError("lost")],
    ids=repr,
)
def test_other_errors_are_left_alone(error: Exception) -> None:
    assert refused_by_system(error) is None


def test_the_errors_are_those_that_python_raises(tmp_path: os.PathLike[str]) -> None:
    with pytest.raises(IsADirectoryError) as caught:
        open(tmp_path)  # noqa: PTH123, SIM115
    refused = refused_by_system(caught.value)
    assert str(refused) == f"{tmp_path} is a folder; name a file"
