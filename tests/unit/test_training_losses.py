"""The losses against reference values and against the properties that define them."""

import pytest
import torch
import torch.nn.functional as F
from open_clip import ClipLoss

from mmsearch.training.losses import class_distillation, info_nce, relational, teacher_cosine


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
    weight, scale = torch.ones(2), torch.tensor(9.0)
    agreeing = class_distillation(classes[:2], classes, scale, logits, weight)
    crossed = class_distillation(classes[[1, 0]], classes, scale, logits, weight)
    entropy = -(logits.softmax(1) * logits.log_softmax(1)).sum(1).mean()
    torch.testing.assert_close(agreeing, entropy)
    assert crossed > agreeing + 5


def test_class_distillation_leaves_out_what_has_no_weight() -> None:
    classes, logits = torch.eye(5), 9 * torch.eye(5)[:2]
    scale = torch.tensor(9.0)
    both = class_distillation(classes[[0, 3]], classes, scale, logits, torch.tensor([1.0, 0.0]))
    one = class_distillation(classes[[0]], classes, scale, logits[:1], torch.ones(1))
    torch.testing.assert_close(both, one)


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
