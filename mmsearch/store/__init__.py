"""The store on disk: LanceDB tables and a manifest in one `.mmsearch` folder."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mmsearch.store.manifest import Manifest, SourceEntry, read_manifest
    from mmsearch.store.opening import FOLDER_NAME, ITEMS
    from mmsearch.store.snapshot import Snapshot
    from mmsearch.store.writing import Store

_MODULES = {
    "FOLDER_NAME": "opening",
    "ITEMS": "opening",
    "Manifest": "manifest",
    "Snapshot": "snapshot",
    "SourceEntry": "manifest",
    "Store": "writing",
    "read_manifest": "manifest",
}

__all__ = [
    "FOLDER_NAME",
    "ITEMS",
    "Manifest",
    "Snapshot",
    "SourceEntry",
    "Store",
    "read_manifest",
]


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
