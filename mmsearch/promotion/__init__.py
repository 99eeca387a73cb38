"""A store moves to another model: embedded anew beside the live space, verified, then swapped in.

Readers see the old space or the new one, never a part; a run that was killed goes on where it was;
the former space stays, so that a rollback is one rename away.
"""

import shutil
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mmsearch.catalog import Catalog
from mmsearch.encoders.registry import load_encoder, resolve
from mmsearch.errors import CorruptIndex, InputError
from mmsearch.generations import folder_size, live_generation
from mmsearch.progress import ProgressListener, Silent
from mmsearch.promotion.building import replace_space
from mmsearch.records import Failure, SpaceId
from mmsearch.store.filters import LIVE
from mmsearch.store.lance import Store
from mmsearch.store.manifest import Manifest, write_manifest
from mmsearch.store.spaces import Spaces, read_spaces, write_spaces

if TYPE_CHECKING:
    from mmsearch.encoders.base import Encoder

_BYTES = 2  # of a float16


@dataclass(frozen=True, slots=True)
class Promotion:
    """What was done, or with dry_run would be. former, model: the models, old and new.

    pictures, texts: embedded. resumed: items that an interrupted run had embedded. failures:
    pictures that could not be read any more. overruled: the regressions that --force passed over.
    """

    former: str
    model: str
    items: int
    pictures: int
    texts: int
    resumed: int
    bytes_needed: int
    bytes_free: int
    failures: tuple[Failure, ...]
    overruled: tuple[str, ...]
    seconds: float
    dry_run: bool


@dataclass(frozen=True, slots=True)
class Rollback:
    """What was done, or with dry_run would be. items: in the space that is gone back to.

    lacking: live items that it does not have; gone: its live items that the other no longer has.
    """

    former: str
    model: str
    items: int
    lacking: int
    gone: int
    dry_run: bool


def promote(
    catalog: Catalog,
    model: str,
    *,
    force: bool = False,
    dry_run: bool = False,
    progress: ProgressListener | None = None,
) -> Promotion:
    """Embeds the whole store with `model` beside the live space, verifies, and swaps.

    model: as --model takes it, a fine-tuned folder for one. force: also where its own measurements
    say that it got worse, or where many pictures cannot be read. The rows, their uids and metadata,
    failures, hidden and pruned rows go over. Raises InputError, StoreLocked, StoreNotFound,
    MissingModel, CorruptIndex.
    """
    started = time.monotonic()
    listener = progress or Silent()
    store = Store.open(catalog.folder)
    former = store.manifest.model
    overruled = _require_no_regression(model, store.manifest.space, listener, force=force)
    encoder = _load(catalog, model, store.manifest.space)
    needed, free = _disk_space(catalog, store, encoder.space.dim)
    counts = store.counts()
    listener.note(
        f"'{former}' → '{encoder.space.model}': {counts['image']:,} pictures and "
        f"{counts['text']:,} texts are embedded anew; needs about {needed / 1e6:,.1f} MB on disk, "
        f"{free / 1e6:,.1f} MB are free"
    )
    if needed > free:
        raise InputError(
            f"the new space needs about {needed / 1e6:,.1f} MB in {catalog.root}, only "
            f"{free / 1e6:,.1f} MB are free; make room, or move the store"
        )
    resumed, failures = 0, tuple[Failure, ...]()
    if not dry_run:
        with store.writing():
            resumed, failures = replace_space(catalog, store, encoder, listener, force=force)
        catalog.reload()
    return Promotion(
        former=former,
        model=encoder.space.model,
        items=counts["items"],
        pictures=counts["image"],
        texts=counts["text"],
        resumed=resumed,
        bytes_needed=needed,
        bytes_free=free,
        failures=failures,
        overruled=overruled,
        seconds=time.monotonic() - started,
        dry_run=dry_run,
    )


def rollback(catalog: Catalog, *, dry_run: bool = False) -> Rollback:
    """Back to the space before the last change of model; once more goes forward again.

    Raises InputError where there is none, MissingModel, StoreLocked, CorruptIndex.
    """
    store = Store.open(catalog.folder)
    spaces = read_spaces(catalog.root)
    if spaces.previous is None:
        raise InputError(
            f"{catalog.root} has known no model but '{store.manifest.model}'; there is nothing to "
            "go back to"
        )
    other = Store.open(catalog.root / spaces.previous)
    resolve(other.manifest.model)
    generation = live_generation(other.folder)
    if generation is None:
        raise CorruptIndex(f"{other.folder} holds no index any more; it cannot be gone back to")
    generation.check()
    ours, theirs = _keys(store), _keys(other)
    if not dry_run:
        with store.writing():
            _keep_sources(other, store.manifest)
            write_spaces(catalog.root, Spaces(live=spaces.previous, previous=spaces.live))
        catalog.reload()
    return Rollback(
        former=store.manifest.model,
        model=other.manifest.model,
        items=len(theirs),
        lacking=len(ours - theirs),
        gone=len(theirs - ours),
        dry_run=dry_run,
    )


def _require_no_regression(
    model: str, live: SpaceId, progress: ProgressListener, *, force: bool
) -> tuple[str, ...]:
    from mmsearch.finetuning.report.results import read_comparison

    comparison = read_comparison(Path(model).expanduser())
    if comparison is None:
        progress.note(f"'{model}' brings no measurements of its own: nothing to compare it by")
        return ()
    if comparison.start_hash != live.weights_hash:
        progress.note(
            f"'{model}' was measured against '{comparison.start}', not against '{live.model}', "
            "which the store uses now"
        )
    faults = tuple(comparison.regressions())
    if faults and not force:
        raise InputError(
            f"'{model}' is a regression: {'; '.join(faults)}; nothing was changed, --force "
            "promotes it all the same"
        )
    return faults


def _load(catalog: Catalog, model: str, live: SpaceId) -> "Encoder":
    settings = catalog.settings
    encoder = load_encoder(model, device=settings.device, batch_size=settings.batch_size)
    if replace(encoder.space, model=live.model) == live:
        raise InputError(f"{catalog.root} uses '{model}' already; nothing to do")
    return encoder


def _disk_space(catalog: Catalog, store: Store, dim: int) -> tuple[int, int]:
    """Bytes: what the new space takes at most while it is built, and what is free."""
    counts = store.counts()
    old = (counts["image"] + counts["text"]) * store.dim * _BYTES
    new = (counts["image"] + counts["text"]) * dim * _BYTES
    tables = folder_size(store.folder / "lance")
    indexes = folder_size(store.folder / "faiss") * dim // store.dim
    # The vectors lie in files first, then in the table as well.
    return 2 * new + max(0, tables - old) + indexes, shutil.disk_usage(catalog.root).free


def _keys(store: Store) -> set[str]:
    return set(store.scan(["key"], LIVE).column("key").to_pylist())


def _keep_sources(other: Store, live: Manifest) -> None:
    """What was indexed since is known to the other space too, so that `index` brings it in."""
    names = {source.name for source in live.sources}
    kept = (source for source in other.manifest.sources if source.name not in names)
    write_manifest(replace(other.manifest, sources=(*live.sources, *kept)), other.folder)
