"""Devices are tried before they are chosen, and the choice is explained."""

import pytest
import torch

from mmsearch.encoders.devices import DeviceChoice, choose_device
from mmsearch.errors import InputError

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
lacks_cuda = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
lacks_mps = pytest.mark.skipif(torch.backends.mps.is_available(), reason="there is an MPS device")


def test_the_cpu_can_be_asked_for() -> None:
    assert choose_device("cpu") == DeviceChoice("cpu", "requested")


@lacks_cuda
@lacks_mps
def test_without_a_gpu_the_cpu_is_chosen_and_the_reason_given() -> None:
    choice = choose_device("auto")
    assert choice.name == "cpu"
    assert choice.reason in ("no CUDA device", "no MPS device")


@lacks_cuda
@pytest.mark.parametrize("name", ["cuda", "cuda:1"])
def test_an_absent_gpu_is_refused(name: str) -> None:
    with pytest.raises(
        InputError, match=rf"device '{name}' cannot be used: no CUDA.*`device='cpu'`"
    ):
        choose_device(name)


@lacks_mps
def test_an_absent_apple_gpu_is_refused() -> None:
    with pytest.raises(InputError, match="'mps' cannot be used: no MPS device"):
        choose_device("mps")


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:one", "mps:0", "cpu:0", "", "CUDA"])
def test_names_that_are_no_device_are_refused(name: str) -> None:
    with pytest.raises(InputError, match="device must be auto, cpu, cuda, cuda:N or mps"):
        choose_device(name)


@needs_cuda
def test_a_gpu_is_chosen_and_named() -> None:
    choice = choose_device("auto")
    assert choice.name == "cuda"
    assert choice.reason == torch.cuda.get_device_name(0)


@needs_cuda
def test_a_gpu_beyond_the_last_is_refused() -> None:
    with pytest.raises(InputError, match="numbered from 0"):
        choose_device(f"cuda:{torch.cuda.device_count()}")
