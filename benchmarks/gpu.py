"""The GPU's answers against the CPU's, and its throughput against what its memory could feed.

    python benchmarks/gpu.py --images images.npy --texts texts.npy --rows 1000000

A flat search reads every float16 vector once for a batch of queries, so memory bandwidth sets a
floor under the time of one query: rows × dim × 2 bytes ÷ bytes per second, copied as a check.
Without a GPU it says why the probe failed and exits with 0.
"""

import argparse
from pathlib import Path
from time import perf_counter

import numpy as np
from vectors import HeldBatches, Mixture, read_real

from mmsearch.indexes import FaissIndex, IndexOptions, build_index, probe_gpu, to_gpu
from mmsearch.indexes.gpu import GpuIndex
from mmsearch.indexes.ground_truth import GroundTruth
from mmsearch.records import Floats

K = 10
BATCHES = (1, 16, 256, 4096)
REPEATS = 20
COPIED_BYTES = 2**30


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=Path, required=True, help="real image embeddings, .npy")
    parser.add_argument("--texts", type=Path, required=True, help="real text embeddings, .npy")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--kinds", nargs="+", default=["flat", "ivf-flat", "ivf-sq8"])
    options = parser.parse_args()
    probe = probe_gpu()
    print(probe.reason)
    if not probe.available:
        return
    rate = bytes_per_second()
    print(f"device memory copies at {rate / 1e9:,.0f} GB/s")
    texts = read_real(options.texts)
    mixture = Mixture.fit(read_real(options.images))
    rows = HeldBatches(mixture.draw(options.rows, seed=1))
    for kind in options.kinds:
        index = build_index(
            rows,
            dim=mixture.dim,
            options=IndexOptions(kind=kind),
            queries={"text": texts[:500]},
        )
        measure(index, rows, texts[500:], rate)


def measure(index: FaissIndex, rows: HeldBatches, queries: Floats, rate: float) -> None:
    """Prints agreement with the CPU, then queries per second by batch, ours and the CPU's."""
    started = perf_counter()
    move = to_gpu(index)
    print(f"{index.kind}: {move.reason}; moved in {perf_counter() - started:.1f} s")
    if not isinstance(move.index, GpuIndex):
        return
    agree(index, move.index, rows, queries[:500])
    floor = len(index) * index.dim * 2 / rate
    if index.kind == "flat":
        print(f"  memory floor of one pass over the vectors: {1e3 * floor:.3f} ms")
    for size in BATCHES:
        batch = np.resize(queries, (size, index.dim))
        gpu, cpu = seconds_of(move.index, batch), seconds_of(index, batch)
        share = f", {floor / gpu:.0%} of the memory floor" if index.kind == "flat" else ""
        print(
            f"  batch {size}: GPU {size / gpu:,.0f} queries/s ({1e3 * gpu:.3f} ms{share}), "
            f"CPU {size / cpu:,.0f}, ratio {cpu / gpu:.1f}"
        )


def agree(cpu: FaissIndex, gpu: GpuIndex, rows: HeldBatches, queries: Floats) -> None:
    """Recall of both against exact search, and how far their similarities lie apart."""
    truth = GroundTruth({"text": queries})
    for vectors, ids in rows:
        truth.update(vectors, ids)
    ours, found = gpu.search(queries, K + 1)
    theirs, expected = cpu.search(queries, K + 1)
    off = float(np.abs(ours[:, 0] - theirs[:, 0]).max())
    print(
        f"  recall@10: GPU {truth.recalls(found, K).mean():.4f}, CPU "
        f"{truth.recalls(expected, K).mean():.4f}; best similarity off by at most {off:.1e}"
    )


def seconds_of(index: FaissIndex | GpuIndex, batch: Floats) -> float:
    """Median seconds of one search, after one to warm up."""
    index.search(batch, K)
    taken = []
    for _ in range(REPEATS):
        started = perf_counter()
        index.search(batch, K)
        taken.append(perf_counter() - started)
    return float(np.median(taken))


def bytes_per_second() -> float:
    """What GPU 0 copies within its memory, bytes read per second; torch does the copying."""
    import torch

    source = torch.empty(COPIED_BYTES, dtype=torch.uint8, device="cuda:0")
    target = torch.empty_like(source)
    target.copy_(source)
    torch.cuda.synchronize()
    started = perf_counter()
    for _ in range(REPEATS):
        target.copy_(source)
    torch.cuda.synchronize()
    # A copy reads and writes, and a search only reads.
    return 2 * REPEATS * COPIED_BYTES / (perf_counter() - started)


if __name__ == "__main__":
    main()
