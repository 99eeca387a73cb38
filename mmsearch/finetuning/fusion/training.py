"""Trains the fusions on stored vectors, in seconds: text and picture queries must find the product.

The towers stay as they are. Late fusion's weight is chosen on the validation part; early and
attention fusion start from it and learn contrastively on the training part, losing texts and
pictures on purpose. Each look at the validation part also tries what lies between start and trained
weights (WiSE-FT, Wortsman et al. 2022, arXiv:2109.01903), as few products teach a fusion by heart.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mmsearch.errors import InputError
from mmsearch.finetuning.fusion.batches import FusionSampler
from mmsearch.finetuning.fusion.data import FusionData
from mmsearch.finetuning.fusion.modules import AttentionModule, EarlyModule, FusionModule
from mmsearch.finetuning.fusion.scores import MISSING, FusionTable, fusion_table, retrieval_score
from mmsearch.fusion import Fusion, LateFusion, shrunken_mean, tokens
from mmsearch.progress import NullProgress, ProgressListener
from mmsearch.records import Floats, FusionChoice, FusionKind, Modality
from mmsearch.training.losses import info_nce

# The picture's weights that late fusion tries.
WEIGHTS = tuple(step / 20 for step in range(21))
# How far from the start towards the trained weights each look goes.
ALPHAS = (0.25, 0.5, 0.75, 1.0)
# Validation queries of each modality that weights and stopping are chosen by.
CHOOSING_QUERIES = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class FusionOptions:
    """batch: items a step, if there are so many. early_rate, attention_rate: of learning.

    text_dropout, image_dropout: shares of the items with both that lose the one or the other.
    patience: looks at the validation part without a better one that end the training. scale: the
    inverse temperature at the start.
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
    """fusion: of the kind that was asked for, or, for 'auto', of the one that was found best.

    fusions: all kinds. val_scores: what they were chosen by, see `validation_score`. table: on the
    validation part; `fusion_table(run.fusions, test)` measures another.
    """

    fusion: Fusion
    fusions: Mapping[FusionKind, Fusion]
    val_scores: Mapping[FusionKind, float]
    table: FusionTable

    @property
    def kind(self) -> FusionKind:
        return self.fusion.kind


def train_fusion(
    wish: FusionChoice,
    train: FusionData,
    val: FusionData,
    *,
    options: FusionOptions | None = None,
    progress: ProgressListener | None = None,
) -> FusionRun:
    """All kinds are trained whatever the wish, since the table compares them. Raises InputError."""
    if train.dim != val.dim:
        raise InputError(f"train has {train.dim}-dim vectors, val {val.dim}; encode both alike")
    chosen_by = val.thinned(CHOOSING_QUERIES)
    trainer = _Trainer(train, chosen_by, options or FusionOptions(), progress or NullProgress())
    late = tune_late(estimate_means(train), chosen_by)
    fusions: dict[FusionKind, Fusion] = {
        "late": late,
        "early": trainer.early(late),
        "attention": trainer.attention(late),
    }
    scores = {kind: validation_score(fusion, chosen_by) for kind, fusion in fusions.items()}
    # Of equals the first, which is the simplest.
    best = max(scores, key=lambda kind: scores[kind])
    fusion = fusions[best if wish == "auto" else wish]
    return FusionRun(fusion, fusions, scores, fusion_table(fusions, val))


def estimate_means(data: FusionData) -> dict[Modality, Floats]:
    return {
        "image": shrunken_mean(data.images.sum(axis=0), int(data.images.any(axis=1).sum())),
        "text": shrunken_mean(data.texts.sum(axis=0), int(data.texts.any(axis=1).sum())),
    }


def silent_directions(data: FusionData, late: LateFusion) -> Floats:
    """float32 (2, dim): two unit rows along which centred pictures and texts vary least.

    What stands for a missing modality says nothing there, but takes its share of the length: items
    with one modality and items with both are then compared on one scale from the start.
    """
    image, text, has_image, has_text = tokens(data.images, data.texts, late.means)
    present = np.concatenate([image[has_image], text[has_text]]).astype(np.float64)
    _, directions = np.linalg.eigh(present.T @ present)
    return directions[:, :2].T.astype(np.float32)


