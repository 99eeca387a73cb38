"""The losses against reference values and against the properties that define them."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from open_clip.loss import ClipLoss, SigLipLoss
from torch import Tensor

from mmsearch.training.losses import (
    class_cross_entropy,
    class_distillation,
    info_nce,
    relational,
    sigmoid,
    similarity_kl,
    teacher_cosine,
    title_logits,
    view_consistency,
)

Doubles = NDArray[np.float64]
seeds = st.integers(0, 2**16)
sizes = st.integers(1, 6)


def unit(*shape: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(*shape, generator=generator), dim=-1)


def test_info_nce_with_one_positive_is_clips_loss() -> None:
    images, texts, scale = unit(6, 8, seed=0), unit(6, 8, seed=1), torch.tensor(14.0)
    ours = info_nce(images, texts, scale, torch.eye(6, dtype=torch.bool))
    torch.testing.assert_close(ours, ClipLoss()(images, texts, scale))


def test_info_nce_shares_its_target_among_positives() -> None:
    texts = unit(2, 8, seed=3).repeat_interleave(2, dim=0)
    concepts = torch.tensor([0, 0, 1, 1])
    same = concepts[:, None] == concepts[None]
    # With perfect vectors and two equal positives each, the best that softmax can give is ln 2.
    loss = info_nce(texts, texts, torch.tensor(200.0), same)
    assert loss.item() == pytest.approx(0.6931, abs=1e-3)
    assert (
        info_nce(texts, texts, torch.tensor(200.0), torch.eye(4, dtype=torch.bool)) >= loss - 1e-6
    )


def test_class_distillation_is_least_where_the_answers_agree() -> None:
    classes = torch.eye(5)
    logits = torch.tensor([[9.0, 0, 0, 0, 0], [0, 9.0, 0, 0, 0]])
    scale = torch.tensor(9.0)
    agreeing = class_distillation(classes[:2], classes, scale, logits)
    crossed = class_distillation(classes[[1, 0]], classes, scale, logits)
    entropy = -(logits.softmax(1) * logits.log_softmax(1)).sum(1).mean()
    torch.testing.assert_close(agreeing, entropy)
    assert crossed > agreeing + 5


def test_teacher_cosine_counts_the_spare_dimensions() -> None:
    teacher = unit(4, 6, seed=2)
    placed = F.pad(teacher, (0, 2))
    assert teacher_cosine(placed, teacher).item() == pytest.approx(0, abs=1e-6)
    spread = F.normalize(placed + torch.tensor([0.0] * 6 + [1.0, 0.0]), dim=-1)
    assert teacher_cosine(spread, teacher).item() == pytest.approx(1 - 0.5**0.5, abs=1e-6)


def test_relational_is_zero_for_a_rotation_of_the_teacher() -> None:
    teacher = unit(7, 5, seed=4)
    rotation, _ = torch.linalg.qr(torch.randn(5, 5, generator=torch.Generator().manual_seed(5)))
    assert relational(teacher @ rotation, teacher, 0.1).item() == pytest.approx(0, abs=1e-4)
    assert relational(unit(7, 5, seed=6), teacher, 0.1).item() > 0.1


def log_softmax(row: Doubles) -> Doubles:
    return np.asarray(row - row.max() - np.log(np.exp(row - row.max()).sum()))


def naive_one_way(logits: Doubles, same: Doubles, ignored: Doubles) -> float:
    """Row by row, as the SupCon paper writes it."""
    losses = []
    for row, positive, out in zip(logits, same.astype(bool), ignored.astype(bool), strict=True):
        if not positive.any():
            continue
        denominator = np.log(np.exp(row[positive | ~out]).sum())
        losses.append(np.mean([denominator - logit for logit in row[positive]]))
    return float(np.mean(losses)) if losses else 0.0


def masks(n: int, m: int, seed: int) -> tuple[Tensor, Tensor]:
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.random((n, m)) < 0.3), torch.from_numpy(rng.random((n, m)) < 0.3)


@settings(deadline=None, max_examples=40)
@given(sizes, sizes, seeds)
def test_info_nce_is_the_papers_sum(n: int, m: int, seed: int) -> None:
    images, texts = unit(n, 5, seed=seed), unit(m, 5, seed=seed + 1)
    same, ignored = masks(n, m, seed)
    logits = 9.0 * (images @ texts.T).double().numpy()
    wanted = naive_one_way(logits, same.numpy(), ignored.numpy())
    wanted += naive_one_way(logits.T, same.numpy().T, ignored.numpy().T)
    got = info_nce(images, texts, torch.tensor(9.0), same, ignored=ignored)
    assert got.item() == pytest.approx(wanted / 2, abs=1e-5)


@settings(deadline=None, max_examples=40)
@given(sizes, sizes, seeds)
def test_sigmoid_asks_of_each_pair(n: int, m: int, seed: int) -> None:
    images, texts = unit(n, 5, seed=seed), unit(m, 5, seed=seed + 1)
    same, ignored = masks(n, m, seed)
    logits = 7.0 * (images @ texts.T).double().numpy() - 3.0
    total = 0.0
    for i in range(n):
        for j in range(m):
            if same[i, j] or not ignored[i, j]:
                total += np.log1p(np.exp(-logits[i, j] if same[i, j] else logits[i, j]))
    got = sigmoid(images, texts, torch.tensor(7.0), torch.tensor(-3.0), same=same, ignored=ignored)
    assert got.item() == pytest.approx(total / n, rel=1e-4)


def test_sigmoid_with_one_positive_is_siglips_loss() -> None:
    images, texts = unit(6, 8, seed=0), unit(6, 8, seed=1)
    scale, bias = torch.tensor(10.0), torch.tensor(-10.0)
    ours = sigmoid(images, texts, scale, bias, same=torch.eye(6, dtype=torch.bool))
    torch.testing.assert_close(ours, SigLipLoss()(images, texts, scale, bias))


def test_an_ignored_negative_weighs_nothing() -> None:
    images, texts = unit(4, 8, seed=0), unit(4, 8, seed=1)
    eye, scale = torch.eye(4, dtype=torch.bool), torch.tensor(20.0)
    ignored = torch.zeros(4, 4, dtype=torch.bool)
    ignored[0, 1] = ignored[1, 0] = True
    moved = texts.clone().requires_grad_(True)
    loss = info_nce(images[:1], moved, scale, eye[:1], ignored=ignored[:1])
    # One image: only its row counts, and the columns of texts that have no positive do not.
    torch.autograd.backward(loss)
    assert moved.grad is not None
    assert moved.grad[1].abs().max() == 0
    assert moved.grad[2].abs().max() > 0


@pytest.mark.parametrize("same_all", [True, False])
@pytest.mark.parametrize("n", [1, 3])
def test_extremes_stay_finite(n: int, same_all: bool) -> None:
    images = unit(n, 4, seed=0).requires_grad_(True)
    texts = unit(n, 4, seed=1).requires_grad_(True)
    same = torch.ones(n, n, dtype=torch.bool) if same_all else torch.zeros(n, n, dtype=torch.bool)
    scale, bias, everything = torch.tensor(100.0), torch.tensor(-10.0), ~same
    nce = info_nce(images, texts, scale, same, ignored=everything)
    total = nce + sigmoid(images, texts, scale, bias, same=same, ignored=everything)
    torch.autograd.backward(total)
    assert torch.isfinite(total)
    assert images.grad is not None
    assert torch.isfinite(images.grad).all()
    if not same_all:
        # Nothing counts: no positives, and every pair ignored.
        assert total.item() == 0
        assert images.grad.abs().max() == 0


def test_empty_sides_ask_nothing() -> None:
    none, some = unit(0, 4, seed=0), unit(3, 4, seed=1)
    scale, bias = torch.tensor(5.0), torch.tensor(0.0)
    same = torch.zeros(0, 3, dtype=torch.bool)
    assert info_nce(none, some, scale, same).item() == 0
    assert sigmoid(none, some, scale, bias, same=same).item() == 0
    assert (
        similarity_kl(
            none, some, scale, teacher_images=none, teacher_texts=some, teacher_scale=5.0
        ).item()
        == 0
    )
    assert view_consistency(none, none).item() == 0
    assert class_cross_entropy(torch.zeros(0, 3), torch.zeros(0, dtype=torch.int64)).item() == 0


@settings(deadline=None, max_examples=30)
@given(sizes, sizes, seeds)
def test_similarity_kl_is_both_ways_kl(n: int, m: int, seed: int) -> None:
    images, texts = unit(n, 5, seed=seed), unit(m, 5, seed=seed + 1)
    old_images, old_texts = unit(n, 3, seed=seed + 2), unit(m, 3, seed=seed + 3)
    got = similarity_kl(
        images,
        texts,
        torch.tensor(4.0),
        teacher_images=old_images,
        teacher_texts=old_texts,
        teacher_scale=6.0,
    )
    student = 4.0 * (images @ texts.T).double().numpy()
    teacher = 6.0 * (old_images @ old_texts.T).double().numpy()
    ways = []
    for wanted, have in ((teacher, student), (teacher.T, student.T)):
        rows = [
            (np.exp(log_softmax(w)) * (log_softmax(w) - log_softmax(h))).sum()
            for w, h in zip(wanted, have, strict=True)
        ]
        ways.append(np.mean(rows))
    assert got.item() == pytest.approx(float(np.mean(ways)), abs=1e-5)
    assert got.item() >= -1e-6


def test_similarity_kl_of_the_teacher_itself_is_nothing() -> None:
    images, texts = unit(5, 6, seed=0), unit(4, 6, seed=1)
    assert (
        similarity_kl(
            images,
            texts,
            torch.tensor(8.0),
            teacher_images=images,
            teacher_texts=texts,
            teacher_scale=8.0,
        ).item()
        < 1e-6
    )


def test_class_cross_entropy_counts_labelled_items_only() -> None:
    images, titles = unit(4, 6, seed=0), unit(3, 6, seed=1)
    logits = title_logits(images, titles, torch.tensor(10.0))
    labels = torch.tensor([2, -1, 0, -1])
    wanted = F.cross_entropy(logits[[0, 2]], labels[[0, 2]], label_smoothing=0.1)
    torch.testing.assert_close(class_cross_entropy(logits, labels, smoothing=0.1), wanted)
    assert class_cross_entropy(logits, torch.full((4,), -1)).item() == 0


def test_views_that_agree_cost_nothing() -> None:
    first, second = unit(4, 6, seed=0), unit(4, 6, seed=1)
    assert view_consistency(first, first).item() == pytest.approx(0, abs=1e-6)
    wanted = float(np.mean([1 - a @ b for a, b in zip(first.numpy(), second.numpy(), strict=True)]))
    assert view_consistency(first, second).item() == pytest.approx(wanted, abs=1e-6)


SAME = torch.tensor([[1, 0, 0], [0, 1, 1], [0, 1, 1]], dtype=torch.bool)
IGNORED = torch.tensor([[0, 1, 0], [1, 0, 0], [0, 0, 0]], dtype=torch.bool)
OLD = F.normalize(torch.randn(3, 4, generator=torch.Generator().manual_seed(9)), dim=-1)


@pytest.mark.parametrize(
    "loss",
    [
        lambda i, t, s: info_nce(i, t, s, SAME, ignored=IGNORED),
        lambda i, t, s: sigmoid(i, t, s, s / 3, same=SAME, ignored=IGNORED),
        lambda i, t, s: similarity_kl(
            i, t, s, teacher_images=OLD, teacher_texts=OLD.flip(0), teacher_scale=5.0
        ),
        lambda i, t, s: class_cross_entropy(title_logits(i, t, s), torch.tensor([0, -1, 2])),
        lambda i, t, s: view_consistency(i, t) * s,
    ],
    ids=["info_nce", "sigmoid", "similarity_kl", "titles", "consistency"],
)
def test_gradients_are_the_slope(loss: Callable[[Tensor, Tensor, Tensor], Tensor]) -> None:
    images, texts = unit(3, 4, seed=0).requires_grad_(True), unit(3, 4, seed=1).requires_grad_(True)
    scale = torch.tensor(4.0, requires_grad=True)
    torch.autograd.backward(loss(images, texts, scale))
    for moved in (images, texts, scale):
        assert moved.grad is not None
        direction = torch.randn(moved.shape, generator=torch.Generator().manual_seed(3))
        step = 1e-2
        with torch.no_grad():
            moved += step * direction
            above = loss(images, texts, scale)
            moved -= 2 * step * direction
            below = loss(images, texts, scale)
            moved += step * direction
        slope = (above - below).item() / (2 * step)
        assert slope == pytest.approx((moved.grad * direction).sum().item(), abs=5e-3, rel=5e-3)
