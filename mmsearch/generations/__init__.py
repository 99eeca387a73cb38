"""Generations of the FAISS indexes: built from the table, named by CURRENT, completed when behind.

faiss/<target>/<generation>/ holds one index and its meta.json, which carries what it was built
from: the table's version, the uids below which it knows every live row, and how images and texts
are fused, with the modality means (trained weights lie beside it).
CURRENT is replaced by rename once all targets of a generation are on disk.
"""

from mmsearch.generations.live import Generation, GenerationInfo, live_generation
from mmsearch.generations.paths import CURRENT, folder_size
from mmsearch.generations.refresh import estimate_fusion, is_fused_by, refresh_generation
from mmsearch.generations.vectors import IMAGE, TEXT, StoredVectors

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
]
