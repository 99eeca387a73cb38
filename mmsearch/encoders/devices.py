"""Chooses where the encoder runs, by trying the device, and says why."""

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from mmsearch.errors import InputError

if TYPE_CHECKING:
    import torch

_NAME = re.compile(r"cuda(:\d+)?|mps")
# Half-precision sums over 64 products of unit-variance numbers are off by far less than this.
_TOLERANCE = 0.1


@dataclass(frozen=True, slots=True)
class DeviceChoice:
    """name: as torch calls the device. reason: for the user, as 'NVIDIA H200', 'no CUDA device'."""

    name: str
    reason: str

    @property
    def batch_size(self) -> int:
        """Images per forward pass: enough to fill the device, and no more memory than that."""
        return 32 if self.name == "cpu" else 256


@cache
def choose_device(wanted: str = "auto") -> DeviceChoice:
    """wanted: 'auto', 'cpu', 'cuda', 'cuda:1' or 'mps'. Raises InputError where it is not there."""
    import torch

    if wanted == "auto":
        return _best_device()
    if wanted == "cpu":
        return DeviceChoice("cpu", "asked for")
    if not _NAME.fullmatch(wanted):
        raise InputError(f"device must be auto, cpu, cuda, cuda:N or mps, got '{wanted}'")
    fault = _why_absent(wanted) or _why_faulty(torch.device(wanted))
    if fault:
        raise InputError(f"device '{wanted}' cannot be used: {fault}; use --device cpu")
    return DeviceChoice(wanted, f"{_describe(wanted)}, asked for")


def _best_device() -> DeviceChoice:
    import torch

    faults = []
    for name in ("cuda", "mps"):
        fault = _why_absent(name) or _why_faulty(torch.device(name))
        if fault is None:
            return DeviceChoice(name, _describe(name))
        faults.append(fault)
    # A Mac has no use for the news that it lacks CUDA, nor the others for MPS.
    return DeviceChoice("cpu", faults[1] if torch.backends.mps.is_built() else faults[0])


def _why_absent(name: str) -> str | None:
    import torch

    kind, _, number = name.partition(":")
    if kind == "mps":
        return None if torch.backends.mps.is_available() else "no MPS device"
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if count == 0:
        return "no CUDA device"
    if int(number or 0) >= count:
        return f"there are only {count} CUDA devices, numbered from 0"
    return None


def _why_faulty(device: "torch.device") -> str | None:
    """Runs what an encoder runs: a driver may list a device that this torch has no kernels for."""
    import torch

    generator = torch.Generator().manual_seed(0)
    matrix = torch.randn(64, 64, generator=generator)
    image = torch.randn(1, 3, 16, 16, generator=generator)
    kernel = torch.randn(8, 3, 3, 3, generator=generator)
    expected = (matrix @ matrix, torch.nn.functional.conv2d(image, kernel))
    dtype = torch.float16 if device.type == "cuda" else torch.float32
    try:
        m, i, k = (t.to(device, dtype) for t in (matrix, image, kernel))
        got = ((m @ m).float().cpu(), torch.nn.functional.conv2d(i, k).float().cpu())
    except RuntimeError as error:
        return f"{_describe(str(device))} failed a trial run ({str(error).splitlines()[0]})"
    if all(torch.allclose(g, e, atol=_TOLERANCE) for g, e in zip(got, expected, strict=True)):
        return None
    return f"{_describe(str(device))} gives wrong results in a trial run"


def _describe(name: str) -> str:
    import torch

    return torch.cuda.get_device_name(name) if name.startswith("cuda") else "Apple GPU (MPS)"
