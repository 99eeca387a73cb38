"""A child process that builds and searches an index on every GPU and prints one line of JSON.

FAISS aborts its process where a GPU does not work, and this one can be spared.
"""

import ctypes
import json

import faiss
import numpy as np

ROWS, DIM, QUERIES, NEIGHBOURS = 4096, 64, 16, 10

# float16 keeps 11 significant bits.
TOLERANCE = 2e-3


def main() -> None:
    """Prints the devices and what is wrong with them."""
    numbers = range(faiss.get_num_gpus())
    faults = [fault for fault in map(_fault, numbers) if fault]
    devices = [
        dict(zip(("name", "free_bytes"), _memory(number), strict=True), number=number)
        for number in numbers
    ]
    print(json.dumps({"devices": devices, "fault": "; ".join(faults)}))


def _fault(number: int) -> str:
    """Compares flat and IVF search on one GPU with the CPU's; returns '' where they agree."""
    generator = np.random.default_rng(0)
    vectors = generator.standard_normal((ROWS, DIM), dtype=np.float32)
    faiss.normalize_L2(vectors)
    queries = vectors[:QUERIES]
    flat = faiss.IndexFlatIP(DIM)
    flat.add(vectors)
    cells = faiss.index_factory(DIM, "IVF16,SQ8", faiss.METRIC_INNER_PRODUCT)
    cells.train(vectors)
    cells.add(vectors)
    cells.nprobe = cells.nlist
    resources = faiss.StandardGpuResources()
    options = faiss.GpuClonerOptions()
    options.useFloat16 = True
    for name, index in (("flat", flat), ("IVF", cells)):
        expected, _ = index.search(queries, NEIGHBOURS)
        moved = faiss.index_cpu_to_gpu(resources, number, index, options)
        got, ids = moved.search(queries, NEIGHBOURS)
        off = float(np.abs(got - expected).max())
        if not off <= TOLERANCE or (ids[:, 0] != np.arange(QUERIES)).any():
            return f"GPU {number} searches {name} wrongly (similarities off by {off:.3g})"
    return ""


def _memory(number: int) -> tuple[str, int]:
    """Returns name and free bytes of one GPU, from the CUDA driver that FAISS has initialised."""
    cuda = ctypes.CDLL("nvcuda.dll" if hasattr(ctypes, "WinDLL") else "libcuda.so.1")
    device, context = ctypes.c_int(), ctypes.c_void_p()
    name, free, total = ctypes.create_string_buffer(256), ctypes.c_size_t(), ctypes.c_size_t()
    for status in (
        cuda.cuInit(0),
        cuda.cuDeviceGet(ctypes.byref(device), number),
        cuda.cuDeviceGetName(name, len(name), device),
        cuda.cuDevicePrimaryCtxRetain(ctypes.byref(context), device),
        cuda.cuCtxSetCurrent(context),
        cuda.cuMemGetInfo_v2(ctypes.byref(free), ctypes.byref(total)),
        cuda.cuDevicePrimaryCtxRelease_v2(device),
    ):
        if status:
            raise RuntimeError(f"the CUDA driver returns {status} for GPU {number}")
    return name.value.decode(), free.value


if __name__ == "__main__":
    main()
