"""Exponential moving average (EMA) of weights: the model that is validated and kept."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor


class WeightAverage:
    """Moving average of live weights: average ← decay · average + (1 − decay) · weights.

    Early on the decay is at most (1 + step) / (10 + step), so that the average soon leaves the
    initial weights behind. A decay of 0 disables the average.
    """

    def __init__(self, weights: Mapping[str, Tensor], decay: float) -> None:
        self._weights = weights
        self._decay = decay
        self.enabled = decay > 0
        self.tensors = copies(weights) if self.enabled else dict(weights)

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Averages in the weights after `step`, which counts from 0."""
        if not self.enabled:
            return
        decay = min(self._decay, (1 + step) / (10 + step))
        for name, average in self.tensors.items():
            average.lerp_(self._weights[name].to(average.dtype), 1 - decay)

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Swaps the averaged weights into the model for the duration of the block."""
        if not self.enabled:
            yield
            return
        own = copies(self._weights)
        load(self._weights, self.tensors)
        try:
            yield
        finally:
            load(self._weights, own)


def copies(tensors: Mapping[str, Tensor], device: str | None = None) -> dict[str, Tensor]:
    """Returns detached clones, on `device` if one is given."""
    return {
        name: tensor.detach().to(device or tensor.device, copy=True)
        for name, tensor in tensors.items()
    }


@torch.no_grad()
def load(weights: Mapping[str, Tensor], values: Mapping[str, Tensor]) -> None:
    """Copies `values` into `weights` in place, by name."""
    for name, tensor in weights.items():
        tensor.copy_(values[name])
