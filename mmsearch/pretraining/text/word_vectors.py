"""Stage zero: one vector and one weight for each token, so that their mean is the teacher's vector.

It costs seconds, reaches most of what a small transformer can, and is where the text tower starts.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mmsearch.pretraining.text.batches import batches
from mmsearch.pretraining.text.vocabulary import START_ID
from mmsearch.training.schedule import warmup_cosine

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class WeightedBag:
    """vectors (vocabulary, width), each of zero mean and unit spread; query (width,) weighs a
    token by exp(query · vector); bias (width,) is added to the weighted mean. All float32."""

    vectors: "torch.Tensor"
    query: "torch.Tensor"
    bias: "torch.Tensor"


def fit_bag(
    ids: NDArray[np.int32],
    teacher: NDArray[np.float16],
    *,
    vocab: int,
    steps: int,
    seed: int,
    progress: Callable[[int, dict[str, float]], None],
) -> WeightedBag:
    """ids: (n, context) with specials; teacher: (n, width) unit rows."""
    import torch
    import torch.nn.functional as F

    torch.manual_seed(seed)
    content = np.where((ids == START_ID) | (ids == vocab - 1), 0, ids)
    lengths = (ids != 0).sum(axis=1)
    width = teacher.shape[1]
    vectors = torch.nn.Parameter(_mean_teachers(content, teacher, vocab))
    query, bias = (torch.nn.Parameter(torch.zeros(width)) for _ in range(2))
    groups: list[dict[str, Any]] = [
        {"params": [vectors], "lr": 3e-2},
        {"params": [query, bias]},
    ]
    optimizer = torch.optim.Adam(groups, 1e-2)
    schedule = warmup_cosine(optimizer, steps=steps, warmup=min(20, steps))
    for step, rows in enumerate(batches(content, steps, 1024, seed)):
        batch = torch.from_numpy(content[rows, : lengths[rows].max()].astype(np.int64))
        tokens = F.layer_norm(vectors[batch], (width,))
        weights = (tokens @ query).masked_fill(batch == 0, -1e4).softmax(dim=1)
        mean = F.normalize((weights[..., None] * tokens).sum(dim=1) + bias, dim=-1)
        wanted = torch.from_numpy(teacher[rows].astype(np.float32))
        loss = 1 - (mean * wanted).sum(dim=1).mean()
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        schedule.step()
        progress(step, {"loss": loss.item()})
    settled = F.layer_norm(vectors.detach(), (width,))
    return WeightedBag(settled, query.detach(), bias.detach())


def _mean_teachers(
    ids: NDArray[np.int32], teacher: NDArray[np.float16], vocab: int
) -> "torch.Tensor":
    """For each token the mean teacher vector of the texts that hold it, less half of all's mean."""
    import torch

    sums = np.zeros((vocab, teacher.shape[1]), np.float32)
    shares = np.zeros(vocab, np.float32)
    each = 1 / np.maximum(1, (ids != 0).sum(axis=1)).astype(np.float32)
    for column in range(ids.shape[1]):
        rows = np.flatnonzero(ids[:, column])
        tokens, weights = ids[rows, column], each[rows]
        np.add.at(sums, tokens, teacher[rows].astype(np.float32) * weights[:, None])
        np.add.at(shares, tokens, weights)
    mean = teacher[:50_000].astype(np.float32).mean(axis=0)
    vectors = sums / np.maximum(shares, 1e-3)[:, None] - 0.5 * mean
    unseen = shares == 0
    vectors[unseen] = np.random.default_rng(0).normal(
        0, 0.02, (int(unseen.sum()), vectors.shape[1])
    )
    return torch.from_numpy(vectors / vectors.std(axis=1, keepdims=True).clip(1e-3))
