"""Chooses the device that an encoder runs on, after a trial run there."""

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from mmsearch.errors import InputError

if TYPE_CHECKING:
    import torch

_NAME = re.compile(r"cuda(:\d+)?|mps")
# Half-precision sums of 64 products of unit-variance numbers have a far smaller error.
_TOLERANCE = 0.1


@dataclass(frozen=True, slots=True)
class DeviceChoice:
    """A device and why it was chosen.

    name: torch's name of the device. reason: for display, as 'NVIDIA H200' or 'no CUDA device'.
    """

    name: str
    reason: str

    @property
    def batch_size(self) -> int:
        """Images per forward pass: enough to use the device fully."""
        return 32 if self.name == "cpu" else 256


@cache
def choose_device(requested: str = "auto") -> DeviceChoice:
    """Returns 'auto's choice, or the requested 'cpu', 'cuda', 'cuda:1' or 'mps'.

    Raises InputError where the device is missing or fails a trial run.
    """
    import torch

    if requested == "auto":
        return _best_device()
    if requested == "cpu":
        return DeviceChoice("cpu", "requested")
    if not _NAME.fullmatch(requested):
        raise InputError(f"device must be auto, cpu, cuda, cuda:N or mps, got '{requested}'")
    fault = _why_absent(requested) or _why_faulty(torch.device(requested))
    if fault:
        raise InputError(f"device '{requested}' cannot be used: {fault}; use `device='cpu'`")
    return DeviceChoice(requested, f"{_describe(requested)}, requested")


def _best_device() -> DeviceChoice:
    import torch

    faults = []
    for name in ("cuda", "mps"):
        fault = _why_absent(name) or _why_faulty(torch.device(name))
        if fault is None:
            return DeviceChoice(name, _describe(name))
        faults.append(fault)
    # On a Mac, report on MPS; elsewhere on CUDA.
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
    """Runs an encoder's operations there: torch may lack kernels for a device that it lists."""
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
