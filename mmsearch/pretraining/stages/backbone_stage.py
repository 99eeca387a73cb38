"""Runs stage three as a recipe says: activations, training, the mix with the start."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from mmsearch.digests import digest_of_json
from mmsearch.errors import ConfigError
from mmsearch.pretraining import model
from mmsearch.pretraining.card import Mix
from mmsearch.pretraining.held_out import HeldOut
from mmsearch.pretraining.pictures.data import Picture
from mmsearch.pretraining.pictures.features import view_loader
from mmsearch.pretraining.recipe import Recipe
from mmsearch.pretraining.stages.backbone import BackboneTrainee, Material, mix_with_start
from mmsearch.pretraining.stages.text_and_align import Paired, Seen
from mmsearch.pretraining.text import vocabulary
from mmsearch.progress import ProgressListener
from mmsearch.training.activations import weights_digest
from mmsearch.training.ema import copies
from mmsearch.training.loop import LoopNames, LoopOptions, run_loop
from mmsearch.training.metrics_log import MetricsLog
from mmsearch.training.tower_split import Suffix, cached_prefix, split_tower

if TYPE_CHECKING:
    from open_clip import CLIP
    from tokenizers import Tokenizer


SCORE = "held-out nDCG"


@dataclass(frozen=True, slots=True)
class Everything:
    """All pictures, held-out ones too, and where these (int64) lie among them."""

    pictures: Sequence[Picture]
    held: NDArray[np.int64]


def tune_backbone(
    recipe: Recipe,
    clip: "CLIP",
    tokenizer: "Tokenizer",
    seen: Seen,
    paired: Paired,
    everything: Everything,
    held_out: HeldOut,
    *,
    work: Path,
    log: MetricsLog,
    progress: ProgressListener,
) -> tuple[Mix, Tensor]:
    """Trains the trunk's last blocks with head and text projection, in place.

    Returns the mix with the start that was taken, and float32 (held, dim), the unit vectors of the
    held-out pictures.

    A run that was killed goes on from its last checkpoint in the work folder. ConfigError for a
    trunk that cannot be cut, KeyboardInterrupt after a checkpoint if Ctrl-C was pressed.
    """
    assert paired.classes is not None, "the recipe's checks ask for image.weights"
    part = recipe.backbone
    halves = split_tower(clip.visual, part.blocks)
    if halves is None:
        raise ConfigError(
            f"backbone.blocks: {recipe.image.trunk!r} cannot be cut into blocks; set it to 0, or "
            "take an EfficientNet or a vision transformer"
        )
    prefix, suffix = halves
    activations = _activations(recipe, prefix, everything, work, progress)
    trainee = BackboneTrainee(
        clip,
        suffix,
        _material(clip, tokenizer, seen, paired, activations),
        paired.classes,
        paired.teacher,
        part,
        recipe.seed,
    )
    start = copies(trainee.trained())
    options = LoopOptions(
        steps=part.steps,
        learning_rate=part.learning_rate,
        weight_decay=part.weight_decay,
        average=part.average,
        validate_every=part.validate_every,
        patience=0,
        seed=recipe.seed,
        checkpoint_every=50,
        resume=True,
    )
    identity = [asdict(part), recipe.seed, weights_digest(clip)]
    folder = work / f"backbone-{digest_of_json(identity)}"
    folder.mkdir(parents=True, exist_ok=True)

    def measure() -> tuple[float, float]:
        measures = held_out.measures(embed(suffix, activations, everything.held))
        return measures.ndcg, measures.weighted_agreement

    # Its own log, which a run that goes on from a checkpoint continues.
    with MetricsLog(folder / "metrics.jsonl", resume=True) as own:
        result = run_loop(
            trainee,
            lambda: measure()[0],
            options,
            progress=progress,
            folder=folder,
            log=own,
            names=LoopNames(score=SCORE),
        )
    if result.stopped:
        progress.note(f"stopped after step {result.step:,}; the same command goes on from there")
        raise KeyboardInterrupt
    for line in (folder / "metrics.jsonl").read_text("utf-8").splitlines():
        values = json.loads(line)
        log.write(values.pop("stage"), values)
    share, swept = mix_with_start(trainee.trained(), start, measure)
    mix = Mix(share, tuple(swept))
    log.write("mix", asdict(mix))
    clip.eval().requires_grad_(False)
    return mix, embed(suffix, activations, everything.held)


def embed(
    suffix: Suffix, activations: NDArray[np.float16], rows: NDArray[np.int64], batch: int = 128
) -> Tensor:
    """float32 (rows, dim), unit rows, of the plain views."""
    parts = []
    with torch.inference_mode():
        for start in range(0, len(rows), batch):
            some = torch.from_numpy(activations[rows[start : start + batch], 0]).float()
            some = some.contiguous(memory_format=torch.channels_last)
            parts.append(F.normalize(suffix(some), dim=-1))
    return torch.cat(parts)


def _activations(
    recipe: Recipe,
    prefix: torch.nn.Module,
    everything: Everything,
    work: Path,
    progress: ProgressListener,
) -> NDArray[np.float16]:
    image, pictures = recipe.image, everything.pictures
    progress.start("activations", len(pictures))
    return cached_prefix(
        prefix,
        view_loader(pictures, size=image.size, views=image.views, seed=recipe.seed),
        count=len(pictures),
        views=image.views,
        size=image.size,
        cache=work,
        key=json.dumps([recipe.seed, [picture.key for picture in pictures]]),
        advance=progress.advance,
    )


def _material(
    clip: "CLIP",
    tokenizer: "Tokenizer",
    seen: Seen,
    paired: Paired,
    activations: NDArray[np.float16],
) -> Material:
    ids = torch.from_numpy(vocabulary.token_ids(tokenizer, list(paired.texts)))
    return Material(
        index=seen.index,
        activations=activations,
        features=seen.features,
        texts=paired.pairs.texts,
        pooled=model.pool_all(clip, ids),
        concepts=paired.pairs.concepts,
        weights=paired.pairs.weights,
        photos=np.flatnonzero([picture.photo for picture in seen.pictures]),
    )
