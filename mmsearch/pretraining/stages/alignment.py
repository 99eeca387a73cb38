"""Stage 2: the image head and the text tower are aligned, over frozen features of the trunk."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmsearch.pretraining.images.image_set import ImageSet
from mmsearch.pretraining.model import (
    TEXT_TOWER,
    encode_ids,
    initialise_head,
    pool_all,
    standardise_head,
    unfreeze,
)
from mmsearch.pretraining.stages.contrastive import (
    ClassTexts,
    ContrastiveOptions,
    ContrastiveTrainee,
    PairData,
    ParameterGroup,
    Rows,
    TeacherTexts,
)
from mmsearch.pretraining.stages.distillation import TeacherVectors, text_settings
from mmsearch.pretraining.stages.prototypes import fit_prototypes
from mmsearch.pretraining.stages.stage_run import Run, run_stage
from mmsearch.pretraining.text.table import TextTable, class_rows, image_rows
from mmsearch.pretraining.text.tokenizer import token_ids

# Initial inverse temperature, and open_clip's own upper bound.
INITIAL_SCALE, LARGEST_SCALE = 20.0, 100.0
# Texts whose teacher vectors the text tower must keep.
MOST_TEACHER_TEXTS = 40_000
# Prompts whose mean initialises the head.
HEAD_PROMPTS = 3


def pair_data(run: Run, images: ImageSet, teacher: TeacherVectors | None) -> PairData:
    """Samples the texts of the training images and of the classes."""
    recipe = run.recipe
    table = TextTable()
    training = images.select(images.train)
    rows = image_rows(table, training, per_image=recipe.align.texts_per_image, seed=recipe.seed)
    classes = None
    if images.classifier is not None and images.class_names is not None:
        features = torch.from_numpy(images.features[images.train, 0].astype(np.float32))
        classes = ClassTexts(
            class_rows(table, images.class_names), fit_prototypes(images.classifier, features)
        )
    teacher_texts = None
    if teacher is not None and recipe.align.teacher_weight > 0:
        rng = np.random.default_rng(recipe.seed)
        chosen = np.sort(rng.permutation(len(teacher.texts))[:MOST_TEACHER_TEXTS])
        text_rows = np.array(table.rows(teacher.texts[i] for i in chosen), dtype=np.int64)
        teacher_texts = TeacherTexts(text_rows, teacher.vectors[chosen])
    numbers: dict[str, int] = {}
    return PairData(
        index=images.train,
        texts=rows,
        concepts=np.array([numbers.setdefault(i.concept, len(numbers)) for i in training]),
        weights=np.array([image.weight for image in training]),
        photos=np.flatnonzero([image.photo for image in training]),
        all_texts=table.texts(),
        classes=classes,
        teacher=teacher_texts,
    )


class TextEncoder:
    """Encodes rows of the text table; parameters: what the recipe trains of the text tower.

    Where that is the projection alone, the frozen tower's outputs are computed once.
    """

    def __init__(self, run: Run, texts: Sequence[str]) -> None:
        self._model = run.model
        self._ids = torch.from_numpy(token_ids(run.tokenizer, list(texts)))
        self._pooled: Tensor | None = None
        self.parameters: dict[str, nn.Parameter]
        if run.recipe.align.text == "all":
            self.parameters = unfreeze(run.model, TEXT_TOWER)
        else:
            self.parameters = unfreeze(run.model, ("text_projection",))
            self._pooled = pool_all(run.model, self._ids)

    def __call__(self, rows: Tensor) -> Tensor:
        """Encodes rows, int64 (n,): float32 (n, dim), unit rows."""
        if self._pooled is None:
            return encode_ids(self._model, self._ids[rows])
        return F.normalize(self._pooled[rows] @ self._model.text_projection, dim=-1)


def align_towers(run: Run, images: ImageSet, data: PairData, encode: TextEncoder) -> list[float]:
    """Trains the image head, and what the recipe says of the text tower; returns the losses."""
    recipe, model = run.recipe, run.model
    stage = recipe.align
    head = {
        f"visual.head.{name}": parameter for name, parameter in model.visual.head.named_parameters()
    }
    torch.manual_seed(recipe.seed)
    torch.nn.init.constant_(model.logit_scale, np.log(INITIAL_SCALE))

    def image_features(rows: Rows, views: Rows, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        features = torch.from_numpy(images.features[rows, views].astype(np.float32))
        return features, features

    trainee = ContrastiveTrainee(
        model,
        data,
        encode,
        image_features,
        options=ContrastiveOptions(
            stage=stage,
            class_texts=stage.class_texts,
            views=images.features.shape[1],
            scale_rate=stage.learning_rate,
            seed=recipe.seed,
        ),
        groups=[
            ParameterGroup(stage.learning_rate, head),
            ParameterGroup(stage.text_learning_rate, encode.parameters, decays=False),
        ],
    )
    losses = run_stage(
        run,
        "align",
        trainee,
        run.loop_options(stage, weight_decay=stage.weight_decay, average=stage.ema_decay),
        # A learned vocabulary differs from run to run, and so does what a token's vector means.
        identity=[
            *text_settings(run),
            run.tokenizer.to_str(),
            stage.model_dump(),
            recipe.image.model_dump(),
            list(data.all_texts),
            [image.key for image in images.select(images.train)],
        ],
        initialise=lambda log: _initialise_head(run, images, data, encode),
    )
    with torch.no_grad():
        model.logit_scale.clamp_(max=np.log(LARGEST_SCALE))
    model.eval()
    return losses


def _initialise_head(run: Run, images: ImageSet, data: PairData, encode: TextEncoder) -> None:
    head = run.model.visual.head.mlp
    if data.classes is None or images.classifier is None:
        features = images.features[images.train, 0].astype(np.float32)
        standardise_head(head, torch.from_numpy(features))
        return
    with torch.no_grad():
        prompts = data.classes.texts[:HEAD_PROMPTS]
        vectors = torch.stack([encode(torch.from_numpy(rows)) for rows in prompts])
    initialise_head(head, images.classifier, F.normalize(vectors.mean(dim=0), dim=-1))
