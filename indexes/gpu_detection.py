"""Detects GPUs on which FAISS searches correctly.

FAISS aborts the whole process where its wheel has no kernels for the GPU or the driver is too old;
the probe therefore runs in a child process (gpu_probe.py), and only what that prints counts.
"""

import json
import subprocess
import sys
from dataclasses import dataclass
from functools import cache

import faiss

PROBE_SECONDS = 120


@dataclass(frozen=True, slots=True)
class GpuDevice:
    """A GPU that FAISS sees.

    number: the CUDA device number. free_bytes: of its memory, when it was probed.
    """

    number: int
    name: str
    free_bytes: int


@dataclass(frozen=True, slots=True)
class GpuProbe:
    """The result of probing the GPUs.

    available: FAISS built and searched an index correctly on every one of `devices`.
    reason: the outcome in words.
    """

    available: bool
    devices: tuple[GpuDevice, ...]
    reason: str


@cache
def probe_gpu() -> GpuProbe:
    """Probes every GPU that FAISS sees in a child process; the result is cached."""
    if not hasattr(faiss, "StandardGpuResources"):
        return GpuProbe(False, (), "this FAISS is built without GPU support")
    if not faiss.get_num_gpus():
        return GpuProbe(False, (), "FAISS sees no CUDA GPU; searching on the CPU")
    return run_probe([sys.executable, "-m", "mmsearch.indexes.gpu_probe"])


def run_probe(command: list[str]) -> GpuProbe:
    """Runs the child process and returns the result that it prints, or how it failed."""
    try:
        child = subprocess.run(  # noqa: S603  (our own module)
            command, capture_output=True, text=True, timeout=PROBE_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return GpuProbe(False, (), f"the GPU gave no answer within {PROBE_SECONDS} seconds")
    return _parsed(child.returncode, child.stdout, child.stderr)


def _parsed(status: int, output: str, complaints: str) -> GpuProbe:
    """Returns the result that the child printed as a line of JSON, or its last error line."""
    if status != 0 or not output.strip():
        last = complaints.strip().splitlines()[-1:] or [f"exit status {status}"]
        return GpuProbe(False, (), f"FAISS failed on the GPU ({last[0][:200]})")
    answer = json.loads(output.strip().splitlines()[-1])
    devices = tuple(GpuDevice(**device) for device in answer["devices"])
    if answer["fault"]:
        return GpuProbe(False, devices, answer["fault"])
    names = ", ".join(device.name for device in devices)
    return GpuProbe(True, devices, f"searched correctly on {names}")
