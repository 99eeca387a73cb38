"""Large batches in small memory: the gradients of a contrastive loss, chunk by chunk.

Gao et al. 2021, "Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup": encode
every chunk without a graph, take the loss's gradient with respect to the vectors, then encode each
chunk again with a graph and push its share of that gradient through. The sum is the plain batch's
gradient, for twice the forward passes and one chunk's memory.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Encoding:
    """One side of the loss. encode: rows start to stop → float (stop − start, dim), with a graph
    where gradients are on; count: how many rows there are."""

    encode: Callable[[slice], Tensor]
    count: int

    def chunks(self, size: int) -> list[slice]:
        """At least one, which may be empty: its vectors have the right dimension all the same."""
        starts = range(0, max(1, self.count), size)
        return [slice(at, min(at + size, self.count)) for at in starts]


def cached_backward(
    encodings: Sequence[Encoding], loss: Callable[..., Tensor], *, chunk: int
) -> Tensor:
    """Adds the gradient of loss(*vectors) to .grad of whatever took part; returns the loss.

    loss: gets the (count, dim) vectors of each encoding in order; what it holds of its own (a
    temperature, a classifier) gets its gradient too, and it may gather vectors from other
    processes, since they come to it as leaves. chunk: rows encoded at once with a graph; an
    encoding that it covers is encoded once, and where it covers all, the plain backward pass is
    done.
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
            vectors = _again(each, done) if len(made) > 1 else done.vectors
            if vectors.requires_grad:
                torch.autograd.backward(vectors, leaf.grad[done.rows])
    return total.detach()


@dataclass(frozen=True, slots=True)
class _Pass:
    rows: slice
    vectors: Tensor
    random: "_RandomState"


class _RandomState:
    """Dropout must fall alike in both passes over a chunk."""

    def __init__(self) -> None:
        self._cpu = torch.get_rng_state()
        self._cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []

    def restore(self) -> None:
        torch.set_rng_state(self._cpu)
        if self._cuda:
            torch.cuda.set_rng_state_all(self._cuda)


def _passes(encoding: Encoding, chunk: int) -> list[_Pass]:
    """A single chunk keeps its graph; of several each would hold its own."""
    chunks = encoding.chunks(chunk)
    made = []
    for rows in chunks:
        random = _RandomState()
        with torch.set_grad_enabled(len(chunks) == 1):
            made.append(_Pass(rows, encoding.encode(rows), random))
    return made


def _again(encoding: Encoding, done: _Pass) -> Tensor:
    after = _RandomState()
    done.random.restore()
    vectors = encoding.encode(done.rows)
    after.restore()
    return vectors
