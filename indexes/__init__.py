"""Vector indexes: build, save, load and search them. FAISS is imported on first use only."""

from importlib import import_module
from typing import TYPE_CHECKING

from mmsearch.indexes.base import (
    INDEX_KINDS,
    EffortPoint,
    IndexKind,
    IndexMeta,
    IndexOptions,
    Tuning,
    VectorBatches,
    VectorIndex,
)
from mmsearch.indexes.ids import IdFilter

if TYPE_CHECKING:
    from mmsearch.indexes.build import REBUILD_SHARE, build_index, rebuild_reason
    from mmsearch.indexes.choice import choose
    from mmsearch.indexes.faiss_index import FaissIndex
    from mmsearch.indexes.files import (
        load_index,
        read_meta,
        save_index,
        save_meta,
        verify_index,
    )
    from mmsearch.indexes.gpu import GpuProbe, probe_gpu, to_gpu

_HOME = {
    "REBUILD_SHARE": "build",
    "FaissIndex": "faiss_index",
    "GpuProbe": "gpu",
    "build_index": "build",
    "choose": "choice",
    "load_index": "files",
    "probe_gpu": "gpu",
    "read_meta": "files",
    "rebuild_reason": "build",
    "save_index": "files",
    "save_meta": "files",
    "to_gpu": "gpu",
    "verify_index": "files",
}

__all__ = [
    "INDEX_KINDS",
    "REBUILD_SHARE",
    "EffortPoint",
    "FaissIndex",
    "GpuProbe",
    "IdFilter",
    "IndexKind",
    "IndexMeta",
    "IndexOptions",
    "Tuning",
    "VectorBatches",
    "VectorIndex",
    "build_index",
    "choose",
    "load_index",
    "probe_gpu",
    "read_meta",
    "rebuild_reason",
    "save_index",
    "save_meta",
    "to_gpu",
    "verify_index",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
