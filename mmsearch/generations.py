"""Generations of the FAISS indexes: built from the table, named by CURRENT, completed when behind.

faiss/<target>/<generation>/ holds one index and its meta.json, which carries what it was built
from: the table's version, the uids below which it knows every live row, and how pictures and texts
are fused, with the modality means (trained weights lie beside it).
CURRENT is replaced by rename once all targets of a generation are on disk.
"""

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mmsearch.errors import CorruptIndex
from mmsearch.fusion import (
    FrozenFusion,
    Fusion,
    LateFusion,
    identity,
    late_base,
    shrunken_mean,
    unit,
)
from mmsearch.indexes import (
    REBUILD_SHARE,
    IndexMeta,
    IndexOptions,
    VectorIndex,
    build_index,
    choose,
    load_index,
    read_meta,
    save_index,
    save_meta,
    to_gpu,
    verify_index,
)
from mmsearch.indexes.ids import REMOVED
from mmsearch.lance_targets import (
    build_lance_target,
    drop_lance_indexes,
    follows_table,
    open_lance_target,
    update_lance_target,
)
from mmsearch.progress import ProgressListener
from mmsearch.records import Floats, Ids, Modality, Target
from mmsearch.store.filters import LIVE
from mmsearch.store.lance import Store
from mmsearch.store.manifest import write_atomically
from mmsearch.store.snapshot import Snapshot, read_snapshot

CURRENT = "CURRENT"
# The kind that keeps its vectors in the table.
LANCE = "lance"
# The generation before the live one stays for readers that opened it.
KEPT = 2
IMAGE, TEXT = "_image_vector", "_text_vector"
COLUMNS: Mapping[Target, tuple[str, ...]] = {
    "image": (IMAGE,),
    "text": (TEXT,),
    "product": (IMAGE, TEXT),
}
HAS: Mapping[Target, str] = {
    "image": f"{IMAGE} IS NOT NULL",
    "text": f"{TEXT} IS NOT NULL",
    "product": f"({IMAGE} IS NOT NULL OR {TEXT} IS NOT NULL)",
}
# Tuning wants some hundreds of real queries; more only costs time.
TUNING_QUERIES = 512
# Fewer could not confirm a recall of 0.95 if all were answered perfectly.
FEWEST_QUERIES = 64
# A rotation that suits both modalities is learned from so many vectors of each.
MODALITY_ROWS = 4_096
# Below this a CPU answers in a few milliseconds, sooner than vectors get onto a GPU.
GPU_ROWS = 100_000


@dataclass(frozen=True, slots=True)
class GenerationInfo:
    """What a generation was built from. lance_version: of the items table.

    next_uid: every row that was live then has a smaller uid. counts: vectors by target.
    frozen: how products were fused, and go on being fused under it. options: what was asked for.
    """

    number: int
    lance_version: int
    next_uid: int
    counts: Mapping[Target, int]
    frozen: FrozenFusion
    options: IndexOptions

    @property
    def fusion(self) -> Fusion:
        return self.frozen.fusion


@dataclass(frozen=True, slots=True)
class StoredVectors:
    """The live rows' vectors for one target, in batches: re-iterable, float32 unit rows."""

    store: Store
    target: Target
    fusion: Fusion
    count: int
    where: str = LIVE

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[tuple[Floats, Ids]]:
        for uids, columns in self.store.vectors(COLUMNS[self.target], self.where):
            vectors = (
                self.fusion.products(*columns) if self.target == "product" else unit(columns[0])
            )
            present = vectors.any(axis=1)
            if present.any():
                yield vectors[present], uids[present]


