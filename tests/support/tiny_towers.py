"""Two small towers on made-up pairs: a real trainee, quick enough to be killed and run again.

`python -m tests.support.tiny_towers FOLDER WEIGHTS [--die-at STEP]` trains it as a process of its
own, under torchrun as one of several.
"""

import argparse
import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

from mmsearch.progress import NullProgress
from mmsearch.training.distributed import gather_rows, process_group, ranks
from mmsearch.training.loop import LoopOptions, LoopResult, run_loop
from mmsearch.training.losses import info_nce
from mmsearch.training.metrics_log import MetricsLog

PAIRS, WIDTH, DIM, BATCH = 96, 12, 6, 16
OPTIONS = LoopOptions(
    steps=24, learning_rate=5e-2, average=0.9, validate_every=8, checkpoint_every=5, seed=3
)


class Towers(nn.Module):
    """Remembers how often each pair was drawn, and weighs the loss by it: hidden state."""

    def __init__(self) -> None:
        super().__init__()
        made = torch.Generator().manual_seed(1)
        self.images = torch.randn(PAIRS, WIDTH, generator=made)
        self.texts = self.images @ torch.randn(WIDTH, WIDTH, generator=made)
        self.image_tower, self.text_tower = _tower(made), _tower(made)
        self.scale = nn.Parameter(torch.tensor(2.0))
        self.drawn = torch.zeros(PAIRS)
        self.before_step: Callable[[int], None] = lambda step: None
        # As a loaded model is: only the loop switches its dropout on.
        self.eval()

    def parameter_groups(self, options: LoopOptions) -> list[dict[str, Any]]:
        matrices = [p for p in self.parameters() if p.ndim > 1]
        others = [p for p in self.parameters() if p.ndim < 2]
        rate = options.learning_rate
        return [
            {"params": matrices, "lr": rate, "weight_decay": options.weight_decay},
            {"params": others, "lr": rate / 2, "weight_decay": 0.0},
        ]

    def backward(self, step: int, micro: int) -> dict[str, float]:
        self.before_step(step)
        chosen = self.batch(step, micro)
        here = ranks()
        own = chosen.chunk(here.world)[here.rank]
        images, texts = self.encode(self.images[own], self.texts[own])
        seen = 1 + 0.01 * self.drawn[chosen].mean()
        self.drawn[chosen] += 1
        loss = seen * info_nce(
            gather_rows(images), gather_rows(texts), self.scale.exp(), torch.eye(len(chosen)) > 0
        )
        torch.autograd.backward(loss)
        return {"loss": loss.item()}

    def batch(self, step: int, micro: int) -> Tensor:
        order = torch.randperm(PAIRS, generator=torch.Generator().manual_seed(100 * step + micro))
        return order[:BATCH]

    def encode(self, images: Tensor, texts: Tensor) -> tuple[Tensor, Tensor]:
        dropped = images if ranks().world > 1 else F.dropout(images, 0.1, self.training)
        return F.normalize(self.image_tower(dropped)), F.normalize(self.text_tower(texts))

    def trained(self) -> dict[str, Tensor]:
        return dict(self.named_parameters())

    def memory(self) -> dict[str, Tensor]:
        return {"drawn": self.drawn}

    def recall_memory(self, tensors: Mapping[str, Tensor]) -> None:
        self.drawn = tensors["drawn"].clone()

    @torch.no_grad()
    def recall_at_1(self) -> float:
        images, texts = self.encode(self.images, self.texts)
        return float(((texts @ images.T).argmax(dim=1) == torch.arange(PAIRS)).float().mean())


def _tower(made: torch.Generator) -> nn.Sequential:
    tower = nn.Sequential(nn.Linear(WIDTH, 8), nn.GELU(), nn.Linear(8, DIM))
    with torch.no_grad():
        for parameter in tower.parameters():
            parameter.copy_(0.3 * torch.randn(parameter.shape, generator=made))
    return tower


def train(towers: Towers, folder: Path, options: LoopOptions) -> LoopResult:
    folder.mkdir(parents=True, exist_ok=True)
    with MetricsLog(folder / "metrics.jsonl", resume=options.resume) as log:
        return run_loop(
            towers, towers.recall_at_1, options, folder=folder, log=log, progress=NullProgress()
        )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--die-at", type=int)
    given = parser.parse_args()
    torch.set_num_threads(1)
    towers = Towers()
    if given.die_at is not None:
        towers.before_step = lambda step: _die() if step == given.die_at else None
    with process_group("cpu") as here:
        alone = here.world == 1
        options = OPTIONS if alone else replace(OPTIONS, average=0.0, validate_every=0)
        train(towers, given.folder, options)
        if here.first:
            save_file(towers.trained(), given.weights)
    assert not _workers(), "a thread of the process group would outlive the interpreter"


def _workers() -> list[str]:
    names = [each.read_text().strip() for each in Path("/proc/self/task").glob("*/comm")]
    return [name for name in names if "gloo" in name]


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()
