"""Stage one: the small text tower learns to give the sentence encoder's vectors.

Each step compares one batch of texts with the teacher's stored vectors: by cosine, and by how the
batch's texts relate to each other.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mmsearch.pretraining.model import encode_ids, trainable
from mmsearch.pretraining.text.batches import batches
from mmsearch.training.losses import relational, teacher_cosine
from mmsearch.training.schedule import warmup_cosine

if TYPE_CHECKING:
    from open_clip import CLIP

TEXT_PARTS = (
    "token_embedding",
    "positional_embedding",
    "transformer",
    "ln_final",
    "text_projection",
)
Progress = Callable[[int, dict[str, float]], None]


@dataclass(frozen=True, slots=True)
class DistillOptions:
    steps: int
    batch: int
    learning_rate: float
    relational_weight: float
    temperature: float
    seed: int


def distill_text(
    model: "CLIP",
    ids: NDArray[np.int32],
    teacher: NDArray[np.float16],
    options: DistillOptions,
    progress: Progress,
) -> None:
    """Trains the text tower in place. ids: (n, context); teacher: (n, d ≤ embed_dim) unit rows."""
    import torch

    torch.manual_seed(options.seed)
    parameters = trainable(model, TEXT_PARTS)
    optimizer = torch.optim.AdamW(parameters, options.learning_rate, weight_decay=0.01)
    schedule = warmup_cosine(optimizer, steps=options.steps, warmup=options.steps // 20)
    model.train()
    for step, rows in enumerate(batches(ids, options.steps, options.batch, options.seed)):
        wanted = torch.from_numpy(teacher[rows].astype(np.float32))
        vectors = encode_ids(model, torch.from_numpy(ids[rows].astype(np.int64)))
        cosine = teacher_cosine(vectors, wanted)
        relation = relational(vectors, wanted, options.temperature)
        loss = cosine + options.relational_weight * relation
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        progress(
            step,
            {"loss": loss.item(), "cosine": 1 - cosine.item(), "relation": relation.item()},
        )
    model.eval()
