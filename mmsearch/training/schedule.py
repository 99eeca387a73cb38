"""Learning-rate schedule: linear warm-up, then cosine decay."""

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def warmup_cosine_factor(step: int, *, steps: int, warmup: int) -> float:
    """Returns the factor on the learning rates at `step`, which counts from 0."""
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def warmup_cosine(
    optimizer: "torch.optim.Optimizer", *, steps: int, warmup: int
) -> "torch.optim.lr_scheduler.LambdaLR":
    """Returns a scheduler that rises over `warmup` steps and falls to 0 at `steps`."""
    from torch.optim.lr_scheduler import LambdaLR

    return LambdaLR(optimizer, lambda step: warmup_cosine_factor(step, steps=steps, warmup=warmup))
