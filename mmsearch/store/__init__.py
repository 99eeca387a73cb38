"""The store on disk: LanceDB tables and a manifest in one `.mmsearch` folder."""

from typing import TYPE_CHECKING

from mmsearch.lazy import lazy_exports

if TYPE_CHECKING:
    from mmsearch.store.manifest import Manifest, SourceEntry, read_manifest
    from mmsearch.store.opening import FOLDER_NAME, ITEMS
    from mmsearch.store.snapshot import Snapshot
    from mmsearch.store.writing import Store

__all__ = [
    "FOLDER_NAME",
    "ITEMS",
    "Manifest",
    "Snapshot",
    "SourceEntry",
    "Store",
    "read_manifest",
]

__getattr__ = lazy_exports(
    __name__,
    {
        "FOLDER_NAME": "opening",
        "ITEMS": "opening",
        "Manifest": "manifest",
        "Snapshot": "snapshot",
        "SourceEntry": "manifest",
        "Store": "writing",
        "read_manifest": "manifest",
    },
)
