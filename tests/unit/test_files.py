"""Replaced files: the old content or the new, and nothing left beside them."""

import os
import threading
from pathlib import Path

import pytest

from mmsearch.files import replaced_file, write_atomically


def test_a_text_replaces_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    write_atomically(path, "one\n")
    write_atomically(path, "zwei ä\n")
    assert path.read_bytes() == "zwei ä\n".encode()
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("flush", [True, False])
def test_a_write_that_fails_changes_nothing(tmp_path: Path, flush: bool) -> None:
    path = tmp_path / "vectors.npy"
    path.write_bytes(b"old")

    def write_half() -> None:
        with replaced_file(path, flush=flush) as stream:
            stream.write(b"half of the n")
            raise KeyError

    with pytest.raises(KeyError):
        write_half()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_readers_see_the_old_file_until_the_end(tmp_path: Path) -> None:
    path = tmp_path / "vectors.npy"
    path.write_bytes(b"old")
    with replaced_file(path) as stream:
        stream.write(b"new")
        stream.flush()
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"


def test_a_folder_that_is_missing_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_atomically(tmp_path / "none" / "state.json", "x")


@pytest.mark.parametrize("old", ["old", None], ids=["a file", "a file that is not there yet"])
def test_a_link_stays_a_link(tmp_path: Path, old: str | None) -> None:
    real, link = tmp_path / "real.txt", tmp_path / "link.txt"
    link.symlink_to(real.name)
    if old is not None:
        real.write_text(old)
    write_atomically(link, "new")
    assert link.is_symlink()
    assert real.read_text() == "new"
    assert sorted(tmp_path.iterdir()) == [link, real]


def test_a_pipe_is_written_to(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    received: list[str] = []
    reader = threading.Thread(target=lambda: received.append(pipe.read_text()), daemon=True)
    reader.start()
    write_atomically(pipe, "through the pipe")
    reader.join(timeout=60)
    assert received == ["through the pipe"]
    assert pipe.is_fifo()
