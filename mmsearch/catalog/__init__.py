"""The public API: `mmsearch.open(path)` returns a Catalog, which indexes, searches and evaluates.

The command line is a thin layer over this class.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mmsearch.catalog.catalog import Catalog
from mmsearch.catalog.info import StoreInfo
from mmsearch.catalog.opening import store_folder
from mmsearch.catalog.resolve import load_model
from mmsearch.catalog.results import Hits
from mmsearch.config import read_settings
from mmsearch.deprecation import moved_names, warn_renamed
from mmsearch.errors import ConfigError
from mmsearch.records import FusionChoice

if TYPE_CHECKING:
    from mmsearch.indexes import IndexKind

__all__ = ["Catalog", "Hits", "StoreInfo", "load_model", "open_catalog"]


def open_catalog(
    path: Path | str | None = None,
    *,
    model: str | None = None,
    device: str | None = None,
    batch_size: int | None = None,
    workers: int | None = None,
    lock_timeout: float | None = None,
    commit_seconds: float | None = None,
    max_pixels: int | None = None,
    max_image_bytes: int | None = None,
    max_text_bytes: int | None = None,
    fusion: FusionChoice | None = None,
    image_weight: float | None = None,
    index: "IndexKind | None" = None,
    recall: float | None = None,
    memory: int | str | None = None,
    fetch_from: Sequence[str] | None = None,
    store: Path | str | None = None,
) -> Catalog:
    """Returns a Catalog over the store at `path`, or over the nearest '.mmsearch' upwards.

    path: a store's folder or the folder that holds its '.mmsearch'; it need not exist until
    something is indexed. What is None is taken from MMSEARCH_... in the environment, from
    mmsearch.toml, from the store, or is the default:
    model: 'builtin', an alias, 'architecture:pretrained', 'architecture:checkpoint.pt',
    'hf-hub:org/model' or a folder.
    device: 'auto', 'cpu', 'cuda', 'cuda:1' or 'mps'. batch_size: images or texts per forward pass.
    workers: decoding processes. lock_timeout: seconds to wait for another process that writes to
    the store; then StoreLocked. commit_seconds: rows are written at least this often.
    max_pixels, max_image_bytes, max_text_bytes: larger files are refused.
    fusion: 'auto', 'late', 'early' or 'attention'; image_weight: of late fusion, 0 to 1.
    index: index kind, or 'auto'. recall: recall@10 that it is tuned to. memory: bytes that it may
    take, also as '2GB', or 'auto'. fetch_from: hosts that images may be fetched from although
    their addresses are not public. store: deprecated, the same as path.
    Raises ConfigError, which lists every fault.

    >>> mmsearch.open("shop", device="cpu").settings.device
    'cpu'
    """
    if store is not None:
        warn_renamed("open(store=...)", "open(path)")
    if path == "":
        raise ConfigError("`path` must name a folder, got ''")
    settings = read_settings(
        model=model, device=device, batch_size=batch_size, workers=workers,
        lock_timeout=lock_timeout, commit_seconds=commit_seconds, max_pixels=max_pixels,
        max_image_bytes=max_image_bytes, max_text_bytes=max_text_bytes, fusion=fusion,
        image_weight=image_weight, index=index, recall=recall, memory=memory, store=store,
        fetch_from=tuple(fetch_from) if fetch_from else None,
    )  # fmt: skip
    given = Path(path) if path is not None else settings.store
    return Catalog(store_folder(given), settings)


__getattr__ = moved_names(
    "mmsearch.catalog",
    {
        "DEFAULT_MODEL": "mmsearch.catalog.resolve.DEFAULT_MODEL",
        "SourcePlan": "mmsearch.catalog.sources.SourcePlan",
        "kept_options": "mmsearch.catalog.sources.kept_options",
        "restored_options": "mmsearch.catalog.sources.restored_options",
        "unused_name": "mmsearch.catalog.sources.unused_name",
    },
)
