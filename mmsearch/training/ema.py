"""An exponential moving average of weights: the model that is measured and kept."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor


class WeightAverage:
    """`average` ← keep · average + (1 − keep) · weights after each step; keep = 0 follows them.

    Early on `keep` is at most (1 + step) / (10 + step), so that the start is soon forgotten.
    """

    def __init__(self, weights: Mapping[str, Tensor], keep: float) -> None:
        self._weights = weights
        self._keep = keep
        self.keeps = keep > 0
        self.tensors = copies(weights) if self.keeps else dict(weights)

    @torch.no_grad()
    def update(self, step: int) -> None:
        if not self.keeps:
            return
        keep = min(self._keep, (1 + step) / (10 + step))
        for name, average in self.tensors.items():
            average.lerp_(self._weights[name].to(average.dtype), 1 - keep)

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """The model has the averaged weights inside, its own again after."""
        if not self.keeps:
            yield
            return
        own = copies(self._weights)
        load(self._weights, self.tensors)
        try:
            yield
        finally:
            load(self._weights, own)


def copies(tensors: Mapping[str, Tensor], device: str | None = None) -> dict[str, Tensor]:
    """Clones that no later step changes."""
    return {
        name: tensor.detach().to(device or tensor.device, copy=True)
        for name, tensor in tensors.items()
    }


@torch.no_grad()
def load(weights: Mapping[str, Tensor], values: Mapping[str, Tensor]) -> None:
    """Copies `values` into `weights`, name by name."""
    for name, tensor in weights.items():
        tensor.copy_(values[name])
