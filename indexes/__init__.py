"""Vector indexes: build, save, load and search. FAISS is imported on first use."""

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
from mmsearch.lazy import lazy_exports

if TYPE_CHECKING:
    from mmsearch.indexes.build import REBUILD_SHARE, build_index, rebuild_reason
    from mmsearch.indexes.choice import choose
    from mmsearch.indexes.faiss_index import FaissIndex
    from mmsearch.indexes.files import load_index, save_index, save_meta, verify_index
    from mmsearch.indexes.gpu import to_gpu
    from mmsearch.indexes.gpu_detection import GpuProbe, probe_gpu
    from mmsearch.indexes.meta_file import read_meta

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

__getattr__ = lazy_exports(
    __name__,
    {
        "REBUILD_SHARE": "build",
        "FaissIndex": "faiss_index",
        "GpuProbe": "gpu_detection",
        "build_index": "build",
        "choose": "choice",
        "load_index": "files",
        "probe_gpu": "gpu_detection",
        "read_meta": "meta_file",
        "rebuild_reason": "build",
        "save_index": "files",
        "save_meta": "files",
        "to_gpu": "gpu",
        "verify_index": "files",
    },
)
