"""Data-parallel training under torchrun; with a single process every function is a no-op.

Each rank computes the loss of the global batch from gathered embeddings. `gather_rows` therefore
sums the ranks' gradients in its backward pass and `average_gradients` divides by their number, so
that parameters before and after the gathering get exactly the gradient of a single process.
"""

import importlib
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Ranks:
    """This process's rank among `world` processes; the first writes files and reports."""

    rank: int
    world: int

    @property
    def first(self) -> bool:
        """Whether this is the first process."""
        return self.rank == 0


def ranks() -> Ranks:
    """Returns this process's rank, 0 of 1 outside a process group."""
    if dist.is_available() and dist.is_initialized():
        return Ranks(dist.get_rank(), dist.get_world_size())
    return Ranks(0, 1)


@contextmanager
def process_group(device: str) -> Iterator[Ranks]:
    """Joins the process group if torchrun started this process: NCCL on GPUs, Gloo elsewhere."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or dist.is_initialized():
        yield ranks()
        return
    # Its default arguments capture the group that exists on first import, which the first optimizer
    # triggers. Worker threads of a captured group outlive destroy_process_group, and one that frees
    # a tensor during interpreter shutdown aborts the process.
    importlib.import_module("torch.distributed.nn.functional")
    if device.startswith("cuda"):
        torch.cuda.set_device(local_device(device))
    dist.init_process_group("nccl" if device.startswith("cuda") else "gloo")
    try:
        yield ranks()
    finally:
        dist.destroy_process_group()


def local_device(device: str) -> str:
    """Returns the device of this process: under torchrun each has a GPU of its own."""
    own = os.environ.get("LOCAL_RANK")
    return f"cuda:{own}" if device.startswith("cuda") and own is not None else device


def gather_rows(rows: Tensor) -> Tensor:
    """Concatenates the rows of all ranks, (n, …) each → (world · n, …), with gradients."""
    if ranks().world == 1:
        return rows
    gathered: Tensor = _GatherRows.apply(rows)
    return gathered


class _GatherRows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        rows = rows.contiguous()
        parts = [torch.empty_like(rows) for _ in range(ranks().world)]
        dist.all_gather(parts, rows)
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        whole = gradients[0].contiguous()
        dist.all_reduce(whole)
        here = ranks()
        return whole.chunk(here.world)[here.rank]


def average_gradients(parameters: Iterable[Tensor]) -> None:
    """Averages gradients over the ranks in place; a missing gradient counts as 0."""
    here = ranks()
    if here.world == 1:
        return
    gradients = []
    for parameter in parameters:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
        gradients.append(parameter.grad)
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    dist.all_reduce(flat)
    flat /= here.world
    sizes = [gradient.numel() for gradient in gradients]
    for gradient, part in zip(gradients, torch.split(flat, sizes), strict=True):
        gradient.copy_(part.view_as(gradient))


def share_weights(tensors: Iterable[Tensor]) -> None:
    """Broadcasts the first rank's tensors to all, in place."""
    if ranks().world > 1:
        for tensor in tensors:
            dist.broadcast(tensor.data, 0)


def mean_of_ranks(values: Mapping[str, float], device: str) -> dict[str, float]:
    """Returns the mean of each value over the ranks, which must use the same names."""
    here = ranks()
    if here.world == 1:
        return dict(values)
    names = sorted(values)
    both = torch.tensor([values[name] for name in names], dtype=torch.float64, device=device)
    dist.all_reduce(both)
    return dict(zip(names, (both / here.world).tolist(), strict=True))


def from_first(value: float, device: str) -> float:
    """Returns the first rank's value on every rank."""
    if ranks().world == 1:
        return value
    shared = torch.tensor([value], dtype=torch.float64, device=device)
    dist.broadcast(shared, 0)
    return float(shared.item())


def wait_for_all() -> None:
    """Blocks until every rank has arrived here."""
    if ranks().world > 1:
        dist.barrier()
