"""The training objective: a weighted sum of losses on the embeddings of one batch.

The contrastive loss between images and texts, and terms for class titles, an auxiliary classifier,
a teacher, and the agreement of two views.
"""

import torch
from torch import Tensor, nn

from mmsearch.finetuning.options import FinetuneOptions
from mmsearch.finetuning.towers.start_model import MAX_SCALE
from mmsearch.finetuning.trainee.batches import Mixup, Targets
from mmsearch.training.losses import (
    class_cross_entropy,
    info_nce,
    sigmoid,
    similarity_kl,
    title_logits,
    view_consistency,
)

# Initial scale and bias of SigLIP (Zhai et al. 2023), for a model not trained by that loss.
_SIGMOID_SCALE, _SIGMOID_BIAS = 10.0, -10.0
_SMOOTHING = 0.1
# A teacher's inverse temperature is that of CLIP at its start (Radford et al. 2021).
_TEACHER_SCALE = 1 / 0.07


class Objective(nn.Module):
    """The losses and their own parameters: temperature, bias, auxiliary classifier."""

    def __init__(
        self, options: FinetuneOptions, *, scale: float, bias: float | None, dim: int, classes: int
    ) -> None:
        """scale, bias: the start model's; None if it was not trained by the sigmoid loss."""
        super().__init__()
        self._options = loss = options.loss
        if loss.kind == "sigmoid" and bias is None:
            scale, bias = _SIGMOID_SCALE, _SIGMOID_BIAS
        if options.model.temperature is not None:
            scale = 1 / options.model.temperature
        self.log_scale = nn.Parameter(torch.tensor(scale).log())
        self.bias = nn.Parameter(torch.tensor(bias or 0.0))
        self.bias.requires_grad_(loss.kind == "sigmoid")
        self.title_log_scale = nn.Parameter(torch.tensor(scale).log())
        self.title_log_scale.requires_grad_(classes > 1 and loss.title_weight > 0)
        self.classifier: nn.Parameter | None = None
        if loss.class_weight and classes > 1:
            generator = torch.Generator().manual_seed(options.run.seed)
            self.classifier = nn.Parameter(torch.randn(classes, dim, generator=generator))

    @property
    def scale(self) -> Tensor:
        """The inverse temperature."""
        return self.log_scale.exp().clamp(max=MAX_SCALE)

    def parts(
        self,
        images: Tensor,
        texts: Tensor,
        titles: Tensor,
        *,
        second: Tensor | None,
        targets: Targets,
    ) -> dict[str, Tensor]:
        """Returns the weighted losses by name, and their sum as 'loss'.

        images, texts, second: (b, dim), titles: (t, dim), unit rows; t is 0 without titles.
        """
        options, mixup = self._options, targets.mixup
        labels = torch.where(targets.has_image, targets.labels, -1)
        same = targets.same if mixup is None else mixup.of(targets.same)
        if options.kind == "sigmoid":
            contrast = sigmoid(
                images, texts, self.scale, self.bias, same=same, ignored=targets.ignored
            )
        else:
            contrast = info_nce(images, texts, self.scale, same, ignored=targets.ignored)
        parts = {"contrast": contrast}
        title_scale = self.title_log_scale.exp().clamp(max=MAX_SCALE)
        if len(titles) > 1 and options.title_weight:
            named = torch.where(targets.has_image, targets.title_labels, -1)
            logits = title_logits(images, titles, title_scale)
            parts["titles"] = options.title_weight * _mixed_cross_entropy(
                logits, named, mixup, smoothing=_SMOOTHING
            )
        if self.classifier is not None:
            classes = nn.functional.normalize(self.classifier, dim=-1)
            logits = title_logits(images, classes, title_scale.detach())
            parts["classes"] = options.class_weight * _mixed_cross_entropy(logits, labels, mixup)
        if targets.teacher is not None:
            # The teacher has not seen mixed images.
            both = targets.has_both if mixup is None else targets.has_both & ~mixup.is_mixed
            parts["teacher"] = options.teacher_weight * similarity_kl(
                images[both],
                texts[both],
                torch.tensor(_TEACHER_SCALE, device=images.device),
                teacher_images=targets.teacher.images[both],
                teacher_texts=targets.teacher.texts[both],
                teacher_scale=_TEACHER_SCALE,
            )
        if second is not None:
            agreement = view_consistency(images[targets.has_image], second[targets.has_image])
            parts["views"] = options.consistency_weight * agreement
        return {**parts, "loss": torch.stack(list(parts.values())).sum()}


def _mixed_cross_entropy(
    logits: Tensor, labels: Tensor, mixup: Mixup | None, *, smoothing: float = 0.0
) -> Tensor:
    """Cross-entropy against the labels of both images of a mixed one, weighted by their shares."""
    if mixup is None:
        return class_cross_entropy(logits, labels, smoothing=smoothing)
    own, other = (
        class_cross_entropy(logits, named, smoothing=smoothing, weights=weights)
        for named, weights in (
            (labels, mixup.shares),
            (labels[mixup.partners], 1 - mixup.shares),
        )
    )
    return own + other
