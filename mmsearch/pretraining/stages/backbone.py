"""Stage three: the trunk's last blocks learn too, at a low rate, with the head and the projection.

Pictures enter as the cached activations before those blocks. What the frozen trunk knew of
photographs is held by three things: its own answers must be found again among the class names'
vectors, photos' features must stay where they were, and at the end the weights are mixed with those
from before (WiSE-FT, Wortsman et al. 2022) as far as held-out pictures say.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from mmsearch.pretraining.recipe import Backbone
from mmsearch.pretraining.stages.align import SCALES, ClassTask, TeacherTask
from mmsearch.training.ema import copies, load
from mmsearch.training.loop import LoopOptions
from mmsearch.training.losses import class_distillation, info_nce, teacher_cosine
from mmsearch.training.tower_split import Suffix

if TYPE_CHECKING:
    from open_clip import CLIP

# How much of the start is mixed in is tried in these steps.
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
# A mix may lose this share of the start's agreement with the trunk's own classifier.
MAY_LOSE = 0.01


@dataclass(frozen=True, slots=True)
class Material:
    """What the stage learns from, row by row of `index` int64 (n,), which names rows of the tables.

    activations float16 (m, views, channels, side, side); features float16 (m, views, width): the
    frozen trunk's; texts int64 (n, per picture) and pooled float32 (all texts, text width): what
    the text projection is given; concepts int64 (n,); weights float64 (n,); photos int64 (p,):
    the rows that are photographs.
    """

    index: NDArray[np.int64]
    activations: NDArray[np.float16]
    features: NDArray[np.float16]
    texts: NDArray[np.int64]
    pooled: Tensor
    concepts: NDArray[np.int64]
    weights: NDArray[np.float64]
    photos: NDArray[np.int64]


class BackboneTrainee:
    """What `run_loop` trains: each step's batch hangs on the seed and the step alone."""

    def __init__(
        self,
        clip: "CLIP",
        suffix: Suffix,
        material: Material,
        classes: ClassTask,
        teacher: TeacherTask | None,
        options: Backbone,
        seed: int,
    ) -> None:
        self._suffix, self._projection = suffix, clip.text_projection
        self._material, self._classes, self._teacher = material, classes, teacher
        self._options, self._seed = options, seed
        self._class_scale = nn.Parameter(torch.tensor(SCALES[1]).log())
        self._scale = clip.logit_scale
        clip.requires_grad_(False)
        head = dict(clip.visual.head.named_parameters(prefix="head"))
        blocks = {
            f"{name}.{kind}": parameter
            for name, module in clip.visual.trunk.named_modules(prefix="trunk")
            # Batch norms stand still: their statistics are those of photographs.
            if not isinstance(module, nn.modules.batchnorm._BatchNorm)
            for kind, parameter in module.named_parameters(recurse=False)
        }
        own = {id(parameter) for parameter in suffix.parameters()}
        self._groups: list[tuple[float, dict[str, nn.Parameter]]] = [
            (options.learning_rate, {n: p for n, p in blocks.items() if id(p) in own}),
            (options.head_learning_rate, head),
            (options.text_learning_rate, {"text_projection": clip.text_projection}),
            (options.head_learning_rate, {"scale": self._scale, "classes": self._class_scale}),
        ]
        for _, parameters in self._groups:
            for parameter in parameters.values():
                parameter.requires_grad_(True)
        self.eval()

    def parameter_groups(self, options: LoopOptions) -> list[dict[str, Any]]:
        groups = []
        for rate, named in self._groups:
            for decays in (True, False):
                some = [p for p in named.values() if (p.ndim > 1) is decays]
                decay = options.weight_decay if decays else 0.0
                if some:
                    groups.append({"params": some, "lr": rate, "weight_decay": decay})
        return groups

    def trained(self) -> dict[str, Tensor]:
        return {name: p for _, named in self._groups for name, p in named.items()}

    def train(self) -> None:
        self._training = True

    def eval(self) -> None:
        self._training = False

    def backward(self, step: int, micro: int) -> dict[str, float]:
        options, material = self._options, self._material
        rng = np.random.default_rng([self._seed, step, micro])
        chances = material.weights / material.weights.sum()
        pairs = rng.choice(len(chances), options.batch, p=chances)
        photos = rng.choice(material.photos, min(options.photos, len(material.photos)))
        activations, known = self._views(np.concatenate([pairs, photos]), rng)
        features = self._suffix.features(activations)
        images = self._embed(features)
        parts = {"contrast": self._contrast(images[: len(pairs)], pairs, rng)}
        parts["classes"] = self._class_loss(images, known, rng)
        is_photo = torch.from_numpy(np.isin(np.concatenate([pairs, photos]), material.photos))
        stayed = F.cosine_similarity(features, known, dim=1)
        parts["moved"] = ((1 - stayed) * is_photo).sum() / is_photo.sum().clamp(min=1)
        if self._teacher is not None:
            parts["teacher"] = self._teacher_loss(self._teacher, rng)
        weights = {
            "classes": options.class_weight,
            "moved": options.features_weight,
            "teacher": options.teacher_weight,
        }
        loss = torch.stack([weights.get(name, 1.0) * part for name, part in parts.items()]).sum()
        torch.autograd.backward(loss)
        return {"loss": loss.item(), **{name: part.item() for name, part in parts.items()}}

    def _views(self, chosen: NDArray[np.int64], rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Activations float32 (n, channels, side, side), half of them mirrored, and the frozen
        trunk's features float32 (n, width) of the same views."""
        material = self._material
        others = material.activations.shape[1] - 1
        plain = (rng.random(len(chosen)) < self._options.plain_share) | (others == 0)
        views = np.where(plain, 0, 1 + rng.integers(max(1, others), size=len(chosen)))
        rows = material.index[chosen]
        activations = torch.from_numpy(material.activations[rows, views]).float()
        mirrored = torch.from_numpy(rng.random(len(chosen)) < 0.5)[:, None, None, None]
        activations = torch.where(mirrored, activations.flip(3), activations)
        known = torch.from_numpy(material.features[rows, views]).float()
        return activations.contiguous(memory_format=torch.channels_last), known

    def _embed(self, features: Tensor) -> Tensor:
        dropped = F.dropout(features, self._options.dropout, training=self._training)
        return F.normalize(self._suffix.head(dropped), dim=-1)

    def _encode(self, rows: NDArray[np.int64]) -> Tensor:
        return F.normalize(self._material.pooled[torch.from_numpy(rows)] @ self._projection, dim=-1)

    def _contrast(
        self, images: Tensor, pairs: NDArray[np.int64], rng: np.random.Generator
    ) -> Tensor:
        """InfoNCE of the pairs, with further texts that are nobody's."""
        material = self._material
        others = rng.integers(len(material.index), size=self._options.negatives)
        told = np.concatenate([pairs, others])
        rows = material.texts[told, rng.integers(material.texts.shape[1], size=len(told))]
        same = _equal(material.concepts[pairs], material.concepts[told])
        same |= _equal(rows[: len(pairs)], rows)
        return info_nce(images, self._encode(rows), self._scale.exp(), same)

    def _class_loss(self, images: Tensor, known: Tensor, rng: np.random.Generator) -> Tensor:
        """The classifier's answers, on pictures and on stand-ins for ImageNet's photos."""
        prototypes = self._classes.prototypes
        chance = torch.Generator().manual_seed(int(rng.integers(2**31)))
        stood_in = prototypes.draw(known, generator=chance)
        seen = torch.cat([images, self._embed(stood_in)])
        answers = torch.cat([known, stood_in]) @ prototypes.weight.T + prototypes.bias
        names = self._encode(self._classes.texts[int(rng.integers(len(self._classes.texts)))])
        scale = self._class_scale.exp()
        return class_distillation(seen, names, scale, answers, torch.ones(len(seen)))

    def _teacher_loss(self, teacher: TeacherTask, rng: np.random.Generator) -> Tensor:
        some = rng.integers(len(teacher.rows), size=self._options.batch)
        wanted = torch.from_numpy(teacher.vectors[some]).float()
        return teacher_cosine(self._encode(teacher.rows[some]), wanted)


def mix_with_start(
    weights: Mapping[str, Tensor],
    start: Mapping[str, Tensor],
    measure: Callable[[], tuple[float, float]],
    shares: Sequence[float] = SHARES,
) -> tuple[float, list[tuple[float, float, float]]]:
    """Leaves in `weights` the best mix (1 − share) · start + share · tuned, and returns its share
    and (share, recall, agreement) of all.

    measure: the recall and the agreement with the trunk's classifier of the weights as they are.
    Best is the highest recall among those that keep the start's agreement but for MAY_LOSE.
    """
    tuned, swept = copies(weights), []
    for share in shares:
        load(weights, _mixed(start, tuned, share))
        swept.append((share, *measure()))
    floor = next(agreement for share, _, agreement in swept if share == 0) * (1 - MAY_LOSE)
    best = max((s for s in swept if s[2] >= floor), key=lambda s: s[1])[0]
    load(weights, _mixed(start, tuned, best))
    return best, swept


def _mixed(
    start: Mapping[str, Tensor], tuned: Mapping[str, Tensor], share: float
) -> dict[str, Tensor]:
    return {name: start[name].lerp(tuned[name], share) for name in start}


def _equal(left: NDArray[np.int64], right: NDArray[np.int64]) -> Tensor:
    return torch.from_numpy(left[:, None] == right[None, :])