class Generation:
    """A live generation, opened lazily target by target: memory-mapped, or on a GPU.

    devices: what searches each opened target, for the screen.
    """

    def __init__(self, folder: Path, info: GenerationInfo, *, on_gpu: bool) -> None:
        self.info = info
        self.devices: dict[Target, str] = {}
        self._folder, self._on_gpu = folder, on_gpu
        self._metas: dict[Target, IndexMeta] = {}
        self._indexes: dict[Target, VectorIndex] = {}

    def index(self, target: Target, version: int | None = None) -> VectorIndex:
        """version: of the items table, to look at by an index that lies in it."""
        if target not in self._indexes:
            self._indexes[target] = self._open(target, version)
        return self._indexes[target]

    def follows_table(self, target: Target) -> bool:
        """Whether the target's index reads the items themselves, and so is never behind them."""
        return follows_table(self._meta(target))

    def _meta(self, target: Target) -> IndexMeta:
        if target not in self._metas:
            self._metas[target] = read_meta(_path(self._folder, target, self.info.number))
        return self._metas[target]

    def _open(self, target: Target, version: int | None) -> VectorIndex:
        meta = self._meta(target)
        if meta.kind == LANCE:
            self.devices[target] = "cpu"
            return open_lance_target(self._folder, meta, version)
        index = load_index(_path(self._folder, target, self.info.number))
        if not self._on_gpu or len(index) < GPU_ROWS:
            self.devices[target] = "cpu"
            return index
        move = to_gpu(index)
        self.devices[target] = move.reason
        return move.index

    def check(self) -> None:
        """A quick look at every index: there, readable, of its size. Raises CorruptIndex."""
        for target in self.info.counts:
            folder = _path(self._folder, target, self.info.number)
            meta = read_meta(folder)
            if meta.kind == LANCE:
                open_lance_target(self._folder, meta, None)
            else:
                verify_index(folder, hashed=False)

    def verify(self) -> None:
        """Reads every index file and holds it against its checksum. Raises CorruptIndex."""
        self.check()
        for target in self.info.counts:
            if self._meta(target).kind != LANCE:
                verify_index(_path(self._folder, target, self.info.number))

    def snapshot(self) -> Snapshot | None:
        """The rows that it was built from, if they are still the table's."""
        return read_snapshot(_rows_path(self._folder, self.info.number), self._folder)

    def metas(self) -> dict[Target, IndexMeta]:
        """By target, what was written beside its index: kind, why, and how it was tuned."""
        folder, number = self._folder, self.info.number
        return {target: read_meta(_path(folder, target, number)) for target in self.info.counts}

    def describe_fusion(self) -> dict[str, Any]:
        """The kind, and the picture's share where one weight holds for all items."""
        fusion = self.info.fusion
        shared = {"image_weight": fusion.image_weight} if isinstance(fusion, LateFusion) else {}
        return {"kind": fusion.kind, **shared}

    def describe(self) -> dict[Target, dict[str, Any]]:
        """By target: kind, count, bytes and the reason for the choice."""
        return {
            target: {
                "kind": read_meta(_path(self._folder, target, self.info.number)).kind,
                "count": count,
                "bytes": _size(_path(self._folder, target, self.info.number)),
            }
            for target, count in self.info.counts.items()
        }


def live_generation(folder: Path, *, on_gpu: bool = False) -> Generation | None:
    """The generation that CURRENT names, or None before the first. Raises CorruptIndex.

    on_gpu: search large targets on a GPU if a real search there proves right.
    """
    try:
        number = int((folder / CURRENT).read_text(encoding="utf-8"))
        content = json.loads(_info_path(folder, number).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise CorruptIndex(_damaged(folder, error)) from error
    try:
        frozen = FrozenFusion.read(content, _fusion_path(folder, number))
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
        f"{folder / CURRENT} or what it names is damaged ({error}); run 'mmsearch index "
        "--rebuild' to build the index again from the table"
    )


def estimate_fusion(store: Store, base: Fusion | None = None) -> FrozenFusion:
    """`base` over the means of the live image and text vectors, shrunk for small catalogs towards
    the means that it was trained on. base: late fusion if None.
    """
    share = store.manifest.image_weight
    base = base or late_base(store.dim, 0.5 if share is None else share)
    sums = {IMAGE: np.zeros(store.dim, np.float64), TEXT: np.zeros(store.dim, np.float64)}
    counts = {IMAGE: 0, TEXT: 0}
    for _, columns in store.vectors([IMAGE, TEXT]):
        for name, vectors in zip((IMAGE, TEXT), columns, strict=True):
            sums[name] += unit(vectors).sum(axis=0, dtype=np.float64)
            counts[name] += int(vectors.any(axis=1).sum())
    modalities: dict[Modality, str] = {"image": IMAGE, "text": TEXT}
    means = {
        modality: shrunken_mean(sums[name].astype(np.float32), counts[name], base.means[modality])
        for modality, name in modalities.items()
    }
    return FrozenFusion.of(base, means)


