"""The live generation: what it was built from, and its indexes, opened on first use.

FAISS, which takes long to import, is imported when an index is opened.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mmsearch.errors import CorruptIndex
from mmsearch.files import write_atomically
from mmsearch.fusion import FrozenFusion, Fusion, LateFusion
from mmsearch.generations.paths import (
    CURRENT,
    files_path,
    folder_size,
    fusion_path,
    info_path,
    read_parts,
    rows_path,
    target_path,
)
from mmsearch.indexes import IndexMeta, IndexOptions, VectorIndex, read_meta
from mmsearch.indexes.base import LANCE
from mmsearch.indexes.part_items import PartItems
from mmsearch.records import Target
from mmsearch.store.snapshot import Snapshot, read_snapshot

# Below this a CPU search takes a few milliseconds, less than copying the vectors to a GPU.
GPU_ROWS = 100_000


@dataclass(frozen=True, slots=True)
class GenerationInfo:
    """What a generation was built from.

    lance_version: of the items table. next_uid: all rows that were live then have smaller uids.
    counts: vectors by target. frozen: how product vectors are computed. options: as requested.
    """

    number: int
    lance_version: int
    next_uid: int
    counts: Mapping[Target, int]
    frozen: FrozenFusion
    options: IndexOptions

    @property
    def fusion(self) -> Fusion:
        """How product vectors are computed, with this generation's means."""
        return self.frozen.fusion


class Generation:
    """A generation whose indexes are opened on first use: memory-mapped, or on a GPU.

    devices: what searches each opened target, for display.
    """

    def __init__(self, folder: Path, info: GenerationInfo, *, on_gpu: bool) -> None:
        self.info = info
        self.devices: dict[Target, str] = {}
        self._folder, self._on_gpu = folder, on_gpu
        self._metas: dict[Target, IndexMeta] = {}
        self._indexes: dict[Target, VectorIndex] = {}
        self._parts: dict[Target, PartItems | None] = {}

    def index(self, target: Target, version: int | None = None) -> VectorIndex:
        """Returns the index of a target, opened on first use. Raises CorruptIndex.

        version: of the items table, for an index that searches the table itself.
        """
        if target not in self._indexes:
            self._indexes[target] = self._open(target, version)
        return self._indexes[target]

    def parts(self, target: Target) -> PartItems | None:
        """Returns the parts that a target's index holds, None where it holds items alone."""
        if target not in self._parts:
            self._parts[target] = read_parts(self._path(target))
        return self._parts[target]

    def follows_table(self, target: Target) -> bool:
        """Whether the target's index searches the items table itself, and so is never behind it."""
        meta = self._meta(target)
        if meta.kind != LANCE:
            return False
        from mmsearch.generations.lance_targets import follows_table

        return follows_table(meta)

    def _path(self, target: Target) -> Path:
        return target_path(self._folder, target, self.info.number)

    def _meta(self, target: Target) -> IndexMeta:
        if target not in self._metas:
            self._metas[target] = read_meta(self._path(target))
        return self._metas[target]

    def _open(self, target: Target, version: int | None) -> VectorIndex:
        from mmsearch.generations.lance_targets import open_lance_target
        from mmsearch.indexes import load_index, to_gpu

        meta = self._meta(target)
        if meta.kind == LANCE:
            self.devices[target] = "cpu"
            return open_lance_target(self._folder, meta, version)
        index = load_index(self._path(target))
        if not self._on_gpu or len(index) < GPU_ROWS:
            self.devices[target] = "cpu"
            return index
        move = to_gpu(index)
        self.devices[target] = move.reason
        return move.index

    def check(self) -> None:
        """Checks that every index is present and has its length. Raises CorruptIndex."""
        from mmsearch.generations.lance_targets import open_lance_target
        from mmsearch.indexes import verify_index

        for target in self.info.counts:
            meta = read_meta(self._path(target))
            if meta.kind == LANCE:
                open_lance_target(self._folder, meta, None)
            else:
                verify_index(self._path(target), hashed=False)

    def verify(self) -> None:
        """Checks every index file against its checksum. Raises CorruptIndex."""
        from mmsearch.indexes import verify_index

        self.check()
        for target in self.info.counts:
            if self._meta(target).kind != LANCE:
                verify_index(self._path(target))

    def snapshot(self, *, with_failures: bool = False) -> Snapshot | None:
        """Returns the snapshot of the rows it was built from, None where it is out of date.

        with_failures: as in `read_snapshot`.
        """
        path = rows_path(self._folder, self.info.number)
        return read_snapshot(path, self._folder, with_failures=with_failures)

    def files(self) -> Snapshot | None:
        """Returns FILE_COLUMNS of all rows it was built from, None where they are out of date."""
        path = files_path(self._folder, self.info.number)
        return read_snapshot(path, self._folder, with_failures=True)

    def metas(self) -> dict[Target, IndexMeta]:
        """Returns the metadata of each index: its kind, why it was chosen, how it was tuned."""
        return {target: self._meta(target) for target in self.info.counts}

    def describe_fusion(self) -> dict[str, Any]:
        """Describes the fusion: its kind, and the image weight of late fusion."""
        fusion = self.info.fusion
        shared = {"image_weight": fusion.image_weight} if isinstance(fusion, LateFusion) else {}
        return {"kind": fusion.kind, **shared}

    def describe(self) -> dict[Target, dict[str, Any]]:
        """Describes the index of each target: kind, count and bytes."""
        return {
            target: {
                "kind": self._meta(target).kind,
                "count": count,
                "bytes": folder_size(self._path(target)),
            }
            for target, count in self.info.counts.items()
        }


def live_generation(folder: Path, *, on_gpu: bool = False) -> Generation | None:
    """Opens the generation that CURRENT names, None before the first. Raises CorruptIndex.

    on_gpu: search large targets on a GPU if FAISS works correctly there.
    """
    try:
        number = int((folder / CURRENT).read_text(encoding="utf-8"))
        content = json.loads(info_path(folder, number).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise CorruptIndex(_damaged(folder, error)) from error
    try:
        frozen = FrozenFusion.read(content, fusion_path(folder, number))
        options = IndexOptions(**content.get("index", {}))
        info = GenerationInfo(
            number,
            content["lance_version"],
            content["next_uid"],
            content["counts"],
            frozen,
            options,
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CorruptIndex(_damaged(folder, error)) from error
    return Generation(folder, info, on_gpu=on_gpu)


def _damaged(folder: Path, error: Exception) -> str:
    return (
        f"{folder / CURRENT} or its generation is damaged ({error}); run "
        "`catalog.index(rebuild=True)` to build the index again from the table"
    )


def write_info(folder: Path, info: GenerationInfo) -> None:
    """Writes what a generation was built from. Raises OSError."""
    path = info_path(folder, info.number)
    path.parent.mkdir(exist_ok=True)
    content = {
        "lance_version": info.lance_version,
        "next_uid": info.next_uid,
        "counts": dict(info.counts),
        "index": asdict(info.options),
        **info.frozen.write(fusion_path(folder, info.number)),
    }
    write_atomically(path, json.dumps(content))
