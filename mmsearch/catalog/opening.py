"""Finds a store, creates it, and opens it for searching."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from mmsearch.catalog.resolve import Encoders, model_name, require_same_space
from mmsearch.config import Settings, find_upwards
from mmsearch.errors import InputError
from mmsearch.media import MediaBounds
from mmsearch.records import SpaceId, printable_path
from mmsearch.store import FOLDER_NAME, Store
from mmsearch.store.lock import write_lock
from mmsearch.store.manifest import FILE_NAME, Manifest, read_manifest
from mmsearch.store.spaces import live_folder

if TYPE_CHECKING:
    from mmsearch.encoders.base import Encoder, TextEncoder
    from mmsearch.engine import Engine


def store_folder(given: Path | None) -> Path:
    """Returns the folder of the store that `given` names, or of the nearest one upwards.

    given: the store's own folder, or the folder that holds its '.mmsearch'. Raises InputError.
    """
    if given is None:
        return find_upwards(FOLDER_NAME) or Path.cwd() / FOLDER_NAME
    if given.is_file():
        raise InputError(
            f"{printable_path(given)} is a file; a store is a folder, name another `path`"
        )
    nested = given / FOLDER_NAME
    return nested if (nested / FILE_NAME).exists() else given


def manifest_of(root: Path) -> Manifest | None:
    """Returns the manifest of the live space; None where there is no store yet."""
    folder = live_folder(root)
    return read_manifest(folder) if (folder / FILE_NAME).exists() else None


@contextmanager
def open_or_create(
    root: Path,
    settings: Settings,
    space: SpaceId,
    *,
    dry_run: bool,
    on_wait: Callable[[str], None],
) -> Iterator[Store]:
    """Opens the store for writing, or creates an empty one; with dry_run only to read.

    on_wait: receives a line if another process is writing. Raises StoreLocked, InputError.
    """
    new = Manifest(model_name(settings, None), space)
    manifest = manifest_of(root)
    folder = live_folder(root)
    if dry_run:
        yield Store.empty(folder, new) if manifest is None else _with_files(folder)
        return
    if manifest is None:
        folder.mkdir(parents=True, exist_ok=True)
        with write_lock(folder, timeout=settings.lock_timeout, on_wait=on_wait):
            # Another process may have created it meanwhile.
            if manifest_of(root) is None:
                Store.create(folder, new)
    store = Store.open(folder)
    with store.writing(timeout=settings.lock_timeout, on_wait=on_wait):
        yield store


def _with_files(folder: Path) -> Store:
    """Opens a store to find changes, without LanceDB where nothing was written since its index."""
    from mmsearch.generations import live_generation

    generation = live_generation(folder)
    if generation is None:
        return Store.open(folder)
    return Store.open(
        folder, snapshot=generation.snapshot(with_failures=True), files=generation.files()
    )


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

    def encoder() -> "Encoder":
        require_same_space(root, store.manifest, settings)
        return encoders.full(model)

    def text_encoder() -> "TextEncoder":
        require_same_space(root, store.manifest, settings)
        return encoders.text(model)

    return Engine(
        store,
        generation=generation,
        encoder=encoder,
        text_encoder=text_encoder,
        bounds=MediaBounds.of(settings),
    )
