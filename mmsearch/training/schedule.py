"""The learning-rate schedule that both stages share."""

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def warmup_cosine(
    optimizer: "torch.optim.Optimizer", *, steps: int, warmup: int
) -> "torch.optim.lr_scheduler.LambdaLR":
    """Rises linearly over `warmup` steps, then falls along a cosine to nothing at `steps`."""
    from torch.optim.lr_scheduler import LambdaLR

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))

    return LambdaLR(optimizer, factor)
