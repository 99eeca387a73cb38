"""Stage two: head and text tower meet. Contrastive steps over frozen trunk features.

Reads top to bottom: draw a batch, encode both sides, add up the losses, step, report. Photographs
stay known because the classifier's own answers, on real features and on stand-ins for ImageNet's
photos, must be found again among the class names' vectors.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mmsearch.pretraining.stages.prototypes import Prototypes
from mmsearch.training.losses import class_distillation, info_nce, teacher_cosine
from mmsearch.training.schedule import warmup_cosine

if TYPE_CHECKING:
    import torch

EncodeRows = Callable[["torch.Tensor"], "torch.Tensor"]
Progress = Callable[[int, dict[str, float]], None]

# Where the two inverse temperatures start: of pictures against texts, and against class names.
SCALES = (20.0, 30.0)


@dataclass(frozen=True, slots=True)
class AlignOptions:
    """The [align] section of a recipe. Weights of 0 switch a loss off."""

    steps: int
    batch: int
    learning_rate: float
    text_learning_rate: float
    weight_decay: float
    dropout: float
    average: float
    plain_share: float
    class_weight: float
    teacher_weight: float
    class_texts: int
    seed: int


@dataclass(frozen=True, slots=True)
class Pairs:
    """features float16 (m, views, width), of which `index` int64 (n,) names the rows in use;
    texts int64 (n, per picture): rows of the text table; concepts int64 (n,); weights float64
    (n,): how often a picture is drawn."""

    features: NDArray[np.float16]
    index: NDArray[np.int64]
    texts: NDArray[np.int64]
    concepts: NDArray[np.int64]
    weights: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ClassTask:
    """texts int64 (forms, classes): rows of the text table that name each class."""

    texts: NDArray[np.int64]
    prototypes: Prototypes


@dataclass(frozen=True, slots=True)
class TeacherTask:
    """Rows of the text table with the sentence encoder's vector of each, float16 (m, d)."""

    rows: NDArray[np.int64]
    vectors: NDArray[np.float16]


