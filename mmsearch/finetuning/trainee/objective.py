"""What one step minimises: the losses asked for, of the vectors of one batch, in one number.

The contrast between pictures and texts leads; beside it stand class titles, a classifier, a
teacher's similarities, and the agreement of two views.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mmsearch.finetuning.options import FinetuneOptions
from mmsearch.finetuning.towers.start_model import MOST_SCALE
from mmsearch.finetuning.trainee.mixup import Mixture
from mmsearch.training.losses import (
    class_cross_entropy,
    info_nce,
    sigmoid,
    similarity_kl,
    title_logits,
    view_consistency,
)

# Where SigLIP's scale and bias begin (Zhai et al. 2023), for a model not trained by that loss.
_SIGMOID_SCALE, _SIGMOID_BIAS = 10.0, -10.0
# A teacher's similarities are made as sharp as CLIP's start (Radford et al. 2021).
TEACHER_SCALE = 1 / 0.07
_SMOOTHING = 0.1


@dataclass(frozen=True, slots=True)
class Known:
    """Vectors that a frozen model gave the batch's pictures and texts: (b, d), unit rows."""

    images: Tensor
    texts: Tensor
    scale: float


@dataclass(frozen=True, slots=True)
class Targets:
    """Of one batch of b items. same, ignored: bool (b, b), pictures by texts. labels: int64 (b,),
    -1 without; title_labels: int64 (b,), places among the titles in use. seen: bool (b,), pictures
    that are there. both: bool (b,), those with a text too. mixture: of the pictures, None if each
    is shown by itself.
    """

    same: Tensor
    ignored: Tensor
    labels: Tensor
    title_labels: Tensor
    seen: Tensor
    both: Tensor
    teacher: Known | None
    mixture: Mixture | None = None


class Objective(nn.Module):
    """The losses and what they learn of their own: temperature, bias, classifier."""

    def __init__(
        self, options: FinetuneOptions, *, scale: float, bias: float | None, dim: int, classes: int
    ) -> None:
        """scale, bias: the start model's; a bias of None where it was not trained by sigmoids."""
        super().__init__()
        self._options = options
        if options.loss == "sigmoid" and bias is None:
            scale, bias = _SIGMOID_SCALE, _SIGMOID_BIAS
        if options.temperature is not None:
            scale = 1 / options.temperature
        self.log_scale = nn.Parameter(torch.tensor(scale).log())
        self.bias = nn.Parameter(torch.tensor(bias or 0.0))
        self.bias.requires_grad_(options.loss == "sigmoid")
        self.title_log_scale = nn.Parameter(torch.tensor(scale).log())
        self.title_log_scale.requires_grad_(classes > 1 and options.title_weight > 0)
        self.classifier: nn.Parameter | None = None
        if options.class_weight and classes > 1:
            generator = torch.Generator().manual_seed(options.seed)
            self.classifier = nn.Parameter(torch.randn(classes, dim, generator=generator))

    @property
    def scale(self) -> Tensor:
        return self.log_scale.exp().clamp(max=MOST_SCALE)

    def parts(
        self,
        images: Tensor,
        texts: Tensor,
        titles: Tensor,
        second: Tensor | None,
        targets: Targets,
    ) -> dict[str, Tensor]:
        """images, texts, second: (b, dim); titles: (t, dim), unit rows, t = 0 for none.

        Each loss by name, weighted, and their sum as 'loss'.
        """
        options, mixture = self._options, targets.mixture
        labels = torch.where(targets.seen, targets.labels, -1)
        parts = {"contrast": self._contrast(images, texts, targets)}
        if len(titles) > 1 and options.title_weight:
            named = torch.where(targets.seen, targets.title_labels, -1)
            logits = title_logits(images, titles, self._title_scale)
            parts["titles"] = options.title_weight * _naming(
                logits, named, mixture, smoothing=_SMOOTHING
            )
        if self.classifier is not None:
            classes = nn.functional.normalize(self.classifier, dim=-1)
            logits = title_logits(images, classes, self._title_scale.detach())
            parts["classes"] = options.class_weight * _naming(logits, labels, mixture)
        if targets.teacher is not None:
            # What a teacher says of a mixed picture is not known.
            both = targets.both if mixture is None else targets.both & ~mixture.mixed
            strayed = _towards(targets.teacher, images, texts, both)
            parts["teacher"] = options.teacher_weight * strayed
        if second is not None:
            agreed = view_consistency(images[targets.seen], second[targets.seen])
            parts["views"] = options.consistency_weight * agreed
        return {**parts, "loss": torch.stack(list(parts.values())).sum()}

    @property
    def _title_scale(self) -> Tensor:
        return self.title_log_scale.exp().clamp(max=MOST_SCALE)

    def _contrast(self, images: Tensor, texts: Tensor, targets: Targets) -> Tensor:
        same = targets.same if targets.mixture is None else targets.mixture.of(targets.same)
        if self._options.loss == "sigmoid":
            return sigmoid(images, texts, self.scale, self.bias, same, targets.ignored)
        return info_nce(images, texts, self.scale, same, targets.ignored)


def _naming(
    logits: Tensor, labels: Tensor, mixture: Mixture | None, *, smoothing: float = 0.0
) -> Tensor:
    """A mixed picture is to be named as both that are in it, each by its share."""
    if mixture is None:
        return class_cross_entropy(logits, labels, smoothing=smoothing)
    own, other = (
        class_cross_entropy(logits, named, smoothing=smoothing, weights=weights)
        for named, weights in (
            (labels, mixture.shares),
            (labels[mixture.partners], 1 - mixture.shares),
        )
    )
    return own + other


def _towards(model: Known, images: Tensor, texts: Tensor, both: Tensor) -> Tensor:
    """At the frozen model's own sharpness, so that only similarities count."""
    return similarity_kl(
        images[both],
        texts[both],
        torch.tensor(model.scale, device=images.device),
        model.images[both],
        model.texts[both],
        model.scale,
    )
