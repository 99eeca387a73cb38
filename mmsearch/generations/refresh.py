"""Builds a generation from the current table: updates the live one or rebuilds all indexes."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from mmsearch.arrays import unit
from mmsearch.files import write_atomically
from mmsearch.fusion import FrozenFusion, Fusion, identity, late_base, shrunken_mean
from mmsearch.generations.lance_targets import (
    build_lance_target,
    drop_lance_indexes,
    follows_table,
    open_lance_target,
    update_lance_target,
)
from mmsearch.generations.live import GenerationInfo, write_info
from mmsearch.generations.paths import (
    CURRENT,
    files_path,
    last_number,
    remove_old,
    rows_path,
    target_path,
    write_parts,
)
from mmsearch.generations.vectors import (
    HAS,
    IMAGE,
    TEXT,
    StoredVectors,
    modality_queries,
    spread,
    stored_parts,
)
from mmsearch.indexes import (
    REBUILD_SHARE,
    IndexMeta,
    IndexOptions,
    build_index,
    choose,
    load_index,
    read_meta,
    save_index,
    save_meta,
)
from mmsearch.indexes.ids import REMOVED
from mmsearch.indexes.lance_index import KIND as LANCE
from mmsearch.indexes.part_items import PartItems
from mmsearch.progress import ProgressListener
from mmsearch.records import Ids, Modality, Target
from mmsearch.store import Store

# Tuning needs some hundreds of real queries; more only cost time.
TUNING_QUERIES = 512
# Fewer queries could not confirm a recall of 0.95 even with perfect results.
FEWEST_QUERIES = 64


def refresh_generation(
    store: Store,
    live: GenerationInfo | None,
    options: IndexOptions,
    progress: ProgressListener,
    *,
    fusion: Fusion | None = None,
) -> GenerationInfo:
    """Builds a generation from the current table and makes it live.

    After few changes the live generation is updated and keeps its modality means; otherwise every
    index is rebuilt. fusion: the model's fusion; None: that of the live generation, else late
    fusion. Call it under the store's write lock. Raises InputError where the memory is too small.
    """
    counted, parts = store.counts(), stored_parts(store)
    counts = target_counts(counted, parts)
    base = fusion or (live.frozen.base if live else None)
    few = (
        live is not None
        and live.options == options
        and is_fused_by(live, base)
        and _few_changes(store, live, counts, options, parts=parts)
    )
    updated = live if few else None
    rebuilt = {
        target
        for target, count in counts.items()
        if updated is None
        or _outgrown(store, target, count, updated)
        or _in_wrong_table(store, target, updated, parts)
    }
    for target in rebuilt:
        # Reports too little memory before any vector is read.
        choose(counts[target], store.dim, options)
    frozen = updated.frozen if updated else estimate_fusion(store, base)
    present = store.uids() if updated else np.empty(0, np.int64)
    number = last_number(store.folder) + 1
    kinds = set()
    for target, count in counts.items():
        progress.start(f"{'updating' if updated else 'building'} the {target} index", count)
        place = target_path(store.folder, target, number)
        held = parts.get(target)
        if updated and target not in rebuilt:
            meta = _update(store, target, updated, place, present=present, parts=held)
        else:
            vectors = StoredVectors(store, target, frozen.fusion, count, parts=held)
            meta = _build(vectors, options, place, parts=parts)
        if held is not None:
            write_parts(place, held)
        kinds.add(meta.kind)
        progress.advance(count)
        if meta.kind != "flat":
            # An exact scan is what everybody expects.
            progress.note(f"{target} index: {meta.kind}, {count:,} vectors; {meta.reason}")
    if LANCE not in kinds:
        drop_lance_indexes(store)
    # Read last: building a Lance index commits a version of the table.
    info = GenerationInfo(number, store.version, store.manifest.next_uid, counts, frozen, options)
    write_info(store.folder, info)
    store.save_parts(rows_path(store.folder, number), counted)
    store.save_snapshot(rows_path(store.folder, number), counted)
    store.save_files(files_path(store.folder, number), counted)
    write_atomically(store.folder / CURRENT, f"{number}\n")
    remove_old(store.folder, number)
    return info


def is_fused_by(live: GenerationInfo, base: Fusion | None) -> bool:
    """Whether the generation computes products with `base`; None stands for its own fusion."""
    return base is None or identity(live.frozen.base) == identity(base)


def _few_changes(
    store: Store,
    live: GenerationInfo,
    counts: Mapping[Target, int],
    options: IndexOptions,
    *,
    parts: Mapping[Target, PartItems],
) -> bool:
    """Whether an update suffices: the same targets, and few changed rows in trained indexes.

    Without a trained index all are rebuilt, with new means.
    """
    trained = [target for target in live.counts if not _is_exact(store, target, live)]
    if counts.keys() != live.counts.keys() or not trained:
        return False
    for target in trained:
        meta = _live_meta(store, target, live)
        new = _new_rows(store, target, live.next_uid, parts.get(target))
        gone = meta.count - (counts[target] - new)
        changes = meta.changes + new + gone
        wanted = options.kind in ("auto", meta.kind)
        if not wanted or changes > REBUILD_SHARE * meta.built:
            return False
    return True


def _new_rows(store: Store, target: Target, since: int, parts: PartItems | None) -> int:
    """Counts what an index lacks whose rows all have smaller uids than `since`."""
    items = store.count(f"{HAS[target]} AND _uid >= {since}")
    if parts is None:
        return items
    with_parts = int((parts.distinct_items >= since).sum())
    return items - with_parts + int((parts.parts >= since).sum())


def _live_meta(store: Store, target: Target, live: GenerationInfo) -> IndexMeta:
    return read_meta(target_path(store.folder, target, live.number))


def _is_exact(store: Store, target: Target, live: GenerationInfo) -> bool:
    return _live_meta(store, target, live).kind == "flat"


def _outgrown(store: Store, target: Target, count: int, live: GenerationInfo) -> bool:
    """Whether an exact index has too many rows to stay exact. Raises InputError."""
    exact = _is_exact(store, target, live)
    return exact and choose(count, store.dim, live.options)[0].kind != "flat"


def _in_wrong_table(
    store: Store, target: Target, live: GenerationInfo, parts: Mapping[Target, PartItems]
) -> bool:
    """Whether Lance searches the items' own vectors although some have parts, or the reverse."""
    meta = _live_meta(store, target, live)
    if meta.kind != LANCE or target == "product":
        return False
    return follows_table(meta) == (target in parts)


