"""Builds a new space in its own folder (vectors, rows, indexes) and makes it live.

What an interrupted run left there is reused if it was for the same space.
"""

import json
import shutil
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from mmsearch.config import Settings
from mmsearch.errors import InputError
from mmsearch.files import write_atomically
from mmsearch.ingest.index_update import update_indexes
from mmsearch.ingest.reembedding import Embedded, embed_rows
from mmsearch.progress import ProgressListener
from mmsearch.promotion.parts import items_with_means, new_parts
from mmsearch.promotion.verification import verify
from mmsearch.records import Failure, Part, SpaceId
from mmsearch.store import Store
from mmsearch.store.migrations import migrate
from mmsearch.store.rewriting import rewrite
from mmsearch.store.spaces import (
    Spaces,
    read_spaces,
    remove_others,
    space_name,
    space_numbers,
    write_spaces,
)

if TYPE_CHECKING:
    from mmsearch.encoders.base import Encoder

_BUILD = "build"
_JOURNAL = "space.json"
# Above this share of unreadable images, a drive is probably not mounted.
_MOST_UNREADABLE = 0.05


def replace_space(
    root: Path,
    store: Store,
    encoder: "Encoder",
    settings: Settings,
    *,
    progress: ProgressListener,
    force: bool,
) -> tuple[int, tuple[Failure, ...]]:
    """Builds a space and makes it live; returns the number of resumed items, and the failures.

    Call it under the live space's write lock. Raises InputError, CorruptIndex; the live space is
    then unchanged.
    """
    from mmsearch.encoders.devices import choose_device

    migrate(store, progress.note)
    name = _begin(root, encoder.space, progress)
    folder = root / name
    device = choose_device(settings.device)
    resumed = _embedded(store, folder / _BUILD)
    embedded = embed_rows(
        store,
        encoder,
        folder / _BUILD,
        settings,
        batch_size=settings.batch_size or device.batch_size,
        device=device.name,
        progress=progress,
    )
    parts = new_parts(store, embedded, encoder.space.dim)
    vectors = items_with_means(embedded.items, parts, encoder.space.dim)
    failures = _failures(store, embedded)
    if len(failures) > _MOST_UNREADABLE * max(store.counts()["image"], 1) and not force:
        raise InputError(
            f"{len(failures):,} images cannot be read, first: {failures[0].reason}; is a drive "
            "not mounted? The store was not changed. Promote again when they are there, run "
            "`catalog.index()` if they are gone, or use `force=True`"
        )
    progress.start("writing the new space", len(store))
    space, now = encoder.space, datetime.now(UTC)
    manifest = replace(
        store.manifest,
        model=space.model,
        space=space,
        next_uid=store.manifest.next_uid + embedded.passages.num_rows,
        running=None,
    )
    written = rewrite(store, folder, manifest, vectors, parts=parts, when=now)
    # Without facts about the files, so that `index` reads those again.
    written.record_failures(
        [asdict(each) | {"source": each.source, "seen": now} for each in failures]
    )
    # The new space has a model of its own, whatever is set.
    own = settings.model_copy(update={"model": None})
    update_indexes(Store.open(folder), own, progress, rebuild=True)
    verify(store, Store.open(folder), vectors)
    spaces = read_spaces(root)
    write_spaces(root, Spaces(live=name, previous=spaces.live))
    shutil.rmtree(folder / _BUILD)
    remove_others(root)
    return resumed, failures


def _begin(root: Path, space: SpaceId, progress: ProgressListener) -> str:
    """Returns the folder of an interrupted run for the same space, or a new one."""
    kept = read_spaces(root)
    for number in space_numbers(root):
        name = space_name(number)
        if name in (kept.live, kept.previous):
            continue
        with suppress(FileNotFoundError):
            if json.loads((root / name / _BUILD / _JOURNAL).read_text("utf-8")) == asdict(space):
                progress.note("resuming an interrupted promotion to this model")
                return name
        shutil.rmtree(root / name)
    name = space_name(max(space_numbers(root), default=0) + 1)
    (root / name / _BUILD).mkdir(parents=True)
    write_atomically(root / name / _BUILD / _JOURNAL, json.dumps(asdict(space)))
    return name


def _embedded(store: Store, build: Path) -> int:
    """Counts the items that an interrupted run has embedded."""
    live = pa.array(store.uids())
    count = 0
    for path in build.glob("*.arrow"):
        rows = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
        is_item = pc.is_in(rows.column("_uid"), live)
        count += int(pc.sum(pc.and_(is_item, pc.is_null(rows.column("reason")))).as_py() or 0)
    return count


def _failures(store: Store, embedded: Embedded) -> tuple[Failure, ...]:
    tables = [table.select(["_uid", "reason"]) for table in (embedded.items, embedded.images)]
    failed = pa.concat_tables(tables).to_pylist()
    reasons = {row["_uid"]: row["reason"] for row in failed if row["reason"] is not None}
    rows = store.rows(list(reasons), ["_uid", "key", "uri"]).to_pylist()
    found = [Failure(r["key"], r["uri"], "decode", reasons[r["_uid"]]) for r in rows]
    parts = store.part_rows(list(reasons), ["_uid", "item", "number", "uri"]).to_pylist()
    owners = store.rows([part["item"] for part in parts], ["_uid", "key"]).to_pylist()
    keys = {row["_uid"]: row["key"] for row in owners}
    for part in parts:
        key = f"{keys[part['item']]}#{Part('image', part['number']).locator}"
        found.append(Failure(key, part["uri"], "decode", reasons[part["_uid"]]))
    return tuple(sorted(found, key=lambda failure: failure.key))