def align(
    head: "torch.nn.Module",
    encode: EncodeRows,
    text_parameters: Sequence["torch.nn.Parameter"],
    pairs: Pairs,
    options: AlignOptions,
    *,
    classes: ClassTask | None,
    teacher: TeacherTask | None,
    progress: Progress,
) -> float:
    """Trains `head` and `text_parameters` in place; returns the inverse temperature it learned."""
    import torch
    import torch.nn.functional as F

    torch.manual_seed(options.seed)
    rng = np.random.default_rng(options.seed)
    scales = [torch.nn.Parameter(torch.tensor(v).log()) for v in SCALES]
    trained = [*head.parameters(), *text_parameters]
    optimizer = _optimizer(head, text_parameters, scales, options)
    schedule = warmup_cosine(optimizer, steps=options.steps, warmup=max(1, options.steps // 20))
    averages = [p.detach().clone() for p in trained]
    names = ClassNamesInUse(classes, encode, options.class_texts) if classes else None
    chances = pairs.weights / pairs.weights.sum()

    for step in range(options.steps):
        chosen = rng.choice(len(chances), options.batch, p=chances)
        features = _draw_view(pairs.features, pairs.index[chosen], options.plain_share, rng)
        rows = pairs.texts[chosen, rng.integers(pairs.texts.shape[1], size=options.batch)]
        images = F.normalize(head(F.dropout(features, options.dropout)), dim=-1)
        same = _equal(pairs.concepts[chosen]) | _equal(rows)
        contrast = info_nce(images, encode(torch.from_numpy(rows)), scales[0].exp(), same)
        loss, parts = contrast, {"contrast": contrast.item()}

        if names is not None:
            stood_in = names.stand_ins(features)
            seen = torch.cat([images, F.normalize(head(stood_in), dim=-1)])
            known = names.teacher_logits(torch.cat([features, stood_in]))
            weight = torch.ones(len(seen))
            kept = class_distillation(seen, names.draw(rng), scales[1].exp(), known, weight)
            loss = loss + options.class_weight * kept
            parts["classes"] = kept.item()
        if teacher is not None:
            some = rng.integers(len(teacher.rows), size=options.batch)
            wanted = torch.from_numpy(teacher.vectors[some].astype(np.float32))
            strayed = teacher_cosine(encode(torch.from_numpy(teacher.rows[some])), wanted)
            loss = loss + options.teacher_weight * strayed
            parts["teacher"] = strayed.item()

        optimizer.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        schedule.step()
        _average(averages, trained, min(options.average, (1 + step) / (10 + step)))
        progress(step, {"loss": loss.item(), **parts})

    with torch.no_grad():
        for parameter, average in zip(trained, averages, strict=True):
            parameter.copy_(average)
    return float(scales[0].detach().exp())


class ClassNamesInUse:
    """Vectors of every class name; each draw refreshes, with gradient, some of one form's."""

    def __init__(self, task: ClassTask, encode: EncodeRows, refreshed: int) -> None:
        import torch

        self._task, self._encode, self._refreshed = task, encode, refreshed
        self._random = torch.Generator().manual_seed(0)
        with torch.no_grad():
            self._vectors = torch.stack(
                [self._encode(torch.from_numpy(form)) for form in self._task.texts]
            )

    def draw(self, rng: np.random.Generator) -> "torch.Tensor":
        """float32 (classes, dim), one way of naming every class."""
        import torch

        form = int(rng.integers(len(self._task.texts)))
        rows = self._task.texts[form]
        chosen = rng.choice(len(rows), min(self._refreshed, len(rows)), replace=False)
        fresh = self._encode(torch.from_numpy(rows[chosen]))
        self._vectors[form, chosen] = fresh.detach()
        return self._vectors[form].index_copy(0, torch.from_numpy(chosen), fresh)

    def stand_ins(self, features: "torch.Tensor") -> "torch.Tensor":
        return self._task.prototypes.draw(features, generator=self._random)

    def teacher_logits(self, features: "torch.Tensor") -> "torch.Tensor":
        return features @ self._task.prototypes.weight.T + self._task.prototypes.bias


def _optimizer(
    head: "torch.nn.Module",
    text_parameters: Sequence["torch.nn.Parameter"],
    scales: Sequence["torch.nn.Parameter"],
    options: AlignOptions,
) -> "torch.optim.AdamW":
    import torch

    matrices = [p for p in head.parameters() if p.ndim > 1]
    vectors = [p for p in head.parameters() if p.ndim < 2]
    decay = options.weight_decay
    groups = [
        {"params": matrices, "weight_decay": decay, "lr": options.learning_rate},
        {"params": [*vectors, *scales], "weight_decay": 0.0, "lr": options.learning_rate},
        {"params": list(text_parameters), "weight_decay": 0.0, "lr": options.text_learning_rate},
    ]
    return torch.optim.AdamW([g for g in groups if g["params"]])


def _draw_view(
    features: NDArray[np.float16],
    chosen: NDArray[np.int64],
    plain_share: float,
    rng: np.random.Generator,
) -> "torch.Tensor":
    """float32 (n, width): the plain view in `plain_share` of cases, any other in the rest."""
    import torch

    others = features.shape[1] - 1
    plain = (rng.random(len(chosen)) < plain_share) | (others == 0)
    views = np.where(plain, 0, 1 + rng.integers(max(1, others), size=len(chosen)))
    return torch.from_numpy(features[chosen, views].astype(np.float32))


def _equal(labels: NDArray[np.int64]) -> "torch.Tensor":
    import torch

    return torch.from_numpy(labels[:, None] == labels[None, :])


def _average(
    averages: Sequence["torch.Tensor"], trained: Sequence["torch.nn.Parameter"], keep: float
) -> None:
    import torch

    with torch.no_grad():
        for average, parameter in zip(averages, trained, strict=True):
            average.lerp_(parameter, 1 - keep)
