"""An index on disk: whole or not there, refused when damaged, readable wherever it lies."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from mmsearch.errors import CorruptIndex, InputError
from mmsearch.indexes import (
    FaissIndex,
    IndexOptions,
    build_index,
    files,
    load_index,
    read_meta,
    save_index,
    verify_index,
)
from tests.support.random_vectors import RandomVectors

DIM = 16


@pytest.fixture(scope="module")
def index() -> FaissIndex:
    return build_index(RandomVectors(900, DIM), dim=DIM, options=IndexOptions(kind="ivf-sq8"))


def test_meta_tells_what_the_index_is_and_keeps_what_it_is_given(
    index: FaissIndex, tmp_path: Path
) -> None:
    extra = {"lance_version": 7, "uids": [0, 900], "mean": [0.5, -0.25]}
    written = save_index(index, tmp_path / "a" / "b", extra=extra)
    assert sorted(path.name for path in (tmp_path / "a").rglob("*")) == [
        "b",
        "index.faiss",
        "meta.json",
    ]
    read = read_meta(tmp_path / "a" / "b")
    assert read == written
    assert (read.kind, read.dim, read.count, read.extra) == ("ivf-sq8", DIM, 900, extra)
    assert read.size_bytes == (tmp_path / "a" / "b" / "index.faiss").stat().st_size
    assert read.tuning is not None
    assert read.tuning.curve[0].effort == 1
    assert read.reason == index.reason
    assert verify_index(tmp_path / "a" / "b") == read


def test_an_index_is_never_written_over_another(index: FaissIndex, tmp_path: Path) -> None:
    save_index(index, tmp_path / "index")
    with pytest.raises(InputError, match="already exists"):
        save_index(index, tmp_path / "index")


def test_a_failed_write_leaves_nothing_behind(index: FaissIndex, tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        save_index(index, tmp_path / "index", extra={"not json": object()})
    assert list(tmp_path.iterdir()) == []


def test_folders_of_killed_writers_are_cleared_once_they_are_old(
    index: FaissIndex, tmp_path: Path
) -> None:
    old, new = tmp_path / ".1.aaaa.partial", tmp_path / ".2.bbbb.partial"
    for folder in (old, new):
        folder.mkdir()
        (folder / "index.faiss").write_bytes(b"half")
    os.utime(old, (time.time() - 10**6,) * 2)
    save_index(index, tmp_path / "3")
    assert not old.exists()
    assert new.exists()


KILLED = """
import os, sys
from pathlib import Path
from mmsearch.indexes import files
from mmsearch.indexes import IndexOptions, build_index, save_index
sys.path.insert(0, {root!r})
from tests.support.random_vectors import RandomVectors
index = build_index(RandomVectors(900, 16), dim=16, options=IndexOptions(kind="flat"))
writing = files.json.dump
def die(*arguments, **options):
    writing(*arguments, **options)
    os._exit(9)
files.json.dump = die
save_index(index, Path({folder!r}))
"""


def test_a_writer_killed_before_the_end_leaves_no_index(tmp_path: Path) -> None:
    script = KILLED.format(root=str(Path(__file__).parents[3]), folder=str(tmp_path / "index"))
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 9
    assert not (tmp_path / "index").exists()
    with pytest.raises(CorruptIndex, match=r"run `catalog\.index\(\)` to rebuild"):
        load_index(tmp_path / "index")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"format_version": 0}, "format version 0, this mmsearch reads 1"),
        ({"format_version": 2}, "format version 2"),
        ({"kind": "tree"}, "unknown kind 'tree'"),
        ({"kind": "flat"}, "index.faiss is not a flat index"),
        ({"kind": "hnsw"}, "index.faiss is not a hnsw index"),
        ({"kind": "ivf-flat"}, "index.faiss is not a ivf-flat index"),
        ({"dim": 17}, "900 of 17"),
        ({"count": 899}, "says 899"),
        ({"size_bytes": 5}, "not 5"),
        ({"size_bytes": "5"}, "size_bytes: Input should be a valid integer"),
        ({"checksum": "00"}, "checksum"),
        ({"surprise": 1}, "surprise: Unexpected keyword argument"),
        ({"tuning": {"curve": [{}]}}, "cannot be read"),
    ],
)
def test_a_changed_meta_is_refused(
    index: FaissIndex, tmp_path: Path, change: dict[str, object], says: str
) -> None:
    save_index(index, tmp_path / "index")
    path = tmp_path / "index" / "meta.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(CorruptIndex, match=says) as caught:
        load_index(tmp_path / "index")
    assert "run `catalog.index()` to rebuild" in str(caught.value)


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"format_version": 1}', "\x00"])
def test_a_damaged_meta_is_refused(index: FaissIndex, tmp_path: Path, content: str) -> None:
    save_index(index, tmp_path / "index")
    (tmp_path / "index" / "meta.json").write_text(content)
    with pytest.raises(CorruptIndex, match=r"run `catalog\.index\(\)` to rebuild"):
        load_index(tmp_path / "index")


@pytest.mark.parametrize("mmap", [True, False])
def test_a_large_file_with_a_flipped_header_never_kills_the_process(
    index: FaissIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mmap: bool
) -> None:
    # A large file is not hashed at load; this small one stands in for it.
    monkeypatch.setattr(files, "HASHED_AT_LOAD_BYTES", 0)
    save_index(index, tmp_path / "index")
    path = tmp_path / "index" / "index.faiss"
    whole = path.read_bytes()
    refused = 0
    for place in range(0, 160):
        damaged = bytearray(whole)
        damaged[place] ^= 0x80
        path.unlink()
        path.write_bytes(bytes(damaged))
        try:
            load_index(tmp_path / "index", mmap=mmap)
        except CorruptIndex:
            refused += 1
        with pytest.raises(CorruptIndex, match="checksum"):
            load_index(tmp_path / "index", mmap=mmap, verify=True)
    assert refused > 30


@pytest.mark.skipif(os.name == "nt", reason="Windows names are Unicode")
@pytest.mark.parametrize("name", ["ünïcode 店", "%s \\udcff", "quote'\"", b"raw\xff"])
def test_any_folder_name_will_do(index: FaissIndex, tmp_path: Path, name: str | bytes) -> None:
    folder = tmp_path / os.fsdecode(name)
    save_index(index, folder)
    loaded = load_index(folder)
    queries = RandomVectors(900, DIM).vectors[:5]
    np.testing.assert_array_equal(loaded.search(queries, 3)[1], index.search(queries, 3)[1])


def test_changing_a_mapped_index_whose_file_is_gone_says_so(
    index: FaissIndex, tmp_path: Path
) -> None:
    save_index(index, tmp_path / "index")
    loaded = load_index(tmp_path / "index")
    (tmp_path / "index" / "index.faiss").unlink()
    assert loaded.search(RandomVectors(900, DIM).vectors[:1], 1)[1][0, 0] == 0
    with pytest.raises(CorruptIndex, match="deleted while it was open"):
        loaded.remove(np.array([3]))


def test_importing_the_package_does_not_import_faiss() -> None:
    script = (
        "import sys; import mmsearch.indexes as indexes; assert 'faiss' not in sys.modules; "
        "[getattr(indexes, name) for name in indexes.__all__]; assert 'faiss' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
