"""The losses, each a plain function of unit vectors; shapes are (n, dim) unless said otherwise."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def info_nce(
    images: "torch.Tensor", texts: "torch.Tensor", scale: "torch.Tensor", same: "torch.Tensor"
) -> "torch.Tensor":
    """Symmetric InfoNCE with several positives, in the SupCon form.

    images, texts: float (n, dim) unit rows; scale: the inverse temperature; same: bool (n, n),
    symmetric, true where an image and a text show one concept. With `same` the identity this is
    CLIP's loss.
    """
    logits = scale * images @ texts.T
    target = same / same.sum(dim=1, keepdim=True)
    to_text = -(target * logits.log_softmax(dim=1)).sum(dim=1).mean()
    to_image = -(target * logits.T.log_softmax(dim=1)).sum(dim=1).mean()
    return (to_text + to_image) / 2


def class_distillation(
    images: "torch.Tensor",
    class_texts: "torch.Tensor",
    scale: "torch.Tensor",
    teacher_logits: "torch.Tensor",
    weight: "torch.Tensor",
) -> "torch.Tensor":
    """Cross-entropy between the classifier's softmax and the softmax over class-name texts.

    images: (n, dim); class_texts: (classes, dim), unit rows; teacher_logits: (n, classes);
    weight: (n,), how far each teacher answer counts.
    """
    target = teacher_logits.softmax(dim=1)
    losses = -(target * (scale * images @ class_texts.T).log_softmax(dim=1)).sum(dim=1)
    return (weight * losses).sum() / weight.sum().clamp(min=1e-6)


def teacher_cosine(vectors: "torch.Tensor", teacher: "torch.Tensor") -> "torch.Tensor":
    """1 − cosine between unit rows; vectors' dimensions beyond the teacher's count as error.

    vectors: (n, dim); teacher: (n, teacher dim ≤ dim).
    """
    return 1 - (vectors[:, : teacher.shape[1]] * teacher).sum(dim=1).mean()


def relational(
    vectors: "torch.Tensor", teacher: "torch.Tensor", temperature: float
) -> "torch.Tensor":
    """KL between the batch's similarity distributions, teacher to student, diagonals left out.

    vectors: (n, dim), teacher: (n, teacher dim), unit rows.
    """
    import torch
    import torch.nn.functional as F

    itself = torch.eye(len(vectors), dtype=torch.bool, device=vectors.device)
    wanted = (teacher @ teacher.T / temperature).masked_fill(itself, -1e4)
    got = (vectors @ vectors.T / temperature).masked_fill(itself, -1e4)
    return F.kl_div(
        got.log_softmax(dim=1), wanted.log_softmax(dim=1), reduction="batchmean", log_target=True
    )