def validation_score(fusion: Fusion, val: FusionData) -> float:
    """MRR with all texts and with MISSING of them, averaged."""
    some = val.without_texts(MISSING, seed=1)
    return (retrieval_score(fusion, val) + retrieval_score(fusion, some)) / 2


def tune_late(means: Mapping[Modality, Floats], val: FusionData) -> LateFusion:
    """With the weight by which the validation part is found best; of equals the one nearest 0.5."""
    tried = [LateFusion(means, weight) for weight in WEIGHTS]
    return max(tried, key=lambda f: (validation_score(f, val), -abs(f.image_weight - 0.5)))


class _Trainer:
    def __init__(
        self,
        train: FusionData,
        val: FusionData,
        options: FusionOptions,
        progress: ProgressListener,
    ) -> None:
        self._train, self._val, self._options = train, val, options
        self._progress = progress

    def early(self, late: LateFusion) -> Fusion:
        module = EarlyModule(self._train.dim, late.image_weight)
        return self._best(module, late, self._options.early_rate)

    def attention(self, late: LateFusion) -> Fusion:
        generator = torch.Generator().manual_seed(self._options.seed)
        absent = torch.from_numpy(silent_directions(self._train, late))
        module = AttentionModule(late.image_weight, absent, generator)
        return self._best(module, late, self._options.attention_rate)

    def _best(self, module: FusionModule, late: LateFusion, rate: float) -> Fusion:
        """The best on the validation part of all that training passes; the start among them."""
        options = self._options
        rng = np.random.default_rng(options.seed)
        sampler = FusionSampler(
            self._train,
            late.means,
            batch=options.batch,
            text_dropout=options.text_dropout,
            image_dropout=options.image_dropout,
        )
        log_scale = torch.nn.Parameter(torch.tensor(options.scale).log())
        optimizer = _optimizer(module, log_scale, rate, options.weight_decay)
        start = {name: value.clone() for name, value in module.state_dict().items()}
        best = module.frozen(late.means)
        best_score, best_step = validation_score(best, self._val), 0
        self._progress.start(f"training the {best.kind} fusion", options.steps)
        for step in range(1, options.steps + 1):
            batch = sampler.draw(rng)
            products = module(batch.tokens, batch.present)
            loss = info_nce(batch.queries, products, log_scale.exp(), batch.same, batch.own)
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            self._progress.advance(1)
            if step % options.look_every:
                continue
            for fusion in _between(module, start, late.means):
                score = validation_score(fusion, self._val)
                if score > best_score:
                    best, best_score, best_step = fusion, score, step
            self._progress.status(f"loss {loss.item():.3f}, validation MRR {best_score:.3f}")
            if step - best_step >= options.patience * options.look_every:
                break
        return best


def _between(
    module: FusionModule, start: Mapping[str, Tensor], means: Mapping[Modality, Floats]
) -> list[Fusion]:
    """The fusions at ALPHAS of the way from the start to what the module is now."""
    now = {name: value.clone() for name, value in module.state_dict().items()}
    found: list[Fusion] = []
    for alpha in ALPHAS:
        module.load_state_dict({name: start[name].lerp(now[name], alpha) for name in now})
        found.append(module.frozen(means))
    return found


def _optimizer(
    module: FusionModule, log_scale: torch.nn.Parameter, rate: float, weight_decay: float
) -> torch.optim.AdamW:
    """The decay pulls matrices back to late fusion; biases, the query and the scale are exempt."""
    parameters = list(module.parameters())
    matrices = [parameter for parameter in parameters if parameter.ndim > 1]
    vectors = [parameter for parameter in parameters if parameter.ndim < 2]
    groups = [
        {"params": matrices, "weight_decay": weight_decay},
        {"params": [*vectors, log_scale], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=rate)
