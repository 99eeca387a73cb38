"""An index on disk: index.faiss and meta.json, written atomically.

Both are written into a temporary folder beside the final one, flushed, and renamed into place. A
mapped index that has not changed is hard-linked; rows appended since lie beside it in late.faiss.
FAISS trusts what it reads, so the length of a file is always checked, and its checksum where that
is quick; `verify_index` checks large files in full.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from secrets import token_hex
from time import time
from typing import IO

import faiss

from mmsearch.digests import CONTENT_BYTES, digest_of_file
from mmsearch.errors import CorruptIndex, InputError
from mmsearch.files import flush_folder
from mmsearch.indexes.appended_rows import AppendedRows
from mmsearch.indexes.base import FileMark, IndexMeta
from mmsearch.indexes.binary import BinaryIndex
from mmsearch.indexes.faiss_index import FaissIndex
from mmsearch.indexes.flat import FlatIndex
from mmsearch.indexes.hnsw import HnswIndex
from mmsearch.indexes.ivf import IvfFlatIndex, IvfIndex, IvfSq8Index
from mmsearch.indexes.meta_file import FORMAT_VERSION, META_FILE, read_meta
from mmsearch.indexes.meta_file import REBUILD as _REBUILD
from mmsearch.indexes.pq import IvfPqIndex

INDEX_FILE = "index.faiss"
LATE_FILE = "late.faiss"

# A killed writer leaves its folder behind; after this time no writer can still be using it.
_PARTIAL = ".partial"
_LEFTOVER_SECONDS = 24 * 3600

# Hashing runs at about a gigabyte per second: up to this size it does not delay a load.
HASHED_AT_LOAD_BYTES = 16 * 2**20

_CLASSES: dict[str, type[FaissIndex]] = {
    found.kind: found
    for found in (FlatIndex, HnswIndex, IvfFlatIndex, IvfSq8Index, IvfPqIndex, BinaryIndex)
}


def save_index(
    index: FaissIndex, folder: Path, *, extra: Mapping[str, object] | None = None
) -> IndexMeta:
    """Writes the index into `folder`, which must not exist yet. extra: JSON values to store."""
    with _atomic_folder(folder) as partial:
        whole = _place_index(index, partial / INDEX_FILE)
        late = index.appended if isinstance(index, IvfIndex) else None
        beside = None if late is None else _write_faiss(late.index, partial / LATE_FILE)
        meta = _meta_of(index, whole, beside, extra or {})
        _write_meta(meta, partial)
    return meta


def _place_index(index: FaissIndex, path: Path) -> FileMark:
    """Hard-links the file that the index is mapped from, which never changes; else writes one."""
    if index.mapped is None:
        return _write_faiss(index.index, path)
    try:
        os.link(index.mapped, path)
    except OSError:
        # No hard links here, another file system, or a deleted file.
        return _write_faiss(index.index, path)
    return _mark(read_meta(index.mapped.parent))


def save_meta(meta: IndexMeta, folder: Path) -> None:
    """Writes only meta.json, for an index whose vectors lie elsewhere."""
    with _atomic_folder(folder) as partial:
        _write_meta(meta, partial)


@contextmanager
def _atomic_folder(folder: Path) -> Iterator[Path]:
    """Yields a folder that becomes `folder` at the end of the block; it is deleted on an error."""
    if folder.exists():
        raise _exists_error(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(folder.parent)
    partial = folder.with_name(f".{folder.name}.{token_hex(4)}{_PARTIAL}")
    partial.mkdir()
    try:
        yield partial
        _put_in_place(partial, folder)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    flush_folder(folder)
    flush_folder(folder.parent)


def _put_in_place(partial: Path, folder: Path) -> None:
    try:
        partial.rename(folder)
    except OSError as error:
        # Another writer was first; a folder with files in it is never replaced.
        raise (_exists_error(folder) if folder.exists() else error) from error


def _exists_error(folder: Path) -> InputError:
    return InputError(f"{folder} already exists; every index needs a folder of its own")


def _write_meta(meta: IndexMeta, folder: Path) -> None:
    with (folder / META_FILE).open("w", encoding="utf-8") as file:
        json.dump(asdict(meta), file, indent=1)
        _flush(file)


def load_index(folder: Path, *, mmap: bool = True, verify: bool = False) -> FaissIndex:
    """Loads an index. Raises CorruptIndex.

    mmap: leave the vectors on disk until they are used. verify: check the hash of large files too.
    """
    meta = read_meta(folder)
    # FAISS opens a file to map by its name, in UTF-8.
    mmap = mmap and _is_utf8(folder)
    raw, mapped = _read_part(folder / INDEX_FILE, _mark(meta), mmap=mmap, verify=verify)
    path = folder / INDEX_FILE
    index = _index_class(meta, raw, path)(
        raw,
        count=meta.count,
        effort=meta.effort,
        reason=meta.reason,
        tuning=meta.tuning,
        mapped=mapped,
    )
    index.built, index.changes = meta.built, meta.changes
    if meta.late is not None:
        _join_appended(index, *_read_part(folder / LATE_FILE, meta.late, mmap=mmap, verify=verify))
    if index.dim != meta.dim or not index.can_hold(meta.count):
        raise CorruptIndex(
            f"{path} holds {raw.ntotal:,} vectors of {index.dim} dimensions, {META_FILE} says "
            f"{meta.count:,} of {meta.dim}; {_REBUILD}"
        )
    return index


def _read_part(
    path: Path, mark: FileMark, *, mmap: bool, verify: bool
) -> tuple[faiss.Index, Path | None]:
    """Returns the index in the file, and the file if it is mapped."""
    _require_intact(path, mark, hashed=verify or mark.size_bytes <= HASHED_AT_LOAD_BYTES)
    return _read_faiss(path, mark, mapped=mmap), path if mmap else None


def _join_appended(index: FaissIndex, raw: faiss.Index, mapped: Path | None) -> None:
    fits = isinstance(index, IvfIndex) and index.fits(raw) and raw.nlist == index.cells
    if not fits or raw.d != index.dim:
        raise CorruptIndex(f"{LATE_FILE} does not belong to its {INDEX_FILE}; {_REBUILD}")
    assert isinstance(index, IvfIndex)
    index.appended = AppendedRows(raw, mapped)
    if index.mapped is None:
        index.own()


def _index_class(meta: IndexMeta, raw: faiss.Index, path: Path) -> type[FaissIndex]:
    if meta.kind not in _CLASSES:
        raise CorruptIndex(
            f"{path.parent} holds an index of unknown kind '{meta.kind}'; {_REBUILD}"
        )
    found = _CLASSES[meta.kind]
    if not found.fits(raw):
        raise CorruptIndex(
            f"{path} is not a {meta.kind} index but a {type(raw).__name__}; {_REBUILD}"
        )
    return found


def verify_index(folder: Path, *, hashed: bool = True) -> IndexMeta:
    """Checks every file against its checksum, or, if not `hashed`, only its length.

    Raises CorruptIndex.
    """
    meta = read_meta(folder)
    _require_intact(folder / INDEX_FILE, _mark(meta), hashed=hashed)
    if meta.late is not None:
        _require_intact(folder / LATE_FILE, meta.late, hashed=hashed)
    return meta


def _mark(meta: IndexMeta) -> FileMark:
    return FileMark(meta.size_bytes, meta.checksum)


def _meta_of(
    index: FaissIndex, whole: FileMark, late: FileMark | None, extra: Mapping[str, object]
) -> IndexMeta:
    return IndexMeta(
        format_version=FORMAT_VERSION,
        kind=index.kind,
        dim=index.dim,
        count=len(index),
        built=index.built,
        changes=index.changes,
        effort=index.effort,
        reason=index.reason,
        tuning=index.tuning,
        faiss_version=faiss.__version__,
        size_bytes=whole.size_bytes,
        checksum=whole.checksum,
        late=late,
        extra=extra,
    )


def _write_faiss(index: faiss.Index, path: Path) -> FileMark:
    """Writes the file and returns its length and checksum."""
    digest = hashlib.blake2b(digest_size=CONTENT_BYTES)
    with path.open("wb") as file:

        def write(block: bytes) -> int:
            digest.update(block)
            return file.write(block)

        faiss.write_index(index, faiss.PyCallbackIOWriter(write, 2**20))
        _flush(file)
        return FileMark(file.tell(), digest.hexdigest())


def _read_faiss(path: Path, mark: FileMark, *, mapped: bool) -> faiss.Index:
    try:
        with _bounded_by(mark.size_bytes):
            if mapped:
                return faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
            with path.open("rb") as file:
                return faiss.read_index(faiss.PyCallbackIOReader(file.read, 2**20))
    except (RuntimeError, MemoryError) as error:
        reason = str(error).strip().splitlines()[-1] if str(error).strip() else repr(error)
        raise CorruptIndex(f"FAISS cannot read {path} ({reason}); {_REBUILD}") from error


@contextmanager
def _bounded_by(size_bytes: int) -> Iterator[None]:
    """Limits what FAISS allocates: a damaged length must not make it ask for terabytes."""
    before = faiss.get_deserialization_vector_byte_limit(), faiss.get_deserialization_loop_limit()
    faiss.set_deserialization_vector_byte_limit(size_bytes)
    faiss.set_deserialization_loop_limit(size_bytes)
    try:
        yield
    finally:
        faiss.set_deserialization_vector_byte_limit(before[0])
        faiss.set_deserialization_loop_limit(before[1])


def _require_intact(path: Path, mark: FileMark, *, hashed: bool) -> None:
    try:
        size = path.stat().st_size
        digest = digest_of_file(path) if hashed and size == mark.size_bytes else None
    except OSError as error:
        raise CorruptIndex(f"{path} cannot be read ({error}); {_REBUILD}") from error
    if size != mark.size_bytes:
        raise CorruptIndex(f"{path} has {size:,} bytes, not {mark.size_bytes:,}; {_REBUILD}")
    if digest is not None and digest != mark.checksum:
        raise CorruptIndex(f"{path} does not match its checksum; {_REBUILD}")


def _is_utf8(path: Path) -> bool:
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _remove_leftovers(parent: Path) -> None:
    for path in parent.glob(f".*{_PARTIAL}"):
        try:
            written = path.stat().st_mtime
        except FileNotFoundError:
            # Its writer has just renamed it.
            continue
        if written < time() - _LEFTOVER_SECONDS:
            shutil.rmtree(path, ignore_errors=True)


def _flush(file: IO[str] | IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())
