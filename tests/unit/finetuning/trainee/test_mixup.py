"""Which images are mixed, with which others, and the targets of a mixed one."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmsearch.errors import ConfigError
from mmsearch.finetuning.data.sampling import Draw
from mmsearch.finetuning.options import FinetuneOptions
from mmsearch.finetuning.trainee.batches import Mixup, Targets, draw_shares, partners
from mmsearch.finetuning.trainee.objective import Objective
from mmsearch.training.losses import class_cross_entropy, info_nce, sigmoid, title_logits

BATCH, DIM, CLASSES = 6, 8, 4


def drawn(has_image: list[bool]) -> Draw:
    count = len(has_image)
    rows = np.arange(count)
    there = np.array(has_image, np.bool_)
    texts = [f"text {row}" for row in range(count)]
    own: list[tuple[int, ...]] = [(row,) for row in range(count)]
    return Draw(rows, rows, None, texts, there, there, rows, rows, rows, own)


@given(st.integers(0, 40))
def test_neighbours_are_pairs(count: int) -> None:
    pairs = partners(count)
    assert pairs[pairs].tolist() == list(range(count))
    assert np.count_nonzero(pairs == np.arange(count)) == count % 2


@given(st.integers(1, 4), st.integers(1, 4))
def test_the_neighbours_of_an_even_part_are_in_it(half: int, world: int) -> None:
    size = 2 * half
    whole, part = partners(size * world), partners(size)
    for rank in range(world):
        np.testing.assert_array_equal(whole[rank * size : (rank + 1) * size], part + rank * size)


@settings(deadline=None)
@given(st.lists(st.booleans(), min_size=2, max_size=30), st.integers(0, 2**31), st.integers(0, 99))
def test_only_images_with_images_are_mixed(has_image: list[bool], seed: int, step: int) -> None:
    draw = drawn(has_image)
    shares = draw_shares(draw, probability=1.0, seed=seed, step=step)
    np.testing.assert_array_equal(shares, draw_shares(draw, probability=1.0, seed=seed, step=step))
    assert shares.dtype == np.float32
    assert ((shares >= 0) & (shares <= 1)).all()
    for row, partner in enumerate(partners(len(has_image)).tolist()):
        if not (has_image[row] and has_image[partner]):
            assert shares[row] == 1
    assert (draw_shares(draw, probability=0.0, seed=seed, step=step) == 1).all()


def test_about_the_requested_share_is_mixed() -> None:
    draw = drawn([True] * 2000)
    shares = draw_shares(draw, probability=0.7, seed=0, step=0)
    assert 0.66 < (shares < 1).mean() < 0.74
    assert 0.45 < shares[shares < 1].mean() < 0.55


def unit(rows: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.nn.functional.normalize(torch.randn(rows, DIM, generator=generator), dim=-1)


def targets(mixup: Mixup | None) -> Targets:
    labels = torch.tensor([0, 1, 2, 3, 0, 1])
    same = labels[:, None] == labels[None, :]
    everyone = torch.ones(BATCH, dtype=torch.bool)
    return Targets(same, torch.zeros_like(same), labels, labels, everyone, everyone, None, mixup)


def parts(mixup: Mixup | None, **options: object) -> dict[str, float]:
    chosen = FinetuneOptions.of(classes="class", **options)
    objective = Objective(chosen, scale=20.0, bias=None, dim=DIM, classes=CLASSES)
    found = objective.parts(
        unit(BATCH, 0), unit(BATCH, 1), unit(CLASSES, 2), second=None, targets=targets(mixup)
    )
    return {name: float(value.detach()) for name, value in found.items()}


def shared(shares: list[float]) -> Mixup:
    return Mixup(torch.from_numpy(partners(BATCH)), torch.tensor(shares))


@pytest.mark.parametrize("loss", ["infonce", "sigmoid"])
def test_images_that_are_not_mixed_have_their_own_targets(loss: str) -> None:
    assert parts(shared([1.0] * BATCH), loss=loss) == pytest.approx(parts(None, loss=loss))


def test_an_image_that_is_all_its_partners_has_the_partners_targets() -> None:
    mixup, plain = shared([0.0] * BATCH), targets(None)
    pairs = mixup.partners
    images, texts, titles = unit(BATCH, 0), unit(BATCH, 1), unit(CLASSES, 2)
    found = parts(mixup, class_weight=0.0)
    wanted = info_nce(images, texts, torch.tensor(20.0), plain.same[pairs])
    assert found["contrast"] == pytest.approx(wanted.item(), rel=1e-5)
    logits = title_logits(images, titles, torch.tensor(20.0))
    named = class_cross_entropy(logits, plain.labels[pairs], smoothing=0.1)
    assert found["titles"] == pytest.approx(named.item(), rel=1e-5)


def test_a_mixed_image_has_both_targets_by_their_shares() -> None:
    shares = torch.tensor([0.2, 0.9, 1.0, 0.5, 0.7, 0.0])
    mixup, labels = shared(shares.tolist()), targets(None).labels
    logits = title_logits(unit(BATCH, 0), unit(CLASSES, 2), torch.tensor(20.0)).log_softmax(dim=1)
    total = 0.0
    for row, partner in enumerate(partners(BATCH).tolist()):
        for other, share in ((row, shares[row]), (partner, 1 - shares[row])):
            right = -0.9 * logits[row, labels[other]] - 0.1 * logits[row].mean()
            total += float(share * right)
    found = parts(mixup)
    assert found["titles"] == pytest.approx(total / BATCH, rel=1e-4)


def test_soft_pairs_share_a_texts_target() -> None:
    """A text with three tenths in one image, and nothing elsewhere, has that one as its target."""
    images, texts = unit(3, 0), unit(2, 1)
    scale = torch.tensor(5.0)
    hard = torch.tensor([[True, False], [False, True], [False, False]])
    soft = torch.tensor([[0.3, 0.0], [0.0, 0.6], [0.0, 0.0]])
    torch.testing.assert_close(
        info_nce(images, texts, scale, soft), info_nce(images, texts, scale, hard)
    )
    between = (0.3 * sigmoid(images, texts, scale, scale, same=hard)) + 0.7 * sigmoid(
        images, texts, scale, scale, same=torch.zeros_like(hard)
    )
    torch.testing.assert_close(sigmoid(images, texts, scale, scale, same=0.3 * hard), between)


def test_two_views_of_a_mixed_image_are_refused() -> None:
    with pytest.raises(ConfigError, match="set mixup=0"):
        FinetuneOptions.of(mixup=0.5, consistency_weight=1.0)
