"""Generations of indexes: built from the items table and made live by the file CURRENT.

faiss/<target>/<generation>/ holds one index and its meta.json. faiss/<generation>.json records what
the generation was built from: the table's version, the uid below which it covers every live row,
and the fusion with its modality means (trained weights lie beside it). CURRENT is replaced
atomically once all targets of a generation are on disk.
"""

from typing import TYPE_CHECKING

from mmsearch.lazy import lazy_exports

if TYPE_CHECKING:
    from mmsearch.generations.live import Generation, GenerationInfo, live_generation
    from mmsearch.generations.paths import CURRENT, folder_size
    from mmsearch.generations.refresh import (
        estimate_fusion,
        is_fused_by,
        refresh_generation,
        target_counts,
    )
    from mmsearch.generations.vectors import IMAGE, TEXT, StoredVectors, stored_parts

__all__ = [
    "CURRENT",
    "IMAGE",
    "TEXT",
    "Generation",
    "GenerationInfo",
    "StoredVectors",
    "estimate_fusion",
    "folder_size",
    "is_fused_by",
    "live_generation",
    "refresh_generation",
    "stored_parts",
    "target_counts",
]

__getattr__ = lazy_exports(
    __name__,
    {
        "CURRENT": "paths",
        "IMAGE": "vectors",
        "TEXT": "vectors",
        "Generation": "live",
        "GenerationInfo": "live",
        "StoredVectors": "vectors",
        "estimate_fusion": "refresh",
        "folder_size": "paths",
        "is_fused_by": "refresh",
        "live_generation": "live",
        "refresh_generation": "refresh",
        "stored_parts": "vectors",
        "target_counts": "refresh",
    },
)