def refresh_generation(
    store: Store,
    live: GenerationInfo | None,
    options: IndexOptions,
    progress: ProgressListener,
    *,
    fusion: Fusion | None = None,
) -> GenerationInfo:
    """Makes a generation of the table as it is, and the live one of it.

    A live generation that few changes separate from the table is brought up to date under its
    means; otherwise every index is built anew. fusion: how products are made, as the model brought
    it; as the live generation does, else late, if None. Call it under the store's write lock.
    """
    counted = store.counts()
    counts = _target_counts(counted)
    base = fusion or (live.frozen.base if live else None)
    few = (
        live is not None
        and live.options == options
        and is_fused_by(live, base)
        and _few_changes(store, live, counts, options)
    )
    updated = live if few else None
    outgrown = {t for t, count in counts.items() if updated and _outgrown(store, t, count, updated)}
    for target in outgrown if updated else counts:
        # Too little memory is told before any vector is read.
        choose(counts[target], store.dim, options)
    frozen = updated.frozen if updated else estimate_fusion(store, base)
    present = store.uids() if updated else np.empty(0, np.int64)
    number = _last_number(store.folder) + 1
    kinds = set()
    for target, count in counts.items():
        progress.start(f"{'updating' if updated else 'building'} the {target} index", count)
        place = _path(store.folder, target, number)
        if updated and target not in outgrown:
            meta = _update(store, target, updated, place, present)
        else:
            meta = _build(StoredVectors(store, target, frozen.fusion, count), options, place)
        kinds.add(meta.kind)
        progress.advance(count)
        progress.note(f"{target} index: {meta.kind}, {count:,} vectors; {meta.reason}")
    if LANCE not in kinds:
        drop_lance_indexes(store)
    # Read last: an index that Lance keeps is a version of the table.
    info = GenerationInfo(number, store.version, store.manifest.next_uid, counts, frozen, options)
    _write_info(store.folder, info)
    store.save_snapshot(_rows_path(store.folder, number), counted)
    write_atomically(store.folder / CURRENT, f"{number}\n")
    _remove_old(store.folder, number)
    return info


def is_fused_by(live: GenerationInfo, base: Fusion | None) -> bool:
    """Whether the generation's products are what `base` makes; None stands for what it has."""
    return base is None or identity(live.frozen.base) == identity(base)


def _few_changes(
    store: Store, live: GenerationInfo, counts: Mapping[Target, int], options: IndexOptions
) -> bool:
    """Whether updating is worth it: the same targets, and few rows of the trained ones changed.

    Where none is trained, all are built anew, and fresh means come with them.
    """
    trained = [target for target in live.counts if not _is_exact(store, target, live)]
    if counts.keys() != live.counts.keys() or not trained:
        return False
    for target in trained:
        meta = read_meta(_path(store.folder, target, live.number))
        new = store.count(f"{HAS[target]} AND _uid >= {live.next_uid}")
        gone = meta.count - (counts[target] - new)
        changes = meta.changes + new + gone
        wanted = options.kind in ("auto", meta.kind)
        if not wanted or changes > REBUILD_SHARE * meta.built:
            return False
    return True


def _is_exact(store: Store, target: Target, live: GenerationInfo) -> bool:
    return read_meta(_path(store.folder, target, live.number)).kind == "flat"


def _outgrown(store: Store, target: Target, count: int, live: GenerationInfo) -> bool:
    """Whether an exact index has become too large to stay one. Raises InputError."""
    exact = _is_exact(store, target, live)
    return exact and choose(count, store.dim, live.options)[0].kind != "flat"


def _update(
    store: Store, target: Target, live: GenerationInfo, place: Path, present: Ids
) -> IndexMeta:
    """Saves the live index without the rows that are gone, with those that came since.

    present: the live uids. A row keeps its uid only while its vectors stay, so whether each still
    has them need not be asked.
    """
    new = f"{LIVE} AND _uid >= {live.next_uid}"
    late = StoredVectors(store, target, live.fusion, 0, new)
    before = read_meta(_path(store.folder, target, live.number))
    if before.kind == LANCE:
        gone = np.setdiff1d(open_lance_target(store.folder, before, None).ids(), present)
        changes = before.changes + len(gone) + store.count(f"{HAS[target]} AND {new}")
        meta = update_lance_target(store, before, gone=gone, late=late, changes=changes)
        save_meta(meta, place)
        return meta
    index = load_index(_path(store.folder, target, live.number))
    rows = index.ids_by_row()
    held = rows[rows != REMOVED]
    index.remove(held[~np.isin(held, present, assume_unique=True)])
    for vectors, uids in late:
        index.add(vectors, uids)
    if index.kind == "flat":
        index.reason = choose(len(index), store.dim, live.options)[0].why
    return save_index(index, place)


