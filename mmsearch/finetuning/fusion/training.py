"""Trains fusions on embeddings, in seconds: text and image queries should find the product.

The towers are frozen. Late fusion's weight is chosen on the validation split; early and attention
fusion start from it and are trained contrastively on the training split, with modality dropout.
Each validation also tries interpolations of initial and trained weights (WiSE-FT, Wortsman et al.
2022, arXiv:2109.01903), because a fusion can memorise a small number of products.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmsearch.errors import InputError, Interrupted
from mmsearch.finetuning.fusion.batches import FusionSampler
from mmsearch.finetuning.fusion.data import FusionData
from mmsearch.finetuning.fusion.modules import AttentionModule, EarlyModule, FusionModule
from mmsearch.finetuning.fusion.scores import MISSING, FusionTable, fusion_table, retrieval_score
from mmsearch.fusion import Fusion, LateFusion, shrunken_mean, tokens
from mmsearch.progress import NullProgress, ProgressListener
from mmsearch.records import Floats, FusionChoice, FusionKind, Modality
from mmsearch.training.loop import LoopNames, LoopOptions, run_loop
from mmsearch.training.losses import info_nce
from mmsearch.training.weight_interpolation import interpolate

# Image weights that late fusion tries.
WEIGHTS = tuple(step / 20 for step in range(21))
# Interpolations that each validation tries; 1 is the trained weights.
ALPHAS = (0.25, 0.5, 0.75, 1.0)
# Validation queries of each modality.
VALIDATION_QUERIES = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class FusionOptions:
    """How a fusion is trained.

    batch: items a step. early_rate, attention_rate: learning rates. text_dropout, image_dropout:
    shares of the items with both whose text or image is dropped. look_every: steps between
    validations. patience: validations without improvement before early stopping.
    scale: initial inverse temperature.
    """

    steps: int = 400
    batch: int = 512
    early_rate: float = 3e-4
    attention_rate: float = 3e-4
    weight_decay: float = 0.1
    text_dropout: float = 0.3
    image_dropout: float = 0.15
    look_every: int = 20
    patience: int = 8
    scale: float = 20.0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class FusionRun:
    """Trained fusions of all kinds.

    fusion: of the requested kind, for 'auto' the best. val_scores: see `validation_score`.
    table: on the validation split; `fusion_table(run.fusions, test)` scores another.
    """

    fusion: Fusion
    fusions: Mapping[FusionKind, Fusion]
    val_scores: Mapping[FusionKind, float]
    table: FusionTable

    @property
    def kind(self) -> FusionKind:
        """The kind of the chosen fusion."""
        return self.fusion.kind


def train_fusion(
    choice: FusionChoice,
    train: FusionData,
    val: FusionData,
    *,
    options: FusionOptions | None = None,
    progress: ProgressListener | None = None,
) -> FusionRun:
    """Trains fusions of all kinds, because the table compares them. Raises InputError."""
    if train.dim != val.dim:
        raise InputError(
            f"train has {train.dim}-dim embeddings, val {val.dim}-dim; use one encoder for both"
        )
    options, progress = options or FusionOptions(), progress or NullProgress()
    thinned = val.thinned(VALIDATION_QUERIES)
    late = tune_late(estimate_means(train), thinned)
    weight = late.image_weight
    absent = torch.from_numpy(silent_directions(train, late))
    generator = torch.Generator().manual_seed(options.seed)
    modules: dict[FusionKind, tuple[FusionModule, float]] = {
        "early": (EarlyModule(train.dim, weight), options.early_rate),
        "attention": (AttentionModule(weight, absent, generator), options.attention_rate),
    }
    fusions: dict[FusionKind, Fusion] = {"late": late}
    for kind, (module, rate) in modules.items():
        trainee = _FusionTrainee(module, train, late, options=options, progress=progress)
        fusions[kind] = trainee.fit(thinned, rate)
    scores = {kind: validation_score(fusion, thinned) for kind, fusion in fusions.items()}
    # The simplest of equal ones is the first.
    best = max(scores, key=lambda kind: scores[kind])
    fusion = fusions[best if choice == "auto" else choice]
    return FusionRun(fusion, fusions, scores, fusion_table(fusions, val))


def estimate_means(data: FusionData) -> dict[Modality, Floats]:
    """Returns the mean embedding of each modality, shrunken towards 0 for few items."""
    return {
        "image": shrunken_mean(data.images.sum(axis=0), int(data.images.any(axis=1).sum())),
        "text": shrunken_mean(data.texts.sum(axis=0), int(data.texts.any(axis=1).sum())),
    }


def silent_directions(data: FusionData, late: LateFusion) -> Floats:
    """Returns two unit rows, float32 (2, dim), along which centred embeddings vary least.

    As stand-ins for a missing modality they carry no information but contribute to the norm, so
    that items with one and with both modalities are initially on the same scale.
    """
    image, text, has_image, has_text = tokens(data.images, data.texts, late.means)
    present = np.concatenate([image[has_image], text[has_text]]).astype(np.float64)
    _, directions = np.linalg.eigh(present.T @ present)
    return directions[:, :2].T.astype(np.float32)


def validation_score(fusion: Fusion, val: FusionData) -> float:
    """Returns the mean of the MRR with all texts and without MISSING of them."""
    some = val.without_texts(MISSING, seed=1)
    return (retrieval_score(fusion, val) + retrieval_score(fusion, some)) / 2


def tune_late(means: Mapping[Modality, Floats], val: FusionData) -> LateFusion:
    """Returns late fusion with the best weight on the validation split, of equals nearest 0.5."""
    tried = [LateFusion(means, weight) for weight in WEIGHTS]
    return max(tried, key=lambda f: (validation_score(f, val), -abs(f.image_weight - 0.5)))


class _FusionTrainee:
    """Trains a fusion module from late fusion on."""

    def __init__(
        self,
        module: FusionModule,
        train: FusionData,
        late: LateFusion,
        *,
        options: FusionOptions,
        progress: ProgressListener,
    ) -> None:
        self._module, self._means = module, late.means
        self._start = {name: value.clone() for name, value in module.state_dict().items()}
        self._rng = np.random.default_rng(options.seed)
        self._options, self._progress = options, progress
        self._log_scale = torch.nn.Parameter(torch.tensor(options.scale).log())
        self._sampler = FusionSampler(
            train,
            late.means,
            batch=options.batch,
            text_dropout=options.text_dropout,
            image_dropout=options.image_dropout,
        )

    def parameter_groups(self, options: LoopOptions) -> list[dict[str, Any]]:
        """Weight decay pulls matrices towards late fusion; other parameters are exempt."""
        rate, parameters = options.learning_rate, list(self._module.parameters())
        matrices = [parameter for parameter in parameters if parameter.ndim > 1]
        vectors = [parameter for parameter in parameters if parameter.ndim < 2]
        return [
            {"params": matrices, "lr": rate, "weight_decay": options.weight_decay},
            {"params": [*vectors, self._log_scale], "lr": rate, "weight_decay": 0.0},
        ]

    def backward(self, step: int, micro: int) -> dict[str, float]:
        """See Trainee."""
        batch = self._sampler.draw(self._rng)
        products = self._module(batch.tokens, batch.present)
        scale = self._log_scale.exp()
        loss = info_nce(batch.queries, products, scale, batch.same, ignored=batch.own)
        torch.autograd.backward(loss)
        self._progress.advance(1)
        return {"loss": loss.item()}

    def trained(self) -> dict[str, Tensor]:
        """See Trainee."""
        return {**dict(self._module.named_parameters()), "log_scale": self._log_scale}

    def train(self) -> None:
        """Does nothing: a fusion has no dropout of its own."""

    def eval(self) -> None:
        """Does nothing."""

    def fit(self, val: FusionData, rate: float) -> Fusion:
        """Trains, and returns the best fusion on the validation split, the start included."""
        best = self._module.frozen(self._means)
        best_score = validation_score(best, val)
        options = self._options

        def validate() -> float:
            nonlocal best, best_score
            now = {name: value.clone() for name, value in self._module.state_dict().items()}
            for alpha in ALPHAS:
                self._module.load_state_dict(interpolate(self._start, now, alpha))
                fusion = self._module.frozen(self._means)
                if (score := validation_score(fusion, val)) > best_score:
                    best, best_score = fusion, score
            self._progress.status(f"validation MRR {best_score:.3f}")
            return best_score

        self._progress.start(f"training the {best.kind} fusion", options.steps)
        result = run_loop(
            self,
            validate,
            LoopOptions(
                steps=options.steps,
                learning_rate=rate,
                weight_decay=options.weight_decay,
                clip=0,
                average=0,
                validate_every=options.look_every,
                patience=options.patience,
                checkpoint_every=0,
                seed=options.seed,
                constant_rate=True,
            ),
            progress=NullProgress(),
            names=LoopNames(score="MRR"),
        )
        if result.stopped:
            raise Interrupted("stopped while training a fusion")
        return best
