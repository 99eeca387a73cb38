"""Stage 0: a vector and a weight for each token, so that their mean is the teacher's vector.

It takes seconds, reaches most of what a small transformer can, and is where the text tower starts.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from mmsearch.pretraining.text.batches import length_batches
from mmsearch.pretraining.text.tokenizer import PAD_ID, START_ID
from mmsearch.training.loop import warmup_cosine_factor

if TYPE_CHECKING:
    from open_clip import CLIP

BATCH = 1024
LEARNING_RATE, VECTOR_LEARNING_RATE = 1e-2, 3e-2
# Texts from which the mean of all teacher vectors is estimated.
_MEAN_TEXTS = 50_000


@dataclass(frozen=True, slots=True)
class WordVectors:
    """A text encoder: the weighted mean of its tokens' vectors, plus a bias; all float32.

    vectors: (vocabulary, width), each of mean 0 and deviation 1. query: (width,); a token's weight
    is exp(query · vector). bias: (width,).
    """

    vectors: Tensor
    query: Tensor
    bias: Tensor


def fit_word_vectors(
    ids: NDArray[np.int32],
    teacher: NDArray[np.float16],
    *,
    vocabulary: int,
    steps: int,
    seed: int,
    report: Callable[[int, float], None],
) -> WordVectors:
    """Fits word vectors to the teacher's vectors by their cosine.

    ids: (n, context), special tokens included; teacher: (n, width), unit rows. report: called with
    each step and its loss.
    """
    torch.manual_seed(seed)
    content = np.where((ids == START_ID) | (ids == vocabulary - 1), PAD_ID, ids)
    lengths = (ids != PAD_ID).sum(axis=1)
    width = teacher.shape[1]
    vectors = torch.nn.Parameter(_mean_teacher_vectors(content, teacher, vocabulary))
    query, bias = (torch.nn.Parameter(torch.zeros(width)) for _ in range(2))
    groups: list[dict[str, Any]] = [
        {"params": [vectors], "lr": VECTOR_LEARNING_RATE},
        {"params": [query, bias], "lr": LEARNING_RATE},
    ]
    optimizer = torch.optim.Adam(groups)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, partial(warmup_cosine_factor, steps=steps, warmup=min(20, steps))
    )
    for step, rows in enumerate(length_batches(content, steps=steps, batch=BATCH, seed=seed)):
        batch = torch.from_numpy(content[rows, : lengths[rows].max()].astype(np.int64))
        tokens = F.layer_norm(vectors[batch], (width,))
        weights = (tokens @ query).masked_fill(batch == PAD_ID, -1e4).softmax(dim=1)
        mean = F.normalize((weights[..., None] * tokens).sum(dim=1) + bias, dim=-1)
        target = torch.from_numpy(teacher[rows].astype(np.float32))
        loss = 1 - (mean * target).sum(dim=1).mean()
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        schedule.step()
        report(step, loss.item())
    final = F.layer_norm(vectors.detach(), (width,))
    return WordVectors(final, query.detach(), bias.detach())


def _mean_teacher_vectors(
    ids: NDArray[np.int32], teacher: NDArray[np.float16], vocabulary: int
) -> Tensor:
    """Averages, for each token, the teacher vectors of the texts with it: (vocabulary, width).

    Half of the mean of all is subtracted, so that frequent tokens differ more.
    """
    sums = np.zeros((vocabulary, teacher.shape[1]), np.float32)
    shares = np.zeros(vocabulary, np.float32)
    token_share = 1 / np.maximum(1, (ids != PAD_ID).sum(axis=1)).astype(np.float32)
    for column in range(ids.shape[1]):
        rows = np.flatnonzero(ids[:, column])
        tokens, weights = ids[rows, column], token_share[rows]
        np.add.at(sums, tokens, teacher[rows].astype(np.float32) * weights[:, None])
        np.add.at(shares, tokens, weights)
    mean = teacher[:_MEAN_TEXTS].astype(np.float32).mean(axis=0)
    vectors = sums / np.maximum(shares, 1e-3)[:, None] - 0.5 * mean
    unseen = shares == 0
    vectors[unseen] = np.random.default_rng(0).normal(
        0, 0.02, (int(unseen.sum()), vectors.shape[1])
    )
    return torch.from_numpy(vectors / vectors.std(axis=1, keepdims=True).clip(1e-3))


@torch.no_grad()
def initialise_text(model: "CLIP", words: "WordVectors") -> None:
    """Makes the text tower start as the weighted mean of word vectors.

    The first block's attention weighs the tokens; all that follows it adds nothing at first.
    """
    width = model.token_embedding.weight.shape[1]
    first, *_ = blocks = list(model.transformer.resblocks)
    head = width // first.attn.num_heads
    model.positional_embedding.mul_(0.1)
    model.token_embedding.weight.copy_(words.vectors)
    for special in (PAD_ID, START_ID, words.vectors.shape[0] - 1):
        model.token_embedding.weight[special] = 0
    for block in blocks:
        block.mlp.c_proj.weight.zero_()
        block.attn.out_proj.weight.zero_()
    in_proj, bias = first.attn.in_proj_weight, first.attn.in_proj_bias
    in_proj.zero_()
    # All heads have the same constant query; the first key dimension of each is the token's weight.
    bias[:width:head] = head**0.5
    in_proj[width : 2 * width : head] = words.query
    in_proj[2 * width :] = torch.eye(width)
    first.attn.out_proj.weight.copy_(torch.eye(width))
    first.attn.out_proj.bias.copy_(words.bias)
    model.text_projection.copy_(torch.eye(width, model.text_projection.shape[1]))
