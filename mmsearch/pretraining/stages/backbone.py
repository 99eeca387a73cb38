"""Stage 3: the trunk's last blocks are tuned, at a low rate, with head and text projection.

Images enter as cached activations before those blocks. What the frozen trunk knew of photographs is
kept by three means: its classifier's answers are distilled, the drift of photographs' features is
penalised, and at the end the weights are interpolated with those from before (WiSE-FT, Wortsman et
al. 2022) as held-out images decide.
"""

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from mmsearch.arrays import blocks as slices
from mmsearch.errors import ConfigError
from mmsearch.pretraining.held_out import HeldOut, HeldOutMetrics
from mmsearch.pretraining.images.activations import cached_outputs
from mmsearch.pretraining.images.image_set import ImageSet
from mmsearch.pretraining.stages.alignment import TextEncoder
from mmsearch.pretraining.stages.contrastive import (
    ContrastiveOptions,
    ContrastiveTrainee,
    PairData,
    ParameterGroup,
    Rows,
)
from mmsearch.pretraining.stages.stage_run import Run, run_stage
from mmsearch.training.activations import weights_digest
from mmsearch.training.ema import copies, load
from mmsearch.training.tower_split import Suffix, split_tower
from mmsearch.training.weight_interpolation import (
    Sweep,
    SweepScore,
    Weights,
    interpolate,
    sweep,
)

# Shares of the tuned weights that are tried.
ALPHAS = (0.0, 0.25, 0.5, 0.75, 1.0)
# Share of the initial agreement with the trunk's classifier that must be kept.
KEPT_SHARE = 0.99
CHECKPOINT_EVERY = 50
# Images per pass without gradients.
_BATCH = 128


def tune_backbone(
    run: Run, images: ImageSet, data: PairData, encode: TextEncoder, *, held_out: HeldOut
) -> tuple[Sweep, HeldOutMetrics]:
    """Tunes the model in place; returns how its weights were chosen, and their metrics.

    Raises ConfigError for a trunk that cannot be split into blocks.
    """
    recipe, model = run.recipe, run.model
    stage = recipe.backbone
    halves = split_tower(model.visual, stage.blocks)
    if halves is None:
        raise ConfigError(
            f"backbone.blocks: {recipe.image.trunk!r} cannot be split into blocks; set it to 0, or "
            "use an EfficientNet or a vision transformer"
        )
    prefix, suffix = halves
    run.progress.start("activations", len(images.images))
    activations = cached_outputs(
        prefix, images.images, recipe=recipe, cache=run.work, progress=run.progress
    )
    identity = [stage.model_dump(), recipe.seed, weights_digest(model)]
    trainee = backbone_trainee(run, images, data, encode, suffix=suffix, activations=activations)
    trained, start = trainee.trained(), copies(trainee.trained())

    def measure() -> HeldOutMetrics:
        return held_out.measure(embed(suffix, activations, images.held_out))

    run_stage(
        run,
        "backbone",
        trainee,
        run.loop_options(
            stage,
            weight_decay=stage.weight_decay,
            average=stage.ema_decay,
            validate_every=stage.validate_every,
            patience=0,
            checkpoint_every=CHECKPOINT_EVERY,
        ),
        identity=identity,
        validate=lambda: measure().ndcg,
        score_name="held-out nDCG",
    )

    def evaluate(weights: Weights) -> SweepScore:
        load(trained, weights)
        metrics = measure()
        return SweepScore(metrics.ndcg, metrics.weighted_agreement)

    tuned = copies(trained)
    found = sweep(start, tuned, evaluate, alphas=ALPHAS, refinement=0, kept_share=KEPT_SHARE)
    load(trained, interpolate(start, tuned, found.chosen.alpha))
    model.eval().requires_grad_(False)
    return found, measure()


def backbone_trainee(
    run: Run,
    images: ImageSet,
    data: PairData,
    encode: TextEncoder,
    *,
    suffix: Suffix,
    activations: NDArray[np.float16],
) -> ContrastiveTrainee:
    """Makes the trainee: the suffix of the trunk, the head and the text projection.

    activations: float16 (n, views, channels, side, side), the prefix's of all images.
    """
    stage, model = run.recipe.backbone, run.model
    # Batch norms are frozen: their statistics are those of photographs.
    norms = {
        id(parameter)
        for module in model.visual.trunk.modules()
        if isinstance(module, nn.modules.batchnorm._BatchNorm)
        for parameter in module.parameters(recurse=False)
    }
    own = {id(parameter) for parameter in suffix.parameters()} - norms
    visual = {f"visual.{name}": p for name, p in model.visual.named_parameters()}
    head = {name: p for name, p in visual.items() if name.startswith("visual.head.")}
    blocks = {name: p for name, p in visual.items() if id(p) in own and name not in head}

    def image_features(rows: Rows, views: Rows, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Computes the suffix's features; half of the activations are mirrored."""
        known = torch.from_numpy(images.features[rows, views]).float()
        inputs = torch.from_numpy(activations[rows, views]).float()
        mirrored = torch.from_numpy(rng.random(len(rows)) < 0.5)[:, None, None, None]
        inputs = torch.where(mirrored, inputs.flip(-1), inputs)
        return suffix.features(inputs.contiguous(memory_format=torch.channels_last)), known

    return ContrastiveTrainee(
        model,
        data,
        encode,
        image_features,
        options=ContrastiveOptions(
            stage=stage,
            class_texts=data.classes.texts.shape[1] if data.classes else 0,
            views=images.features.shape[1],
            scale_rate=stage.head_learning_rate,
            seed=run.recipe.seed,
            photos=stage.photos,
            negatives=stage.negatives,
            features_weight=stage.features_weight,
        ),
        groups=[
            ParameterGroup(stage.learning_rate, blocks),
            ParameterGroup(stage.head_learning_rate, head),
            ParameterGroup(stage.text_learning_rate, encode.parameters),
        ],
    )


@torch.inference_mode()
def embed(suffix: Suffix, activations: NDArray[np.float16], rows: Rows) -> Tensor:
    """Encodes the plain views of some images: float32 (len(rows), dim), unit rows."""
    vectors = []
    for part in slices(len(rows), _BATCH):
        inputs = torch.from_numpy(activations[rows[part], 0]).float()
        inputs = inputs.contiguous(memory_format=torch.channels_last)
        vectors.append(F.normalize(suffix(inputs), dim=-1))
    return torch.cat(vectors)
