"""Changes a store's model: embeds it again beside the live space, verifies, and swaps atomically.

Readers see the old space or the new one; an interrupted run is resumed; the former space is kept,
so that a rollback is one rename.
"""

import shutil
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmsearch.config import Settings
from mmsearch.deprecation import renamed_attribute, warn_renamed
from mmsearch.encoders.registry import load_encoder, resolve
from mmsearch.errors import CorruptIndex, InputError
from mmsearch.generations import folder_size, live_generation
from mmsearch.progress import ProgressListener
from mmsearch.promotion.building import replace_space
from mmsearch.records import Failure, SpaceId
from mmsearch.store import Store
from mmsearch.store.filters import LIVE
from mmsearch.store.manifest import Manifest as Manifest
from mmsearch.store.manifest import read_manifest, write_manifest
from mmsearch.store.spaces import Spaces, live_folder, read_spaces, write_spaces

if TYPE_CHECKING:
    from mmsearch.encoders.base import Encoder as Encoder

_BYTES = 2  # of a float16


@dataclass(frozen=True, slots=True)
class Promotion:
    """What was done, or would be with dry_run.

    former, model: the old and the new model. images, texts: embedded. resumed: items that an
    interrupted run had embedded. failures: images that can no longer be read. overruled: the
    regressions that `force` ignored.
    """

    former: str
    model: str
    items: int
    images: int
    texts: int
    resumed: int
    bytes_needed: int
    bytes_free: int
    failures: tuple[Failure, ...]
    overruled: tuple[str, ...]
    seconds: float
    dry_run: bool

    pictures = renamed_attribute("pictures", "images")


@dataclass(frozen=True, slots=True)
class Rollback:
    """What was done, or would be with dry_run.

    items: in the restored space. lacking: current items that are missing from it; gone: its items
    that no longer exist.
    """

    former: str
    model: str
    items: int
    lacking: int
    gone: int
    dry_run: bool


def promote_store(
    root: Path,
    model: str,
    settings: Settings,
    progress: ProgressListener,
    *,
    force: bool = False,
    dry_run: bool = False,
) -> Promotion:
    """Embeds the whole store with `model` beside the live space, verifies it, and makes it live.

    root: the store's folder. model: a model's name, such as a fine-tuned folder. force: also if its
    own evaluation shows a regression, or many images cannot be read. Rows with their uids and
    metadata, failures, hidden and pruned rows are copied. Raises InputError, StoreLocked,
    StoreNotFound, MissingModel, CorruptIndex.
    """
    started = time.monotonic()
    store = Store.open(live_folder(root))
    former = store.manifest.model
    overruled = _require_no_regression(model, store.manifest.space, progress, force=force)
    encoder = load_encoder(model, device=settings.device, batch_size=settings.batch_size)
    live = store.manifest.space
    if replace(encoder.space, model=live.model) == live:
        raise InputError(f"{root} uses '{model}' already; nothing to do")
    needed, free = _disk_space(root, store, encoder.space.dim)
    counts = store.counts()
    progress.note(
        f"'{former}' → '{encoder.space.model}': {counts['image']:,} images and "
        f"{counts['text']:,} texts are embedded again; needs about {needed / 1e6:,.1f} MB on disk, "
        f"{free / 1e6:,.1f} MB are free"
    )
    if needed > free:
        raise InputError(
            f"the new space needs about {needed / 1e6:,.1f} MB in {root}, only "
            f"{free / 1e6:,.1f} MB are free; make room, or move the store"
        )
    resumed, failures = 0, tuple[Failure, ...]()
    if not dry_run:
        with store.writing(timeout=settings.lock_timeout, on_wait=progress.note):
            resumed, failures = replace_space(
                root, store, encoder, settings, progress=progress, force=force
            )
    return Promotion(
        former=former,
        model=encoder.space.model,
        items=counts["items"],
        images=counts["image"],
        texts=counts["text"],
        resumed=resumed,
        bytes_needed=needed,
        bytes_free=free,
        failures=failures,
        overruled=overruled,
        seconds=time.monotonic() - started,
        dry_run=dry_run,
    )


def rollback_store(root: Path, *, dry_run: bool = False) -> Rollback:
    """Restores the space before the last change of model; a second call undoes that.

    Raises InputError where there is none, MissingModel, StoreLocked, CorruptIndex.
    """
    spaces, model = read_spaces(root), read_manifest(live_folder(root)).model
    if spaces.previous is None:
        raise InputError(f"{root} has had no model but '{model}'; there is nothing to go back to")
    store = Store.open(live_folder(root))
    other = Store.open(root / spaces.previous)
    resolve(other.manifest.model)
    generation = live_generation(other.folder)
    if generation is None:
        raise CorruptIndex(f"{other.folder} no longer has an index; it cannot be restored")
    generation.check()
    ours, theirs = _keys(store), _keys(other)
    if not dry_run:
        with store.writing():
            # Sources that were indexed since stay known, so that `index` adds their items.
            now = store.manifest.sources
            names = {source.name for source in now}
            dropped = (each for each in other.manifest.sources if each.name not in names)
            write_manifest(replace(other.manifest, sources=(*now, *dropped)), other.folder)
            write_spaces(root, Spaces(live=spaces.previous, previous=spaces.live))
    return Rollback(
        former=store.manifest.model,
        model=other.manifest.model,
        items=len(theirs),
        lacking=len(ours - theirs),
        gone=len(theirs - ours),
        dry_run=dry_run,
    )


def promote(catalog: Any, model: str, **options: Any) -> Promotion:
    """Deprecated: the same as `catalog.promote(model, ...)`."""
    warn_renamed("mmsearch.promotion.promote(catalog, model)", "catalog.promote(model)")
    done: Promotion = catalog.promote(model, **options)
    return done


def rollback(catalog: Any, *, dry_run: bool = False) -> Rollback:
    """Deprecated: the same as `catalog.rollback()`."""
    warn_renamed("mmsearch.promotion.rollback(catalog)", "catalog.rollback()")
    done: Rollback = catalog.rollback(dry_run=dry_run)
    return done


def _require_no_regression(
    model: str, live: SpaceId, progress: ProgressListener, *, force: bool
) -> tuple[str, ...]:
    from mmsearch.finetuning.report.results import read_comparison

    comparison = read_comparison(Path(model).expanduser())
    if comparison is None:
        progress.note(f"'{model}' has no evaluation of its own to check for regressions")
        return ()
    if comparison.start_hash != live.weights_hash:
        progress.note(
            f"'{model}' was measured against '{comparison.start}', not against '{live.model}', "
            "which the store uses now"
        )
    faults = tuple(comparison.regressions())
    if faults and not force:
        raise InputError(
            f"'{model}' is a regression: {'; '.join(faults)}; nothing was changed, "
            "`force=True` promotes it all the same"
        )
    return faults


def _disk_space(root: Path, store: Store, dim: int) -> tuple[int, int]:
    """Returns the bytes that the new space needs at most while it is built, and the free bytes."""
    counts = store.counts()
    vectors = sum(counts[name] for name in ("image", "text", "image_parts", "passages"))
    old, new = vectors * store.dim * _BYTES, vectors * dim * _BYTES
    tables = folder_size(store.folder / "lance")
    indexes = folder_size(store.folder / "faiss") * dim // store.dim
    # The vectors are first in files, then in the table too.
    return 2 * new + max(0, tables - old) + indexes, shutil.disk_usage(root).free


def _keys(store: Store) -> set[str]:
    return set(store.scan(["key"], LIVE).column("key").to_pylist())