def _build(vectors: StoredVectors, options: IndexOptions, place: Path) -> IndexMeta:
    store, target = vectors.store, vectors.target
    plan = choose(len(vectors), store.dim, options)[0]
    if plan.kind == "flat":
        return save_index(build_index(vectors, dim=store.dim, options=options), place)
    modalities = _modalities(store, target, vectors.fusion)
    queries = {
        name: spread(part, TUNING_QUERIES)
        for name, part in modalities.items()
        if len(part) >= FEWEST_QUERIES
    }
    if plan.kind == LANCE:
        column = None if target == "product" else COLUMNS[target][0]
        meta = build_lance_target(
            store, column, vectors, why=plan.why, options=options, queries=queries
        )
        save_meta(meta, place)
        return meta
    index = build_index(
        vectors, dim=store.dim, options=options, queries=queries, modalities=modalities
    )
    return save_index(index, place)


def _target_counts(counts: Mapping[str, int]) -> dict[Target, int]:
    """counts: of the store."""
    targets: dict[Target, int] = {}
    if counts["image"]:
        targets["image"] = counts["image"]
    if counts["text"]:
        targets["text"] = counts["text"]
    if counts["both"]:
        targets["product"] = counts["items"]
    return targets


def _modalities(store: Store, target: Target, fusion: Fusion) -> dict[str, Floats]:
    """Queries of each modality, the catalog's own, as the target would be asked."""
    queries: dict[str, Floats] = {}
    named: tuple[tuple[Modality, str], ...] = (("image", IMAGE), ("text", TEXT))
    for modality, column in named:
        sample = _sampled(store, column)
        if len(sample):
            queries[modality] = fusion.centre(sample, modality) if target == "product" else sample
    return queries


def _sampled(store: Store, column: str) -> Floats:
    """Up to MODALITY_ROWS unit rows from all over the table, float32 (n, dim)."""
    step = max(1, store.count(f"{column} IS NOT NULL") // MODALITY_ROWS)
    rows: list[Floats] = [np.zeros((0, store.dim), np.float32)]
    for _, (vectors,) in store.vectors([column], f"{LIVE} AND _uid % {step} = 0"):
        rows.append(unit(vectors[vectors.any(axis=1)]))
        if sum(len(part) for part in rows) >= MODALITY_ROWS:
            break
    return np.concatenate(rows)[:MODALITY_ROWS]


def spread(rows: Floats, most: int) -> Floats:
    """At most so many of the rows, evenly from all over them."""
    return rows[:: max(1, -(-len(rows) // most))]


def _write_info(folder: Path, info: GenerationInfo) -> None:
    path = _info_path(folder, info.number)
    path.parent.mkdir(exist_ok=True)
    content = {
        "lance_version": info.lance_version,
        "next_uid": info.next_uid,
        "counts": dict(info.counts),
        "index": asdict(info.options),
        **info.frozen.write(_fusion_path(folder, info.number)),
    }
    write_atomically(path, json.dumps(content))


def _path(folder: Path, target: Target, number: int) -> Path:
    return folder / "faiss" / target / f"{number:06d}"


def _info_path(folder: Path, number: int) -> Path:
    return folder / "faiss" / f"{number:06d}.json"


def _fusion_path(folder: Path, number: int) -> Path:
    return folder / "faiss" / f"{number:06d}.fusion.safetensors"


def _rows_path(folder: Path, number: int) -> Path:
    return folder / "faiss" / f"{number:06d}.arrow"


def _numbers(folder: Path) -> Sequence[int]:
    names = {path.name.split(".")[0] for path in (folder / "faiss").glob("**/[0-9]*")}
    return sorted(int(name) for name in names if name.isdigit())


def _last_number(folder: Path) -> int:
    return max(_numbers(folder), default=0)


def _remove_old(folder: Path, live: int) -> None:
    for number in _numbers(folder):
        if number <= live - KEPT or number > live:
            for target in COLUMNS:
                shutil.rmtree(_path(folder, target, number), ignore_errors=True)
            _info_path(folder, number).unlink(missing_ok=True)
            _fusion_path(folder, number).unlink(missing_ok=True)
            _rows_path(folder, number).unlink(missing_ok=True)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())
