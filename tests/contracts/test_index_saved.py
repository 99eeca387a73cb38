"""Every kind of index on disk: the same when it comes back, refused when damaged or too old."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from mmsearch.errors import CorruptIndex, InputError
from mmsearch.indexes import IndexKind, load_index, save_index, verify_index
from tests.support.index_kinds import DIM, KINDS, built, mixture, shared

WRITERS = 4


@pytest.mark.parametrize("mmap", [True, False])
@pytest.mark.parametrize("count", [0, 1, 2_000])
@pytest.mark.parametrize("kind", KINDS)
def test_saving_and_loading_change_nothing(
    kind: IndexKind, count: int, mmap: bool, tmp_path: Path
) -> None:
    index, vectors, ids = built(kind, count)
    index.remove(ids[: count // 10])
    queries = mixture(30, seed=1)
    expected = index.search(queries, 12)
    save_index(index, tmp_path / "one")
    loaded = load_index(tmp_path / "one", mmap=mmap)
    assert (loaded.kind, loaded.dim, len(loaded)) == (index.kind, DIM, len(index))
    assert (loaded.effort, loaded.reason, loaded.tuning) == (
        index.effort,
        index.reason,
        index.tuning,
    )
    for got, wanted in zip(loaded.search(queries, 12), expected, strict=True):
        np.testing.assert_array_equal(got, wanted)
    # A mapped index can be changed as well, and saved beside the file that it was mapped from.
    loaded.add(vectors[: count // 10], ids[: count // 10])
    assert loaded.remove(ids[-1:]) == min(1, count)
    save_index(loaded, tmp_path / "two")
    again = load_index(tmp_path / "two")
    assert len(again) == max(0, count - 1)
    assert (again.built, again.changes) == (count, 2 * (count // 10) + min(1, count))
    np.testing.assert_array_equal(load_index(tmp_path / "one").search(queries, 12)[1], expected[1])


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_file_is_refused_and_says_what_to_do(kind: IndexKind, tmp_path: Path) -> None:
    index, _, _ = shared(kind, 700)
    save_index(index, tmp_path / "index")
    path = tmp_path / "index" / "index.faiss"
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 4
    for damaged in (whole[:-1], whole[: len(whole) // 2], b"", bytes(flipped), whole + b"x"):
        path.write_bytes(damaged)
        with pytest.raises(CorruptIndex, match=r"run `catalog\.index\(\)` to rebuild"):
            load_index(tmp_path / "index")
    path.unlink()
    with pytest.raises(CorruptIndex, match="rebuild"):
        load_index(tmp_path / "index")


@pytest.mark.parametrize("version", [0, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_a_file_of_another_format_version_is_refused_and_says_what_to_do(
    kind: IndexKind, version: int, tmp_path: Path
) -> None:
    save_index(shared(kind, 700)[0], tmp_path / "index")
    path = tmp_path / "index" / "meta.json"
    meta = json.loads(path.read_text())
    path.write_text(json.dumps({**meta, "format_version": version}))
    with pytest.raises(
        CorruptIndex, match=rf"version {version}, .* reads 1; run `catalog\.index\(\)`"
    ):
        load_index(tmp_path / "index")


@pytest.mark.parametrize("kind", KINDS)
def test_of_writers_of_one_index_at_once_the_first_wins_whole(
    kind: IndexKind, tmp_path: Path
) -> None:
    index, vectors, _ = shared(kind, 700)

    def write(_: int) -> str:
        try:
            save_index(index, tmp_path / "index")
        except InputError as error:
            return str(error)
        return ""

    with ThreadPoolExecutor(WRITERS) as pool:
        faults = list(pool.map(write, range(WRITERS)))
    assert sorted("already exists" in fault for fault in faults) == [False] + [True] * 3
    assert [path.name for path in tmp_path.iterdir()] == ["index"]
    verify_index(tmp_path / "index")
    loaded = load_index(tmp_path / "index")
    np.testing.assert_array_equal(
        loaded.search(vectors[:20], 5)[1], index.search(vectors[:20], 5)[1]
    )
