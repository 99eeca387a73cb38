"""Stage one: the small text tower learns to give the sentence encoder's vectors.

Each step compares one batch of texts with the teacher's stored vectors: by cosine, and by how the
batch's texts relate to each other.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mmsearch.training.losses import relational, teacher_cosine
from mmsearch.training.model import encode_ids, trainable
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


def batches(
    ids: NDArray[np.int32], steps: int, batch: int, seed: int
) -> Iterator[NDArray[np.int64]]:
    """Row numbers, epoch after epoch; texts of like length share a batch, which saves padding."""
    rng = np.random.default_rng(seed)
    lengths = (ids != 0).sum(axis=1)
    given = 0
    while given < steps:
        order = rng.permutation(len(ids))
        for start in range(0, len(order), batch * 32):
            chunk = order[start : start + batch * 32]
            chunk = chunk[np.argsort(lengths[chunk], kind="stable")]
            parts = [chunk[i : i + batch] for i in range(0, len(chunk), batch)]
            for index in rng.permutation(len(parts)):
                if given < steps and len(parts[index]) > 1:
                    given += 1
                    yield parts[index]
