"""Gradient caching: large contrastive batches in the memory of one chunk.

Gao et al. 2021, "Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup": encode
every chunk without a graph, compute the gradient of the loss with respect to the embeddings, then
encode each chunk again with a graph and backpropagate its part of that gradient. The sum equals the
gradient of the whole batch, at the cost of a second forward pass.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Encoding:
    """One input of a contrastive loss, encoded in chunks.

    encode: rows start to stop → float (stop − start, dim). count: number of rows.
    """

    encode: Callable[[slice], Tensor]
    count: int

    def chunks(self, size: int) -> list[slice]:
        """Returns at least one slice; an empty one still yields the right dimension."""
        starts = range(0, max(1, self.count), size)
        return [slice(at, min(at + size, self.count)) for at in starts]


def cached_backward(
    encodings: Sequence[Encoding], loss: Callable[..., Tensor], *, chunk: int
) -> Tensor:
    """Adds the gradient of loss(*embeddings) to the parameters' .grad and returns the loss.

    loss: takes the (count, dim) embeddings of each encoding in order. Its own parameters (a
    temperature, a classifier) receive gradients too, and it may gather embeddings from other
    processes, since they are leaves. chunk: rows encoded at once with a graph; an encoding of at
    most that many rows is encoded once, and if all are, this is a plain backward pass.
    """
    if all(each.count <= chunk for each in encodings):
        total = loss(*[each.encode(slice(0, each.count)) for each in encodings])
        torch.autograd.backward(total)
        return total.detach()
    passes = [_passes(each, chunk) for each in encodings]
    leaves = [
        torch.cat([done.vectors.detach() for done in made]).requires_grad_(True) for made in passes
    ]
    total = loss(*leaves)
    torch.autograd.backward(total)
    for each, made, leaf in zip(encodings, passes, leaves, strict=True):
        if leaf.grad is None:
            continue
        for done in made:
            vectors = done.vectors if len(made) == 1 else _encoded_again(each, done)
            if vectors.requires_grad:
                torch.autograd.backward(vectors, leaf.grad[done.rows])
    return total.detach()


@dataclass(frozen=True, slots=True)
class _Pass:
    rows: slice
    vectors: Tensor
    random: "_RandomState"


class _RandomState:
    """State of the random generators, so that dropout is the same in both passes over a chunk."""

    def __init__(self) -> None:
        self._cpu = torch.get_rng_state()
        self._cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []

    def restore(self) -> None:
        torch.set_rng_state(self._cpu)
        if self._cuda:
            torch.cuda.set_rng_state_all(self._cuda)


def _passes(encoding: Encoding, chunk: int) -> list[_Pass]:
    """Encodes all chunks; the graph is kept if there is only one."""
    chunks = encoding.chunks(chunk)
    made = []
    for rows in chunks:
        random = _RandomState()
        with torch.set_grad_enabled(len(chunks) == 1):
            made.append(_Pass(rows, encoding.encode(rows), random))
    return made


def _encoded_again(encoding: Encoding, done: _Pass) -> Tensor:
    after = _RandomState()
    done.random.restore()
    vectors = encoding.encode(done.rows)
    after.restore()
    return vectors
