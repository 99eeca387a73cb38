"""Plans a fine-tuning without training: what would be trained, and how long it would take."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from mmsearch.finetuning.data.views import ImageViews
from mmsearch.finetuning.options import FinetuneOptions, Method
from mmsearch.finetuning.preparation import Preparation, prepare
from mmsearch.finetuning.towers.image_tower import FrozenTower, split_image_tower
from mmsearch.finetuning.trainee.trainee import rehearsal_batch
from mmsearch.finetuning.workspace import default_out
from mmsearch.media import MediaBounds
from mmsearch.progress import NullProgress, ProgressListener
from mmsearch.sources import Source

# A training step costs about three forward passes: one forward, and a backward pass of two; one
# more where the batch is encoded in chunks (gradient caching).
_STEP_PASSES = 3
_TIMED_IMAGES, _TIMED_PASSES = 32, 3


@dataclass(frozen=True, slots=True)
class FinetunePlan:
    """What a fine-tuning would do. seconds: estimated by timing a few images on this machine."""

    folder: Path
    counts: Mapping[str, int]
    split: Mapping[str, int]
    method: Method
    steps: int
    batch_size: int
    learning_rate: float
    device: str
    seconds: float
    notes: Sequence[str]


def plan(
    sources: Sequence[Source],
    options: FinetuneOptions,
    *,
    bounds: MediaBounds | None = None,
    progress: ProgressListener | None = None,
) -> FinetunePlan:
    """Plans a fine-tuning; writes nothing. Raises what `finetune` does."""
    prepared = prepare(
        sources,
        options,
        split_file=None,
        bounds=bounds or MediaBounds(),
        progress=progress or NullProgress(),
    )
    schedule = prepared.options.schedule
    seconds = _estimated_seconds(prepared)
    if prepared.refits:
        seconds += _estimated_seconds(prepared.for_refit(prepared.start.weights()))
    return FinetunePlan(
        options.run.out or default_out(sources[0].root),
        prepared.counts(),
        prepared.split_sizes(),
        prepared.options.model.method,
        schedule.steps,
        schedule.batch_size,
        schedule.learning_rate,
        prepared.device.name,
        seconds,
        (*prepared.training_set.notes, *prepared.split.notes),
    )


def _estimated_seconds(prepared: Preparation) -> float:
    """Estimates the training time from passes through the image tower."""
    options = prepared.options
    schedule, train = options.schedule, len(prepared.split.train)
    frozen, trained = _seconds_per_image(prepared)
    views = 1 + (options.data.views if options.data.augment else 0)
    cached = 0 if options.model.method == "full" else train * views
    rehearsed = rehearsal_batch(options) if options.loss.rehearses else 0
    images = schedule.runs * schedule.steps * (schedule.batch_size + rehearsed)
    passes = _STEP_PASSES + (schedule.batch_size > schedule.micro_batch)
    validation = (frozen + trained) * len(prepared.split.val)
    return frozen * cached + trained * passes * images + validation


def _seconds_per_image(prepared: Preparation) -> tuple[float, float]:
    """Times the frozen part of the image tower, with decoding, and the trained part."""
    start, options = prepared.start, prepared.options.model
    known, train = prepared.training_set.items, prepared.split.train
    items = np.resize(np.array([at for at in train.tolist() if known[at].image]), _TIMED_IMAGES)
    views = ImageViews(prepared.training_set, start.preprocessing, bounds=prepared.bounds)
    frozen, parts = FrozenTower(start, options), split_image_tower(options, start.model.visual)
    times = []
    # The first pass is slower than the others.
    for _ in range(_TIMED_PASSES):
        began = time.monotonic()
        pixels, _ = views.batch(items, np.arange(_TIMED_IMAGES))
        with torch.inference_mode():
            activations = frozen.activations(pixels)
            middle = time.monotonic()
            parts.head(parts.features(activations))
        times.append((middle - began, time.monotonic() - middle))
    before, after = np.min(times, axis=0) / _TIMED_IMAGES
    return float(before), float(after)
