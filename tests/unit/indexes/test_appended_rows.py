"""Rows added to a mapped IVF index lie beside its file: found like the others, written apart."""

import json
from pathlib import Path

import numpy as np
import pytest

from mmsearch.errors import CorruptIndex
from mmsearch.indexes import (
    FaissIndex,
    IdFilter,
    IndexKind,
    load_index,
    read_meta,
    save_index,
    verify_index,
)
from mmsearch.indexes.gpu import gpu_source
from mmsearch.indexes.ivf import IvfIndex
from mmsearch.records import Floats, Ids
from tests.support.index_kinds import built, mixture, shared

IVF: tuple[IndexKind, ...] = ("ivf-flat", "ivf-sq8")
NEW = np.arange(10_000, 10_040, dtype=np.int64)


def new_vectors() -> Floats:
    return mixture(len(NEW), seed=9)


def opened(kind: IndexKind, folder: Path) -> IvfIndex:
    """A mapped index with late rows. folder: where it was saved without them."""
    save_index(shared(kind, 2_000)[0], folder)
    index = load_index(folder)
    assert isinstance(index, IvfIndex)
    index.add(new_vectors(), NEW)
    assert index.appended is not None
    return index


def in_memory(kind: IndexKind) -> FaissIndex:
    """What `opened` must answer like."""
    index, _, _ = built(kind, 2_000)
    index.add(new_vectors(), NEW)
    return index


def require_same(index: FaissIndex, other: FaissIndex, allowed: Ids | None = None) -> None:
    queries = np.concatenate([mixture(30, seed=1), new_vectors()])
    within = None if allowed is None else IdFilter(allowed)
    for k in (1, 12, 3_000):
        similarities, ids = index.search(queries, k, allowed=within)
        wanted_similarities, wanted_ids = other.search(queries, k, allowed=within)
        np.testing.assert_allclose(similarities, wanted_similarities, atol=1e-6)
        np.testing.assert_array_equal(ids, wanted_ids)


@pytest.mark.parametrize("kind", IVF)
def test_late_rows_are_found_like_the_others(kind: IndexKind, tmp_path: Path) -> None:
    index, whole = opened(kind, tmp_path / "1"), in_memory(kind)
    assert len(index) == 2_040
    assert sorted(index.ids_by_row()) == sorted(whole.ids_by_row())
    require_same(index, whole)
    _, _, ids = shared(kind, 2_000)
    for allowed in (NEW[:3], ids[:5], np.concatenate([ids[:9], NEW[-2:]]), ids[:900], NEW + 99):
        require_same(index, whole, allowed)


@pytest.mark.parametrize("kind", IVF)
def test_the_file_is_taken_along_and_late_rows_are_written_beside_it(
    kind: IndexKind, tmp_path: Path
) -> None:
    index, whole = opened(kind, tmp_path / "1"), in_memory(kind)
    written = save_index(index, tmp_path / "2")
    assert (tmp_path / "1" / "index.faiss").samefile(tmp_path / "2" / "index.faiss")
    assert written.late is not None
    assert written.late.size_bytes == (tmp_path / "2" / "late.faiss").stat().st_size
    assert written.checksum == read_meta(tmp_path / "1").checksum
    assert verify_index(tmp_path / "2") == written
    assert (written.count, written.changes) == (2_040, 40)
    for mmap in (True, False):
        require_same(load_index(tmp_path / "2", mmap=mmap), whole)
    again = load_index(tmp_path / "2")
    more, ids = mixture(5, seed=77), np.arange(20_000, 20_005)
    again.add(more, ids)
    whole.add(more, ids)
    save_index(again, tmp_path / "3")
    assert (tmp_path / "1" / "index.faiss").samefile(tmp_path / "3" / "index.faiss")
    require_same(load_index(tmp_path / "3"), whole)
    assert len(load_index(tmp_path / "2")) == 2_040


@pytest.mark.parametrize("kind", IVF)
def test_removing_makes_one_index_of_both(kind: IndexKind, tmp_path: Path) -> None:
    index, whole = opened(kind, tmp_path / "1"), in_memory(kind)
    save_index(index, tmp_path / "2")
    loaded = load_index(tmp_path / "2")
    _, _, ids = shared(kind, 2_000)
    gone = np.concatenate([ids[:50], NEW[:7]])
    assert loaded.remove(gone) == whole.remove(gone) == 57
    require_same(loaded, whole)
    assert save_index(loaded, tmp_path / "3").late is None
    assert not (tmp_path / "3" / "late.faiss").exists()
    require_same(load_index(tmp_path / "3"), whole)
    assert verify_index(tmp_path / "2").count == 2_040


def test_an_index_whose_file_is_gone_is_written_anew(tmp_path: Path) -> None:
    index = opened("ivf-sq8", tmp_path / "1")
    (tmp_path / "1" / "index.faiss").unlink()
    save_index(index, tmp_path / "2")
    verify_index(tmp_path / "2")
    require_same(load_index(tmp_path / "2"), in_memory("ivf-sq8"))


def test_a_damaged_late_file_is_refused_and_says_what_to_do(tmp_path: Path) -> None:
    save_index(opened("ivf-flat", tmp_path / "1"), tmp_path / "2")
    path = tmp_path / "2" / "late.faiss"
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 4
    for damaged in (whole[:-1], b"", bytes(flipped), whole + b"x"):
        path.write_bytes(damaged)
        for read in (load_index, verify_index):
            with pytest.raises(CorruptIndex, match=r"late\.faiss .* run `catalog\.index\(\)`"):
                read(tmp_path / "2")
    path.unlink()
    with pytest.raises(CorruptIndex, match="rebuild"):
        load_index(tmp_path / "2")


@pytest.mark.parametrize("late", [{}, {"size_bytes": "many", "checksum": "0"}])
def test_a_meta_that_tells_half_of_the_late_file_is_refused(
    late: dict[str, str], tmp_path: Path
) -> None:
    save_index(opened("ivf-flat", tmp_path / "1"), tmp_path / "2")
    path = tmp_path / "2" / "meta.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "late": late}))
    with pytest.raises(CorruptIndex, match="cannot be read"):
        load_index(tmp_path / "2")


def test_late_rows_of_another_index_are_refused(tmp_path: Path) -> None:
    save_index(opened("ivf-flat", tmp_path / "1"), tmp_path / "flat")
    save_index(opened("ivf-sq8", tmp_path / "2"), tmp_path / "sq8")
    (tmp_path / "flat" / "late.faiss").replace(tmp_path / "sq8" / "late.faiss")
    path = tmp_path / "sq8" / "meta.json"
    late = json.loads((tmp_path / "flat" / "meta.json").read_text())["late"]
    path.write_text(json.dumps({**json.loads(path.read_text()), "late": late}))
    with pytest.raises(CorruptIndex, match=r"late\.faiss does not belong"):
        load_index(tmp_path / "sq8")


def test_what_goes_to_a_gpu_has_the_late_rows_too(tmp_path: Path) -> None:
    index = opened("ivf-flat", tmp_path / "1")
    assert gpu_source(index).ntotal == 2_040
