"""A trainee whose batches contain hard negatives, mined with its own weights once an epoch.

They are used from the next epoch on and are part of a checkpoint, because they depend on weights
that later steps change.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from mmsearch.finetuning.data.hard_negatives import HardNegatives, mine
from mmsearch.finetuning.trainee.trainee import FineTuneModel
from mmsearch.records import Ids
from mmsearch.training.loop import LoopOptions


class HardNegativeMining:
    """Wraps a model; mines `per_item` hard negatives for each item as an epoch begins."""

    def __init__(self, model: FineTuneModel, per_item: int) -> None:
        self._model, self._sampler, self._per_item = model, model.sampler, per_item
        self._neighbours: dict[int, Ids] = {}

    def parameter_groups(self, options: LoopOptions) -> list[dict[str, Any]]:
        """See Trainee."""
        return self._model.parameter_groups(options)

    def backward(self, step: int, micro: int) -> dict[str, float]:
        """See Trainee."""
        epoch = self._sampler.epochs_of(step)[0]
        first_step = step == 0 or self._sampler.epochs_of(step - 1)[0] < epoch
        if first_step and epoch + 1 not in self._neighbours:
            self._use(epoch + 1, self._mine())
        return self._model.backward(step, micro)

    def trained(self) -> dict[str, Tensor]:
        """See Trainee."""
        return self._model.trained()

    def train(self) -> None:
        """See Trainee."""
        self._model.train()

    def eval(self) -> None:
        """See Trainee."""
        self._model.eval()

    def memory(self) -> dict[str, Tensor]:
        """See Remembers."""
        return {str(epoch): torch.from_numpy(each) for epoch, each in self._neighbours.items()}

    def recall_memory(self, tensors: Mapping[str, Tensor]) -> None:
        """See Remembers."""
        for epoch, each in sorted((int(name), value) for name, value in tensors.items()):
            self._use(epoch, each.numpy().copy())

    def _mine(self) -> Ids:
        items = self._sampler.positions
        self._model.eval()
        images, texts = (self._model.encode_items(kind, items) for kind in ("image", "text"))
        self._model.train()
        found = mine(self._sampler.training_set, items, images, texts, per_item=self._per_item)
        return found.neighbours

    def _use(self, epoch: int, neighbours: Ids) -> None:
        self._neighbours[epoch] = neighbours
        # Batches come from the current epoch and the next.
        self._neighbours = dict(sorted(self._neighbours.items())[-2:])
        self._sampler.use_hard(HardNegatives(self._sampler.positions, neighbours), from_epoch=epoch)
