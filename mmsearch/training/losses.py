"""The losses, each a plain function of unit vectors; shapes are (n, dim) unless said otherwise.

Where nothing in a batch has what a loss asks for (a positive, a label), it is 0 with a gradient of
0, so that sums of losses need no special cases.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def info_nce(
    images: Tensor, texts: Tensor, scale: Tensor, same: Tensor, ignored: Tensor | None = None
) -> Tensor:
    """Symmetric InfoNCE with several positives (van den Oord et al. 2018; Radford et al. 2021),
    the positives in the form L_out of SupCon (Khosla et al. 2020).

    images: float (n, dim), texts: float (m, dim), unit rows; scale: the inverse temperature;
    same: bool (n, m), true where an image and a text show one thing, or float, how far they do;
    ignored: bool (n, m), pairs that are neither positives nor fair negatives and so stay out of
    the denominators (a pair that is `same` counts nevertheless). Rows without a positive ask
    nothing, but serve the others as negatives. With `same` the identity this is CLIP's loss.
    """
    logits = scale * images.float() @ texts.float().T
    if ignored is not None:
        logits = logits.masked_fill(ignored & (same == 0), torch.finfo(logits.dtype).min)
    return (_supcon(logits, same) + _supcon(logits.T, same.T)) / 2


def _supcon(logits: Tensor, same: Tensor) -> Tensor:
    """The mean, over rows with a positive, of the mean cross-entropy against its positives."""
    positives = same.sum(dim=1)
    shares = torch.where(positives > 0, positives, torch.ones_like(positives))
    losses = -(logits.log_softmax(dim=1) * same).sum(dim=1) / shares
    return _mean_where(losses, positives > 0)


def sigmoid(
    images: Tensor,
    texts: Tensor,
    scale: Tensor,
    bias: Tensor,
    same: Tensor,
    ignored: Tensor | None = None,
) -> Tensor:
    """Each pair is a question of its own, yes or no (SigLIP, Zhai et al. 2023).

    images: float (n, dim), texts: float (m, dim), unit rows; scale, bias: learned; same, ignored:
    (n, m) as for `info_nce`. The sum over all pairs that count, divided by n as in the paper.
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
    teacher_images: Tensor,
    teacher_texts: Tensor,
    teacher_scale: float,
) -> Tensor:
    """KL from a frozen teacher's similarities to the student's, image→text and text→image
    (Hinton et al. 2015, over the batch as in TinyCLIP, Wu et al. 2023).

    images (n, dim), texts (m, dim); teacher_images (n, d), teacher_texts (m, d): unit rows. The
    start model as teacher keeps what it knew.
    """
    student = scale * images.float() @ texts.float().T
    teacher = teacher_scale * teacher_images.float() @ teacher_texts.float().T
    if 0 in student.shape:
        return student.sum()
    return (_kl(teacher.detach(), student) + _kl(teacher.detach().T, student.T)) / 2


def _kl(wanted: Tensor, got: Tensor) -> Tensor:
    """Logits (n, m) each: the mean over rows of KL(wanted ‖ got)."""
    return F.kl_div(
        got.log_softmax(dim=1), wanted.log_softmax(dim=1), reduction="batchmean", log_target=True
    )


def class_cross_entropy(
    logits: Tensor, labels: Tensor, *, smoothing: float = 0.0, weights: Tensor | None = None
) -> Tensor:
    """logits: float (n, classes), of a linear head or `title_logits`; labels: int64 (n,), -1 where
    an item has none. smoothing: the share of the target given to all classes (Szegedy et al. 2016).
    weights: float (n,), how far a row's label counts in the mean; 1 if not given.
    """
    losses = F.cross_entropy(
        logits.float(), labels, ignore_index=-1, reduction="none", label_smoothing=smoothing
    )
    return _mean_where(losses if weights is None else losses * weights, labels >= 0)


def title_logits(images: Tensor, titles: Tensor, scale: Tensor) -> Tensor:
    """images (n, dim), titles (classes, dim): unit rows → (n, classes), the zero-shot classifier of
    class titles, trained as in FLYP (Goyal et al. 2023) or CoOp's setting (Zhou et al. 2022)."""
    return scale * images.float() @ titles.float().T


def view_consistency(first: Tensor, second: Tensor) -> Tensor:
    """1 − cosine between the vectors of two views of each picture: (n, dim) unit rows each."""
    cosines = (first.float() * second.float()).sum(dim=1)
    return _mean_where(1 - cosines, torch.ones_like(cosines, dtype=torch.bool))


def _mean_where(losses: Tensor, counted: Tensor) -> Tensor:
    """(n,) each. 0 where nothing counts."""
    return (losses * counted).sum() / counted.sum().clamp(min=1)


def class_distillation(
    images: Tensor,
    class_texts: Tensor,
    scale: Tensor,
    teacher_logits: Tensor,
    weight: Tensor,
) -> Tensor:
    """Cross-entropy between the classifier's softmax and the softmax over class-name texts.

    images: (n, dim); class_texts: (classes, dim), unit rows; teacher_logits: (n, classes);
    weight: (n,), how far each teacher answer counts.
    """
    target = teacher_logits.softmax(dim=1)
    losses = -(target * (scale * images @ class_texts.T).log_softmax(dim=1)).sum(dim=1)
    return (weight * losses).sum() / weight.sum().clamp(min=1e-6)


def teacher_cosine(vectors: Tensor, teacher: Tensor) -> Tensor:
    """1 − cosine between unit rows; vectors' dimensions beyond the teacher's count as error.

    vectors: (n, dim); teacher: (n, teacher dim ≤ dim).
    """
    return 1 - (vectors[:, : teacher.shape[1]] * teacher).sum(dim=1).mean()


def relational(vectors: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """KL between the batch's similarity distributions, teacher to student, diagonals left out.

    vectors: (n, dim), teacher: (n, teacher dim), unit rows.
    """
    itself = torch.eye(len(vectors), dtype=torch.bool, device=vectors.device)
    wanted = (teacher @ teacher.T / temperature).masked_fill(itself, -1e4)
    got = (vectors @ vectors.T / temperature).masked_fill(itself, -1e4)
    return F.kl_div(
        got.log_softmax(dim=1), wanted.log_softmax(dim=1), reduction="batchmean", log_target=True
    )
