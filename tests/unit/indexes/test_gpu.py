"""The GPU: a probe that never lies, and an index that stays where it is when there is none."""

import sys

import faiss
import numpy as np
import pytest

from mmsearch.indexes import (
    GpuProbe,
    IndexKind,
    IndexOptions,
    build_index,
    gpu,
    gpu_detection,
    probe_gpu,
    to_gpu,
)
from mmsearch.indexes.gpu import bytes_on_gpu
from mmsearch.indexes.gpu_detection import GpuDevice
from tests.support.random_vectors import RandomVectors

DIM = 32


@pytest.mark.parametrize("kind", ["flat", "hnsw", "ivf-flat", "ivf-sq8", "ivf-pq"])
def test_an_index_moves_where_the_probe_passes_and_stays_with_a_reason_elsewhere(
    kind: IndexKind,
) -> None:
    batches = RandomVectors(900, DIM)
    index = build_index(batches, dim=DIM, options=IndexOptions(kind=kind))
    move = to_gpu(index)
    assert move.reason
    assert move.moved == probe_gpu().available
    assert (move.index is index) != move.moved
    expected, names = index.search(batches.vectors[:20], 5)
    similarities, found = move.index.search(batches.vectors[:20], 5)
    assert (found[:, 0] == names[:, 0]).all()
    np.testing.assert_allclose(similarities, expected, atol=5e-3)


@pytest.mark.skipif(faiss.get_num_gpus() > 0, reason="FAISS sees a GPU here")
def test_without_a_gpu_the_probe_says_so() -> None:
    assert probe_gpu() == GpuProbe(False, (), "FAISS sees no CUDA GPU; searching on the CPU")


def test_a_child_that_dies_is_a_gpu_that_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert gpu_detection.run_probe([sys.executable, "-c", "import os; os.abort()"]).reason == (
        "FAISS failed on the GPU (exit status -6)"
    )
    complains = "import sys; sys.exit('Faiss assertion: no kernel image is available')"
    assert "no kernel image" in gpu_detection.run_probe([sys.executable, "-c", complains]).reason
    silent = gpu_detection.run_probe([sys.executable, "-c", ""])
    assert (silent.available, silent.reason) == (False, "FAISS failed on the GPU (exit status 0)")
    monkeypatch.setattr(gpu_detection, "PROBE_SECONDS", 0.2)
    sleeps = gpu_detection.run_probe([sys.executable, "-c", "import time; time.sleep(20)"])
    assert sleeps.reason == "the GPU gave no answer within 0.2 seconds"


def test_a_child_that_answers_is_believed() -> None:
    said = '{"devices": [{"name": "H200", "number": 0, "free_bytes": 5}], "fault": "%s"}'
    good = gpu_detection.run_probe([sys.executable, "-c", f"print('noise'); print('{said % ''}')"])
    assert good == GpuProbe(True, (GpuDevice(0, "H200", 5),), "searched correctly on H200")
    bad = gpu_detection.run_probe([sys.executable, "-c", f"print('{said % 'GPU 0 is wrong'}')"])
    assert (bad.available, bad.reason) == (False, "GPU 0 is wrong")


def test_an_index_larger_than_the_gpus_is_refused_with_the_numbers() -> None:
    index = build_index(RandomVectors(900, DIM), dim=DIM)
    small = GpuDevice(0, "tiny", gpu.SCRATCH_BYTES + bytes_on_gpu(index) // 2 - 1)
    move = to_gpu(index, probe=GpuProbe(True, (small, small), "said to work"))
    assert move.index is index
    assert "GiB is free on 2 GPU(s)" in move.reason
    assert "needs 0.0 GiB" in move.reason


def test_more_cells_than_a_gpu_probes_stay_with_the_cpu() -> None:
    index = build_index(RandomVectors(900, DIM), dim=DIM, options=IndexOptions(kind="ivf-flat"))
    index.effort = 4_000
    device = GpuDevice(0, "large", 2**40)
    move = to_gpu(index, probe=GpuProbe(True, (device,), "said to work"))
    assert move.index is index
    assert "4,000 cells are probed, more than the 2,048 that a GPU can" in move.reason


def test_an_empty_index_stays() -> None:
    device = GpuDevice(0, "large", 2**40)
    move = to_gpu(
        build_index(RandomVectors(0, DIM), dim=DIM), probe=GpuProbe(True, (device,), "said to work")
    )
    assert not move.moved
    assert "empty" in move.reason


@pytest.mark.parametrize("kind", ["hnsw", "ivf-pq"])
def test_what_cannot_run_on_a_gpu_goes_there_as_plain_vectors(kind: IndexKind) -> None:
    batches = RandomVectors(900, DIM)
    index = build_index(batches, dim=DIM, options=IndexOptions(kind=kind))
    index.remove(np.arange(100, dtype=np.int64))
    source = gpu.gpu_source(index)
    assert isinstance(faiss.downcast_index(source.index), faiss.IndexFlatIP)
    assert source.ntotal == 800
    _, found = source.search(batches.vectors[:200], 1)
    assert (found[100:, 0] == np.arange(100, 200)).all()
    assert (found[:100, 0] >= 100).all()
