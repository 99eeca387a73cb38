"""Finds a store, creates it, and opens it for searching."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from mmsearch.catalog.resolve import Encoders, model_name
from mmsearch.config import Settings, find_upwards
from mmsearch.media import MediaBounds
from mmsearch.records import SpaceId
from mmsearch.store import FOLDER_NAME, Store
from mmsearch.store.manifest import FILE_NAME, Manifest, read_manifest
from mmsearch.store.spaces import live_folder

if TYPE_CHECKING:
    from mmsearch.engine import Engine


def store_folder(given: Path | None) -> Path:
    """Returns the folder of the store that `given` names, or of the nearest one upwards.

    given: the store's own folder, or the folder that holds its '.mmsearch'.
    """
    if given is None:
        return find_upwards(FOLDER_NAME) or Path.cwd() / FOLDER_NAME
    nested = given / FOLDER_NAME
    return nested if (nested / FILE_NAME).exists() else given


def manifest_of(root: Path) -> Manifest | None:
    """Returns the manifest of the live space; None where there is no store yet."""
    folder = live_folder(root)
    return read_manifest(folder) if (folder / FILE_NAME).exists() else None


@contextmanager
def open_or_create(
    root: Path, settings: Settings, space: SpaceId, *, dry_run: bool
) -> Iterator[Store]:
    """Opens the store, or creates an empty one; with dry_run a temporary one."""
    manifest = manifest_of(root)
    if manifest is not None:
        yield Store.open(live_folder(root))
        return
    new = Manifest(model_name(settings, None), space)
    if dry_run:
        with tempfile.TemporaryDirectory() as nowhere:
            yield Store.create(Path(nowhere), new)
    else:
        yield Store.create(live_folder(root), new)


def open_engine(root: Path, settings: Settings, encoders: Encoders) -> "Engine":
    """Opens the store and its indexes as they are now. Raises StoreNotFound, CorruptIndex."""
    from mmsearch.engine import Engine
    from mmsearch.generations import live_generation

    on_gpu = not settings.device.startswith(("cpu", "mps"))
    # Read once, so that rows and indexes are of one space while another goes live.
    folder = live_folder(root)
    generation = live_generation(folder, on_gpu=on_gpu)
    snapshot = generation.snapshot() if generation is not None else None
    store = Store.open(folder, snapshot=snapshot)
    model = model_name(settings, store.manifest)
    return Engine(
        store,
        generation=generation,
        encoder=lambda: encoders.full(model),
        text_encoder=lambda: encoders.text(model),
        bounds=MediaBounds.of(settings),
    )
