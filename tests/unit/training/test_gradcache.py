"""Cached gradients are the plain batch's gradients, whatever the chunk and whatever the loss."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from mmsearch.training.gradcache import Encoding, cached_backward
from mmsearch.training.losses import (
    class_cross_entropy,
    info_nce,
    sigmoid,
    similarity_kl,
    view_consistency,
)


class TwoTowers(nn.Module):
    """Two small towers, a temperature, a bias and a classifier."""

    def __init__(self, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.image = nn.Sequential(
            nn.Linear(10, 16), nn.GELU(), nn.Dropout(dropout), nn.Linear(16, 6)
        )
        self.text = nn.Sequential(nn.Linear(7, 6), nn.Dropout(dropout))
        self.log_scale = nn.Parameter(torch.tensor(2.0))
        self.bias = nn.Parameter(torch.tensor(-2.0))
        self.classifier = nn.Linear(6, 3)


def batch(n: int) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(n)
    return (
        torch.randn(n, 10, generator=generator),
        torch.randn(n, 10, generator=generator),
        torch.randn(n, 7, generator=generator),
    )


def gradients(n: int, chunk: int, *, dropout: float = 0.0) -> tuple[Tensor, dict[str, Tensor]]:
    """Of every loss at once, with a second view as a third encoding."""
    torch.manual_seed(5)
    towers = TwoTowers(dropout=dropout)
    first, second, texts = batch(n)
    groups = torch.arange(n) // 2
    same = groups[:, None] == groups[None]
    ignored = (groups[:, None] - groups[None]).abs() == 2
    old = F.normalize(torch.randn(n, 4, generator=torch.Generator().manual_seed(1)), dim=-1)

    def loss(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
        scale = towers.log_scale.exp()
        return (
            info_nce(a, t, scale, same, ignored=ignored)
            + sigmoid(a, t, scale, towers.bias, same=same, ignored=ignored)
            + similarity_kl(
                a, t, scale, teacher_images=old, teacher_texts=old.flip(0), teacher_scale=5.0
            )
            + class_cross_entropy(towers.classifier(a), groups % 3)
            + view_consistency(a, b)
        )

    encodings = [
        Encoding(lambda rows: F.normalize(towers.image(first[rows]), dim=-1), n),
        Encoding(lambda rows: F.normalize(towers.image(second[rows]), dim=-1), n),
        Encoding(lambda rows: F.normalize(towers.text(texts[rows]), dim=-1), n),
    ]
    total = cached_backward(encodings, loss, chunk=chunk)
    named = towers.named_parameters()
    return total, {name: p.grad for name, p in named if p.grad is not None}


@settings(deadline=None, max_examples=15)
@given(st.integers(1, 9), st.integers(1, 10))
def test_equal_to_the_plain_batch(n: int, chunk: int) -> None:
    plain_loss, plain = gradients(n, n)
    loss, cached = gradients(n, chunk)
    torch.testing.assert_close(loss, plain_loss, atol=1e-5, rtol=1e-5)
    assert set(cached) == set(plain)
    for name, gradient in plain.items():
        torch.testing.assert_close(cached[name], gradient, atol=1e-5, rtol=1e-5)


def test_gradients_add_up_over_calls() -> None:
    weight = nn.Parameter(torch.ones(3))
    encoding = Encoding(lambda rows: (torch.arange(12.0).view(4, 3) * weight)[rows], 4)
    for _ in range(2):
        cached_backward([encoding], lambda v: v.sum(), chunk=3)
    assert weight.grad is not None
    assert weight.grad.tolist() == [36.0, 44.0, 52.0]


def test_dropout_falls_alike_in_both_passes() -> None:
    """A linear loss: its gradient is the vectors' own Jacobian, which dropout makes random."""
    torch.manual_seed(0)
    weight = nn.Parameter(torch.ones(8))
    seen: list[Tensor] = []

    def encode(rows: slice) -> Tensor:
        out = F.dropout(weight.expand(6, 8)[rows], 0.5)
        seen.append(out.detach())
        return out

    cached_backward([Encoding(encode, 6)], lambda v: v.sum(), chunk=4)
    first, second = torch.cat(seen[:2]), torch.cat(seen[2:])
    assert 0 < (first == 0).sum() < first.numel()
    torch.testing.assert_close(first, second)
    assert weight.grad is not None
    torch.testing.assert_close(weight.grad, first.sum(dim=0))


def test_only_one_chunk_has_a_graph_at_a_time() -> None:
    weight = nn.Parameter(torch.ones(3))
    with_graph: list[int] = []

    def encode(rows: slice) -> Tensor:
        out = (torch.ones(10, 3) * weight)[rows]
        if out.requires_grad:
            with_graph.append(len(out))
        return out

    cached_backward([Encoding(encode, 10)], lambda v: (v**2).sum(), chunk=4)
    assert with_graph == [4, 4, 2]


def test_a_side_that_fits_is_encoded_once() -> None:
    weight = nn.Parameter(torch.tensor([1.0, 2.0, 3.0]))
    encoded: list[int] = []

    def small(rows: slice) -> Tensor:
        encoded.append(rows.stop - rows.start)
        return (torch.arange(12.0).view(4, 3) * weight)[rows]

    large = Encoding(lambda rows: (weight * torch.ones(10, 3))[rows], 10)
    loss = cached_backward([Encoding(small, 4), large], lambda s, t: (s @ t.T).sum(), chunk=4)
    assert encoded == [4]
    # Ten times the sum over columns of their sums, 18, 22 and 26, times the squared weight.
    assert loss.item() == 10 * (18 * 1 + 22 * 4 + 26 * 9)
    assert weight.grad is not None
    assert weight.grad.tolist() == [20 * 18 * 1.0, 20 * 22 * 2.0, 20 * 26 * 3.0]


@pytest.mark.parametrize("count", [0, 5])
def test_a_side_may_be_empty_or_frozen(count: int) -> None:
    """Items without images: the image side has no rows, the texts still meet their classifier."""
    weight = nn.Parameter(torch.ones(3))
    frozen: Callable[[slice], Tensor] = lambda rows: torch.ones(count, 3)[rows]  # noqa: E731
    sides = [Encoding(frozen, count), Encoding(lambda rows: weight.expand(6, 3)[rows], 6)]
    loss = cached_backward(sides, lambda i, t: i.sum() + t.sum(), chunk=2)
    assert loss.item() == 3 * count + 18
    assert weight.grad is not None
    assert weight.grad.tolist() == [6.0, 6.0, 6.0]
