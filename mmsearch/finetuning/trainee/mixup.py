"""Pictures of a batch mixed two by two, and what is then asked of them (mixup, Zhang et al. 2018;
of activations where the frozen part of a tower has run: manifold mixup, Verma et al. 2019).

Something between two products is between their texts too: a model that is held to this cannot rest
on what one shelf or one light gave away, and goes on better to pictures from elsewhere.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mmsearch.finetuning.data.sampling import Draw
from mmsearch.finetuning.towers.image_inputs import channels_last
from mmsearch.records import Floats

_MIXUP = 7


@dataclass(frozen=True, slots=True)
class Mixture:
    """partners: int64 (b,), rows of the same batch; shares: float32 (b,), how much of a row's
    picture is its own, 1 where it is not mixed."""

    partners: Tensor
    shares: Tensor

    def of(self, rows: Tensor) -> Tensor:
        """rows: (b, …), numbers or truths → float32 (b, …), each between its own and the other."""
        own = rows.float()
        return between(own, own[self.partners], self.shares)

    @property
    def mixed(self) -> Tensor:
        """bool (b,)."""
        return self.shares < 1


def between(ones: Tensor, others: Tensor, shares: Tensor) -> Tensor:
    """ones, others: float32 (b, …); shares: float32 (b,), of the former → (b, …), row by row."""
    weights = shares.view(-1, *[1] * (ones.ndim - 1))
    return channels_last(torch.lerp(others, ones, weights))


def draw_shares(draw: Draw, *, chance: float, seed: int, step: int) -> Floats:
    """draw: the whole batch → float32 (b,): with this chance somewhere between 0 and 1, else 1.

    Rows that have no picture, or whose partner has none, are not mixed.
    """
    count = len(draw.items)
    generator = np.random.default_rng([seed, _MIXUP, step])
    shares = np.where(generator.random(count) < chance, generator.random(count), 1.0)
    pictured = draw.has_image & draw.has_image[neighbours(count)]
    return np.where(pictured, shares, 1.0).astype(np.float32)


def neighbours(count: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """int64 (count,): each row's partner, the rows two by two; a last odd one is its own.

    Draws are in an order of chance, so neighbours are as good as any, and those of a rank's even
    part are in that part.
    """
    rows = np.arange(count)
    other = rows ^ 1
    return np.where(other < count, other, rows)
