"""A trainee whose batches get hard negatives, mined with its own weights as each epoch begins.

What was mined counts from the next epoch on and is part of a checkpoint, since it hangs on weights
that later steps change.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmsearch.finetuning.data.hard_negatives import HardNegatives, mine
from mmsearch.finetuning.data.sampling import Sampler
from mmsearch.finetuning.trainee.trainee import FineTuneModel
from mmsearch.training.loop import LoopOptions


class Mining:
    """A Trainee that remembers. per_item: hard negatives of each item."""

    def __init__(self, model: FineTuneModel, sampler: Sampler, per_item: int) -> None:
        """sampler: the model's own."""
        self._model, self._sampler, self._per_item = model, sampler, per_item
        self._neighbours: dict[int, np.ndarray[Any, np.dtype[np.int64]]] = {}

    def parameter_groups(self, options: LoopOptions) -> list[dict[str, Any]]:
        return self._model.parameter_groups(options)

    def backward(self, step: int, micro: int) -> dict[str, float]:
        epoch = self._sampler.epochs_of(step)[0]
        if epoch + 1 not in self._neighbours and self._begins(step, epoch):
            self._use(epoch + 1, self._mined())
        return self._model.backward(step, micro)

    def trained(self) -> dict[str, Tensor]:
        return self._model.trained()

    def train(self) -> None:
        self._model.train()

    def eval(self) -> None:
        self._model.eval()

    def memory(self) -> dict[str, Tensor]:
        return {str(epoch): torch.from_numpy(each) for epoch, each in self._neighbours.items()}

    def recall_memory(self, tensors: Mapping[str, Tensor]) -> None:
        for epoch, each in sorted((int(name), value) for name, value in tensors.items()):
            self._use(epoch, each.numpy().copy())

    def _begins(self, step: int, epoch: int) -> bool:
        """Whether no earlier step began in this epoch."""
        return step == 0 or self._sampler.epochs_of(step - 1)[0] < epoch

    def _mined(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        items = self._sampler.positions
        # Dropout has no place in what is compared.
        self._model.eval()
        images, texts = (self._model.encode_items(kind, items) for kind in ("image", "text"))
        self._model.train()
        found = mine(self._sampler.catalog, items, images, texts, per_item=self._per_item)
        return found.neighbours

    def _use(self, epoch: int, neighbours: np.ndarray[Any, np.dtype[np.int64]]) -> None:
        self._neighbours[epoch] = neighbours
        # The epoch in use and the next one are all that is drawn from.
        self._neighbours = dict(sorted(self._neighbours.items())[-2:])
        self._sampler.use_hard(HardNegatives(self._sampler.positions, neighbours), from_epoch=epoch)
