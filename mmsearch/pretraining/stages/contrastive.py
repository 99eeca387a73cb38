"""Contrastive training on pairs of image and text, shared by alignment and backbone tuning.

Photographs stay known because the frozen classifier's own answers, on real features and on
synthetic ones of ImageNet's classes, are distilled into the similarities to the class names.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from mmsearch.pretraining.recipe import ContrastiveStage
from mmsearch.pretraining.stages.prototypes import Prototypes
from mmsearch.training.loop import LoopOptions
from mmsearch.training.losses import class_distillation, info_nce, teacher_cosine

if TYPE_CHECKING:
    from open_clip import CLIP

Rows = NDArray[np.int64]
# Rows of the text table → float32 (n, dim), unit rows.
EncodeTexts = Callable[[Tensor], Tensor]
# Rows of the image set and their views, int64 (n,) each → features float32 (n, width), with
# gradients where the trunk is trained, and those of the frozen trunk.
ImageFeatures = Callable[[Rows, Rows, np.random.Generator], tuple[Tensor, Tensor]]

# Initial inverse temperature of class names; that of pairs is the model's logit_scale.
CLASS_SCALE = 30.0


@dataclass(frozen=True, slots=True)
class ClassTexts:
    """The names of the classifier's classes: texts int64 (prompts, classes), rows of the table."""

    texts: Rows
    prototypes: Prototypes


@dataclass(frozen=True, slots=True)
class TeacherTexts:
    """Rows of the text table, and the sentence encoder's vector of each: float16 (n, dim)."""

    rows: Rows
    vectors: NDArray[np.float16]


@dataclass(frozen=True, slots=True)
class PairData:
    """The pairs that the contrastive stages train on.

    index: int64 (n,), each image's row in the image set. texts: int64 (n, per image), rows of
    `all_texts`. concepts: int64 (n,), equal for images of one concept. weights: float64 (n,), how
    often an image is drawn. photos: int64 (p,), the positions of photographs in `index`.
    """

    index: Rows
    texts: Rows
    concepts: Rows
    weights: NDArray[np.float64]
    photos: Rows
    all_texts: Sequence[str]
    classes: ClassTexts | None
    teacher: TeacherTexts | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ContrastiveOptions:
    """Options of a step; those that only one stage has are described in the recipe.

    class_texts: class names that get gradients in a step. views: of each image. scale_rate: the
    learning rate of the inverse temperatures.
    """

    stage: ContrastiveStage
    class_texts: int
    views: int
    scale_rate: float
    seed: int
    photos: int = 0
    negatives: int = 0
    features_weight: float = 0.0


@dataclass(frozen=True, slots=True)
class ParameterGroup:
    """Parameters with a learning rate; where `decays`, matrices have weight decay."""

    rate: float
    parameters: Mapping[str, nn.Parameter]
    decays: bool = True


