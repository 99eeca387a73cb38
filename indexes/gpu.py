"""Copies an index to the GPU, once FAISS has proved to search correctly there."""

from dataclasses import dataclass

import faiss
import numpy as np

from mmsearch.indexes.checks import require_k, require_vectors
from mmsearch.indexes.faiss_index import FaissIndex, ordered
from mmsearch.indexes.flat import FlatIndex
from mmsearch.indexes.gpu_detection import GpuProbe, probe_gpu
from mmsearch.indexes.ids import REMOVED, IdFilter
from mmsearch.indexes.ivf import IvfIndex
from mmsearch.indexes.rows import RowIndex, TombstoneIndex
from mmsearch.records import Floats, Ids

# The temporary memory that FAISS reserves on each GPU, besides the vectors.
SCRATCH_BYTES = 1536 * 2**20

# The limits of FAISS's GPU kernels on neighbours and probed cells per query.
MOST_NEIGHBOURS = 2048
MOST_PROBES = 2048

# Bytes per value on the GPU. Flat vectors become float16; cells keep their format.
_VALUE_BYTES = {"ivf-flat": 4, "ivf-sq8": 1}


@dataclass(frozen=True, slots=True)
class GpuMove:
    """The result of `to_gpu`.

    index: on the GPU, or the one given where it could not be moved. reason: in words.
    """

    index: "FaissIndex | GpuIndex"
    moved: bool
    reason: str


class GpuIndex:
    """A VectorIndex on the GPU; filtered and very wide searches run on the CPU.

    cpu_index: the index on the CPU that it was copied from.
    """

    def __init__(self, cpu_index: FaissIndex, devices: tuple[int, ...]) -> None:
        self.cpu_index = cpu_index
        self._devices = devices
        self._resources = [faiss.StandardGpuResources() for _ in devices]
        self._upload()

    @property
    def kind(self) -> str:
        """The kind of index that the GPU searches."""
        return "flat float16" if isinstance(self.cpu_index, RowIndex) else self.cpu_index.kind

    @property
    def dim(self) -> int:
        """The number of dimensions of its vectors."""
        return self.cpu_index.dim

    def __len__(self) -> int:
        return len(self.cpu_index)

    def add(self, vectors: Floats, ids: Ids) -> None:
        """Adds vectors, float32 (n, dim), unit rows, under ids, int64 (n,)."""
        self.cpu_index.add(vectors, ids)
        self._upload()

    def remove(self, ids: Ids) -> int:
        """Removes the ids, int64 (n,), that are present and returns how many those were."""
        removed = self.cpu_index.remove(ids)
        self._upload()
        return removed

    def search(
        self, queries: Floats, k: int, *, allowed: IdFilter | None = None
    ) -> tuple[Floats, Ids]:
        """Searches queries, float32 (q, dim), unit rows → similarities (q, k), ids (q, k)."""
        require_vectors(queries, self.dim, holder="the query")
        require_k(k)
        width = min(k, len(self))
        if allowed is not None or not width or not len(queries) or width > MOST_NEIGHBOURS:
            return self.cpu_index.search(queries, k, allowed=allowed)
        similarities, ids = self._gpu.search(queries, width)
        if (ids < 0).any():
            return self.cpu_index.search(queries, k)
        return ordered(similarities, ids, k)

    def _upload(self) -> None:
        options = faiss.GpuMultipleClonerOptions()
        options.useFloat16 = True
        options.shard = len(self._devices) > 1
        source = gpu_source(self.cpu_index)
        self._gpu = faiss.index_cpu_to_gpu_multiple_py(
            self._resources, source, co=options, gpus=list(self._devices)
        )
        if isinstance(self.cpu_index, IvfIndex):
            faiss.GpuParameterSpace().set_index_parameter(
                self._gpu, "nprobe", self.cpu_index.effort
            )


def to_gpu(index: FaissIndex, *, probe: GpuProbe | None = None) -> GpuMove:
    """Copies `index` to the GPUs, sharded where there are several, if it fits."""
    probe = probe or probe_gpu()
    if not probe.available:
        return GpuMove(index, False, probe.reason)
    if not len(index):
        return GpuMove(index, False, "the index is empty")
    if isinstance(index, IvfIndex) and index.effort > MOST_PROBES:
        reason = f"{index.effort:,} cells are probed, more than the {MOST_PROBES:,} that a GPU can"
        return GpuMove(index, False, f"{reason}; searching on the CPU")
    needed = bytes_on_gpu(index)
    free = min(device.free_bytes - SCRATCH_BYTES for device in probe.devices) * len(probe.devices)
    if needed > free:
        return GpuMove(
            index,
            False,
            f"the index needs {needed / 2**30:.1f} GiB of GPU memory, {max(0, free) / 2**30:.1f} "
            f"GiB is free on {len(probe.devices)} GPU(s); searching on the CPU",
        )
    try:
        moved = GpuIndex(index, tuple(device.number for device in probe.devices))
    except RuntimeError as error:
        last = str(error).strip().splitlines()[-1]
        return GpuMove(index, False, f"FAISS could not move the index to the GPU ({last[:200]})")
    return GpuMove(moved, True, f"{moved.kind} on {', '.join(d.name for d in probe.devices)}")


def bytes_on_gpu(index: FaissIndex) -> int:
    """Returns the GPU memory needed for the codes and their 8-byte ids."""
    return len(index) * (index.dim * _VALUE_BYTES.get(index.kind, 2) + 8)


def gpu_source(index: FaissIndex) -> faiss.Index:
    """Returns what is copied to the GPU; graphs and refined codes become flat vectors."""
    if not isinstance(index, TombstoneIndex):
        if isinstance(index, IvfIndex) and index.appended is not None:
            index.own()
        return index.index
    flat = FlatIndex(faiss.IndexIDMap(faiss.IndexFlatIP(index.dim)))
    rows = np.flatnonzero(index.ids_by_row() != REMOVED)
    flat.insert(index.vectors_of_rows(rows), index.ids_by_row()[rows])
    return flat.index
