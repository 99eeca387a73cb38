"""Updates the indexes of a store to its table, with the settings of the run or the store."""

from typing import cast

from mmsearch.config import Settings
from mmsearch.encoders.registry import fusion_folder
from mmsearch.errors import CorruptIndex
from mmsearch.fusion import Fusion, choose_fusion, load_fusion
from mmsearch.indexes import IndexKind, IndexOptions
from mmsearch.ingest.run_manifest import requested_manifest
from mmsearch.progress import ProgressListener
from mmsearch.records import SpaceId
from mmsearch.store import Store
from mmsearch.store.manifest import Manifest


def update_indexes(
    store: Store,
    settings: Settings,
    progress: ProgressListener,
    *,
    fusion: Fusion | None = None,
    rebuild: bool = False,
) -> None:
    """Builds or extends the indexes of a space, under its write lock.

    fusion: of the products, as the model has it; None: that of the live index. rebuild: build all
    of them again. Raises InputError, SpaceMismatch.
    """
    # Imports FAISS, which a dry run does without.
    from mmsearch.generations import is_fused_by, live_generation, refresh_generation

    manifest = requested_manifest(store.manifest, settings)
    try:
        live = None if rebuild else live_generation(store.folder)
        if live is not None:
            live.check()
    except CorruptIndex as error:
        progress.note(f"building the index again: {error}")
        live = None
    if live is None and fusion is None:
        fusion = requested_fusion(manifest, settings.model or manifest.model, manifest.space)
    options = index_options(manifest)
    # What an interrupted run has left, and what this one has replaced.
    store.remove_orphaned_parts()
    if live is not None and live.info.options != options:
        progress.note("rebuilding the index: requested kind, recall or memory changed")
    elif live is not None and live.info.lance_version == store.version:
        if is_fused_by(live.info, fusion):
            return
        progress.note("rebuilding the product index: the fusion changed")
    store.tidy()
    refresh_generation(store, live.info if live else None, options, progress, fusion=fusion)


def index_options(manifest: Manifest) -> IndexOptions:
    """Returns the kind, recall and memory that the manifest has for indexes."""
    return IndexOptions(cast(IndexKind, manifest.index), manifest.recall, manifest.memory or None)


def requested_fusion(manifest: Manifest, model: str, space: SpaceId) -> Fusion:
    """Returns how image and text vectors become products. Raises InputError, SpaceMismatch."""
    return choose_fusion(
        manifest.fusion,
        lambda: model_fusion(model, space),
        image_weight=manifest.image_weight,
        dim=space.dim,
        model=model,
    )


def model_fusion(model: str, space: SpaceId) -> Fusion | None:
    """Returns the fusion that the model has, if any. Raises SpaceMismatch, InputError."""
    folder = fusion_folder(model)
    return load_fusion(folder, space) if folder is not None else None