class ContrastiveTrainee:
    """Trains on pairs; what `run_loop` needs. A batch depends on the seed and the step alone."""

    def __init__(
        self,
        model: "CLIP",
        data: PairData,
        encode_texts: EncodeTexts,
        image_features: ImageFeatures,
        *,
        options: ContrastiveOptions,
        groups: Sequence[ParameterGroup],
    ) -> None:
        """groups: what is trained beside the inverse temperatures; all else is frozen."""
        self._model, self._data, self._options, self._stage = model, data, options, options.stage
        self._encode_texts, self._image_features = encode_texts, image_features
        self._chances = data.weights / data.weights.sum()
        self._class_scale = nn.Parameter(torch.tensor(CLASS_SCALE).log())
        self._class_vectors = None
        if data.classes is not None and self._stage.class_weight > 0:
            self._class_vectors = _ClassVectors(
                data.classes.texts, encode_texts, options.class_texts
            )
        scales = {"logit_scale": model.logit_scale, "class_scale": self._class_scale}
        self._groups = [*groups, ParameterGroup(options.scale_rate, scales, decays=False)]
        model.requires_grad_(False)
        for group in self._groups:
            for parameter in group.parameters.values():
                parameter.requires_grad_(True)
        self.eval()

    def parameter_groups(self, options: LoopOptions) -> list[dict[str, Any]]:
        """Splits the groups into parameters with and without weight decay."""
        groups = []
        for group in self._groups:
            for decays in (True, False):
                decay = options.weight_decay if decays else 0.0
                some = [
                    parameter
                    for parameter in group.parameters.values()
                    if (group.decays and parameter.ndim > 1) is decays
                ]
                if some:
                    groups.append({"params": some, "lr": group.rate, "weight_decay": decay})
        return groups

    def trained(self) -> dict[str, Tensor]:
        """Returns what training changes, by name."""
        return {name: p for group in self._groups for name, p in group.parameters.items()}

    def memory(self) -> dict[str, Tensor]:
        """Returns the class names' last vectors, of which a step renews only some."""
        return {} if self._class_vectors is None else self._class_vectors.memory()

    def recall_memory(self, tensors: Mapping[str, Tensor]) -> None:
        """Restores what `memory` returned."""
        if self._class_vectors is not None:
            self._class_vectors.recall_memory(tensors)

    def train(self) -> None:
        """Switches dropout on."""
        self._training = True

    def eval(self) -> None:
        """Switches dropout off; batch norms always keep their statistics."""
        self._training = False

    def backward(self, step: int, micro: int) -> dict[str, float]:
        """Computes the gradients of a step and returns the parts of its loss."""
        options, stage, data = self._options, self._stage, self._data
        rng = np.random.default_rng([options.seed, step, micro])
        pairs = rng.choice(len(self._chances), stage.batch, p=self._chances)
        photos = rng.choice(data.photos, min(options.photos, len(data.photos)))
        drawn = np.concatenate([pairs, photos])
        views = self._draw_views(len(drawn), rng)
        features, frozen = self._image_features(data.index[drawn], views, rng)
        images = self._embed(features)
        losses = [(1.0, "contrast", self._contrast(images[: len(pairs)], pairs, rng))]
        if self._class_vectors is not None:
            losses.append((stage.class_weight, "classes", self._class_loss(images, frozen, rng)))
        if options.features_weight > 0:
            is_photo = torch.from_numpy(np.isin(drawn, data.photos))
            drift = (1 - F.cosine_similarity(features, frozen, dim=1)) * is_photo
            mean = drift.sum() / is_photo.sum().clamp(min=1)
            losses.append((options.features_weight, "drift", mean))
        if data.teacher is not None and stage.teacher_weight > 0:
            rows = rng.integers(len(data.teacher.rows), size=stage.batch)
            target = torch.from_numpy(data.teacher.vectors[rows]).float()
            texts = self._encode_texts(torch.from_numpy(data.teacher.rows[rows]))
            losses.append((stage.teacher_weight, "teacher", teacher_cosine(texts, target)))
        total = torch.stack([weight * loss for weight, _, loss in losses]).sum()
        torch.autograd.backward(total)
        return {"loss": total.item(), **{name: loss.item() for _, name, loss in losses}}

    def _draw_views(self, count: int, rng: np.random.Generator) -> Rows:
        """Draws the plain view, 0, in `plain_share` of cases and any other in the rest."""
        others = self._options.views - 1
        plain = (rng.random(count) < self._stage.plain_share) | (others == 0)
        return np.where(plain, 0, 1 + rng.integers(max(1, others), size=count))

    def _embed(self, features: Tensor) -> Tensor:
        dropped = F.dropout(features, self._stage.dropout, training=self._training)
        return F.normalize(self._model.visual.head(dropped), dim=-1)

    def _contrast(self, images: Tensor, pairs: Rows, rng: np.random.Generator) -> Tensor:
        """Computes InfoNCE of the pairs, with further texts as negatives."""
        data = self._data
        further = rng.integers(len(data.index), size=self._options.negatives)
        drawn = np.concatenate([pairs, further])
        rows = data.texts[drawn, rng.integers(data.texts.shape[1], size=len(drawn))]
        same = _equal(data.concepts[pairs], data.concepts[drawn])
        same |= _equal(rows[: len(pairs)], rows)
        texts = self._encode_texts(torch.from_numpy(rows))
        return info_nce(images, texts, self._model.logit_scale.exp(), same)

    def _class_loss(self, images: Tensor, frozen: Tensor, rng: np.random.Generator) -> Tensor:
        """Distils the classifier's answers, on the images and on synthetic features."""
        assert self._data.classes is not None
        assert self._class_vectors is not None
        prototypes = self._data.classes.prototypes
        generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
        synthetic = prototypes.draw(frozen, generator=generator)
        vectors = torch.cat([images, self._embed(synthetic)])
        logits = prototypes.logits(torch.cat([frozen, synthetic]))
        names = self._class_vectors.draw(rng)
        return class_distillation(vectors, names, self._class_scale.exp(), logits)


class _ClassVectors:
    """Vectors of every class name; a step encodes some of them again, with gradients."""

    def __init__(self, texts: Rows, encode: EncodeTexts, renewed: int) -> None:
        """renewed: class names that a step encodes."""
        self._texts, self._encode, self._renewed = texts, encode, renewed
        self._vectors: Tensor | None = None

    def draw(self, rng: np.random.Generator) -> Tensor:
        """Returns the vectors of all classes in one prompt: float32 (classes, dim)."""
        if self._vectors is None:
            with torch.no_grad():
                self._vectors = torch.stack(
                    [self._encode(torch.from_numpy(rows)) for rows in self._texts]
                )
        prompt = int(rng.integers(len(self._texts)))
        rows = self._texts[prompt]
        chosen = rng.choice(len(rows), min(self._renewed, len(rows)), replace=False)
        vectors = self._encode(torch.from_numpy(rows[chosen]))
        self._vectors[prompt, chosen] = vectors.detach()
        return self._vectors[prompt].index_copy(0, torch.from_numpy(chosen), vectors)

    def memory(self) -> dict[str, Tensor]:
        return {} if self._vectors is None else {"class_vectors": self._vectors}

    def recall_memory(self, tensors: Mapping[str, Tensor]) -> None:
        self._vectors = tensors.get("class_vectors")


def _equal(left: Rows, right: Rows) -> Tensor:
    """Compares all pairs: bool (len(left), len(right))."""
    return torch.from_numpy(left[:, None] == right[None, :])
