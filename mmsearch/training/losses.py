"""Loss functions of unit vectors; shapes are (n, dim) unless stated otherwise.

A loss to which nothing in the batch applies (no positive, no label) is 0 with a gradient of 0, so
that sums of losses need no special cases.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def info_nce(
    images: Tensor, texts: Tensor, scale: Tensor, same: Tensor, *, ignored: Tensor | None = None
) -> Tensor:
    """Symmetric InfoNCE with several positives (van den Oord et al. 2018; Radford et al. 2021).

    Positives enter as in L_out of SupCon (Khosla et al. 2020).
    images: float (n, dim), texts: float (m, dim), unit rows. scale: inverse temperature.
    same: bool (n, m), the positives; or float, soft targets. ignored: bool (n, m), pairs that are
    neither positives nor negatives and are left out of the denominators, unless they are `same`.
    Rows without a positive serve as negatives only. With the identity as `same` this is CLIP's
    loss.
    """
    logits = scale * images.float() @ texts.float().T
    if ignored is not None:
        logits = logits.masked_fill(ignored & (same == 0), torch.finfo(logits.dtype).min)
    return (_supcon(logits, same) + _supcon(logits.T, same.T)) / 2


def _supcon(logits: Tensor, same: Tensor) -> Tensor:
    """Mean over rows with a positive of the mean cross-entropy against the positives."""
    positives = same.sum(dim=1)
    shares = torch.where(positives > 0, positives, torch.ones_like(positives))
    losses = -(logits.log_softmax(dim=1) * same).sum(dim=1) / shares
    return _mean_where(losses, positives > 0)


def sigmoid(
    images: Tensor,
    texts: Tensor,
    scale: Tensor,
    bias: Tensor,
    *,
    same: Tensor,
    ignored: Tensor | None = None,
) -> Tensor:
    """Pairwise sigmoid loss (SigLIP, Zhai et al. 2023): the sum over pairs, divided by n.

    images: float (n, dim), texts: float (m, dim), unit rows. scale, bias: learned.
    same, ignored: (n, m) as for `info_nce`.
    """
    logits = scale * images.float() @ texts.float().T + bias
    yes = same.float()
    losses = -(yes * F.logsigmoid(logits) + (1 - yes) * F.logsigmoid(-logits))
    if ignored is not None:
        losses = losses.masked_fill(ignored & (same == 0), 0.0)
    return losses.sum() / max(1, len(images))


def similarity_kl(
    images: Tensor,
    texts: Tensor,
    scale: Tensor,
    *,
    teacher_images: Tensor,
    teacher_texts: Tensor,
    teacher_scale: float,
) -> Tensor:
    """KL divergence of the student's similarities from a teacher's, in both directions.

    Distillation (Hinton et al. 2015) over the batch, as in TinyCLIP (Wu et al. 2023).
    images (n, dim), texts (m, dim), teacher_images (n, d), teacher_texts (m, d): unit rows.
    """
    student = scale * images.float() @ texts.float().T
    teacher = teacher_scale * teacher_images.float() @ teacher_texts.float().T
    if 0 in student.shape:
        return student.sum()
    return (_kl(teacher.detach(), student) + _kl(teacher.detach().T, student.T)) / 2


def _kl(wanted: Tensor, got: Tensor) -> Tensor:
    """Mean over rows of KL(wanted ‖ got) of logits, (n, m) each."""
    return F.kl_div(
        got.log_softmax(dim=1), wanted.log_softmax(dim=1), reduction="batchmean", log_target=True
    )


def class_cross_entropy(
    logits: Tensor, labels: Tensor, *, smoothing: float = 0.0, weights: Tensor | None = None
) -> Tensor:
    """Cross-entropy of class logits, averaged over labelled rows.

    logits: float (n, classes). labels: int64 (n,), -1 for unlabelled rows. smoothing: label
    smoothing (Szegedy et al. 2016). weights: float (n,), factors on the rows' losses, default 1.
    """
    losses = F.cross_entropy(
        logits.float(), labels, ignore_index=-1, reduction="none", label_smoothing=smoothing
    )
    return _mean_where(losses if weights is None else losses * weights, labels >= 0)


def title_logits(images: Tensor, titles: Tensor, scale: Tensor) -> Tensor:
    """Logits of a zero-shot classifier, (n, classes), trained as in FLYP (Goyal et al. 2023).

    images: (n, dim), titles: (classes, dim), unit rows.
    """
    return scale * images.float() @ titles.float().T


def view_consistency(first: Tensor, second: Tensor) -> Tensor:
    """Mean of 1 − cosine between two views of each image, (n, dim) unit rows each."""
    cosines = (first.float() * second.float()).sum(dim=1)
    return (1 - cosines).sum() / max(1, len(cosines))


def _mean_where(losses: Tensor, counted: Tensor) -> Tensor:
    """Mean of `losses` where `counted`, 0 if nothing is; (n,) each."""
    return (losses * counted).sum() / counted.sum().clamp(min=1)


def class_distillation(
    images: Tensor, class_texts: Tensor, scale: Tensor, teacher_logits: Tensor
) -> Tensor:
    """Cross-entropy between a classifier's softmax and the softmax over class-name texts.

    images: (n, dim), class_texts: (classes, dim), unit rows. teacher_logits: (n, classes), the
    classifier's.
    """
    target = teacher_logits.softmax(dim=1)
    return -(target * (scale * images @ class_texts.T).log_softmax(dim=1)).sum(dim=1).mean()


def teacher_cosine(vectors: Tensor, teacher: Tensor) -> Tensor:
    """Mean of 1 − cosine between unit rows; dimensions beyond the teacher's count as error.

    vectors: (n, dim). teacher: (n, teacher dim ≤ dim).
    """
    return 1 - (vectors[:, : teacher.shape[1]] * teacher).sum(dim=1).mean()


def relational(vectors: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """KL divergence of the batch's similarities from the teacher's, without the diagonals.

    vectors: (n, dim), teacher: (n, teacher dim), unit rows.
    """
    itself = torch.eye(len(vectors), dtype=torch.bool, device=vectors.device)
    wanted = (teacher @ teacher.T / temperature).masked_fill(itself, -1e4)
    got = (vectors @ vectors.T / temperature).masked_fill(itself, -1e4)
    return _kl(wanted, got)
