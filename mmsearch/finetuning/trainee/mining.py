"""A trainee whose batches contain hard negatives, mined with its own weights once an epoch.

They are used from the next epoch on and are part of a checkpoint, because they depend on weights
that later steps change.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from mmsearch.finetuning.data.hard_negatives import HardNegatives, mine
from mmsearch.finetuning.trainee.trainee import FineTuneModel
from mmsearch.records import Ids


class MiningModel(FineTuneModel):
    """Mines the options' number of hard negatives for each item as an epoch begins."""

    # By the epoch from which they are used.
    _neighbours: Mapping[int, Ids] = {}

    def backward(self, step: int, micro: int) -> dict[str, float]:
        """See Trainee."""
        epoch = self.sampler.epochs_of(step)[0]
        first_step = step == 0 or self.sampler.epochs_of(step - 1)[0] < epoch
        if first_step and epoch + 1 not in self._neighbours:
            self._use(epoch + 1, self._mine())
        return super().backward(step, micro)

    def memory(self) -> dict[str, Tensor]:
        """See Remembers."""
        return {str(epoch): torch.from_numpy(each) for epoch, each in self._neighbours.items()}

    def recall_memory(self, tensors: Mapping[str, Tensor]) -> None:
        """See Remembers."""
        for epoch, each in sorted((int(name), value) for name, value in tensors.items()):
            self._use(epoch, each.numpy().copy())

    def _mine(self) -> Ids:
        items, training_set = self.sampler.positions, self.sampler.training_set
        first = [next(iter(training_set.items[at].texts), "") for at in items.tolist()]
        self.eval()
        images, texts = self.encode_images(items), self.encode_texts(first)
        self.train()
        texts[[not text for text in first]] = 0
        count = self._options.loss.hard_negatives
        return mine(training_set, items, images, texts, per_item=count).neighbours

    def _use(self, epoch: int, neighbours: Ids) -> None:
        # Batches come from the current epoch and the next.
        self._neighbours = dict(sorted({**self._neighbours, epoch: neighbours}.items())[-2:])
        self.sampler.use_hard(HardNegatives(self.sampler.positions, neighbours), from_epoch=epoch)