def _update(
    store: Store,
    target: Target,
    live: GenerationInfo,
    place: Path,
    *,
    present: Ids,
    parts: PartItems | None,
) -> IndexMeta:
    """Saves the live index without deleted rows and with new ones.

    present: the uids of live items. A row keeps its uid only while its vectors do not change, so
    comparing uids suffices.
    """
    if parts is not None:
        present = np.concatenate([parts.without_parts(present), parts.parts])
    appended = StoredVectors(store, target, live.fusion, 0, since=live.next_uid, parts=parts)
    before = _live_meta(store, target, live)
    if before.kind == LANCE:
        gone = np.setdiff1d(open_lance_target(store.folder, before, None).ids(), present)
        new = _new_rows(store, target, live.next_uid, parts)
        changes = before.changes + len(gone) + new
        meta = update_lance_target(store, before, gone=gone, appended=appended, changes=changes)
        save_meta(meta, place)
        return meta
    index = load_index(target_path(store.folder, target, live.number))
    rows = index.ids_by_row()
    held = rows[rows != REMOVED]
    index.remove(held[~np.isin(held, present, assume_unique=True)])
    for vectors, uids in appended:
        index.add(vectors, uids)
    if index.kind == "flat":
        index.reason = choose(len(index), store.dim, live.options)[0].why
    return save_index(index, place)


def _build(
    vectors: StoredVectors,
    options: IndexOptions,
    place: Path,
    *,
    parts: Mapping[Target, PartItems],
) -> IndexMeta:
    store, target = vectors.store, vectors.target
    plan = choose(len(vectors), store.dim, options)[0]
    if plan.kind == "flat":
        return save_index(build_index(vectors, dim=store.dim, options=options), place)
    modalities = modality_queries(store, target, vectors.fusion, parts)
    queries = {
        name: spread(sample, TUNING_QUERIES)
        for name, sample in modalities.items()
        if len(sample) >= FEWEST_QUERIES
    }
    if plan.kind == LANCE:
        meta = build_lance_target(vectors, why=plan.why, options=options, queries=queries)
        save_meta(meta, place)
        return meta
    index = build_index(
        vectors,
        dim=store.dim,
        options=options,
        queries=queries,
        modalities=modalities,
        parts=vectors.parts,
    )
    return save_index(index, place)


def target_counts(
    counts: Mapping[str, int], parts: Mapping[Target, PartItems]
) -> dict[Target, int]:
    """Returns the number of vectors by target.

    counts: of the store. parts: as `stored_parts` returns them.
    """
    targets: dict[Target, int] = {
        "image": counts["image"],
        "text": counts["text"],
        "product": counts["items"] if counts["both"] else 0,
    }
    for target, held in parts.items():
        targets[target] += len(held) - len(held.distinct_items)
    return {target: count for target, count in targets.items() if count}


def estimate_fusion(store: Store, base: Fusion | None = None) -> FrozenFusion:
    """Combines `base` with the means of the live image and text vectors.

    For few items the means are shrunk towards those that it was trained with. base: late fusion if
    None.
    """
    share = store.manifest.image_weight
    base = base or late_base(store.dim, 0.5 if share is None else share)
    sums, counts = np.zeros((2, store.dim)), [0, 0]
    for _, columns in store.vectors([IMAGE, TEXT]):
        for place, vectors in enumerate(columns):
            sums[place] += unit(vectors).sum(axis=0, dtype=np.float64)
            counts[place] += int(vectors.any(axis=1).sum())
    modalities: tuple[Modality, ...] = ("image", "text")
    means = {
        modality: shrunken_mean(total.astype(np.float32), count, base.means[modality])
        for modality, total, count in zip(modalities, sums, counts, strict=True)
    }
    return FrozenFusion.of(base, means)
