"""Replaced files: the old content or the new, and nothing left beside them."""

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
