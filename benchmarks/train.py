"""Compares the training loop with a bare loop of open_clip's own forward pass, loss and step.

    python benchmarks/train.py --model builtin --batch 16 --steps 8 --repeats 5

Both train the whole model by InfoNCE on the same images and texts of the sample catalog, in turn,
so that other load on the machine affects both. The bare loop has its pixels and token ids in
memory; ours samples texts, averages weights, clips gradients and logs in every step, and with
`--augment` also decodes and augments new views. The ratio is of items per second, ours over the
bare loop's, from the median step of each run and the median of the repeats, in wall time and in CPU
time (which other processes affect less). The bare loop runs once with the allocator's defaults, and
once reusing freed memory as ours does. The bar is 0.95.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import open_clip
import torch

from mmsearch.finetuning.data.sampling import PLAIN_VIEW
from mmsearch.finetuning.options import FinetuneOptions
from mmsearch.finetuning.preparation import Preparation, prepare
from mmsearch.malloc_tuning import reused_memory
from mmsearch.media import MediaBounds
from mmsearch.progress import NullProgress
from mmsearch.sample import write_sample
from mmsearch.sources import SourceOptions, open_source
from mmsearch.training.loop import run_loop
from mmsearch.training.metrics_log import MetricsLog

BAR = 0.95


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", default="builtin")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--steps", type=int, default=8, help="of each repeat")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--augment", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_sample(folder / "sample")
        prepared = prepare(
            [open_source(folder / "sample", name="sample", options=SourceOptions())],
            FinetuneOptions.of(
                model=given.model,
                device=given.device,
                method="full",
                batch_size=given.batch,
                micro_batch=given.batch,
                steps=given.steps,
                augment=given.augment,
                word_dropout=0.0,
                dropout=0.0,
                title_weight=0.0,
                class_weight=0.0,
                keep_weight=0.0,
            ),
            split_file=None,
            bounds=MediaBounds(),
            progress=NullProgress(),
        )
        compare(prepared, folder, given.repeats)


def compare(prepared: Preparation, folder: Path, repeats: int) -> None:
    bare = bare_loop(prepared)
    loops = {
        "ours": reusing(our_loop(prepared, folder)),
        "bare": bare,
        "bare, reusing memory": reusing(bare),
    }
    for loop in loops.values():
        loop()
    times = [{name: loop() for name, loop in loops.items()} for _ in range(repeats)]
    for other in ("bare", "bare, reusing memory"):
        for place, name in enumerate(("wall time", "CPU time")):
            ratios = [run[other][place] / run["ours"][place] for run in times]
            shown = ", ".join(f"{ratio:.3f}" for ratio in ratios)
            middle = statistics.median(ratios)
            print(f"against {other}, {name}: ratio {middle:.3f} ({shown}); the bar is {BAR}")
    size = prepared.options.schedule.batch_size
    for name in loops:
        step = statistics.median(run[name][0] for run in times)
        print(f"{name}: {size / step:.1f} items/s")


def reusing(loop: Callable[[], tuple[float, float]]) -> Callable[[], tuple[float, float]]:
    def run() -> tuple[float, float]:
        with reused_memory():
            return loop()

    return run


class Clock:
    """Measures the wall and CPU seconds of steps, from the start of one to that of the next."""

    def __init__(self) -> None:
        self._marks: list[tuple[float, float]] = []

    def mark(self) -> None:
        self._marks.append((time.perf_counter(), time.process_time()))

    def median(self) -> tuple[float, float]:
        spans = [(b[0] - a[0], b[1] - a[1]) for a, b in pairwise(self._marks)]
        wall, cpu = (statistics.median(span[place] for span in spans) for place in (0, 1))
        return wall, cpu


def our_loop(prepared: Preparation, folder: Path) -> Callable[[], tuple[float, float]]:
    model = prepared.trainee(folder / "activations", NullProgress())
    step_of = model.backward

    def train() -> tuple[float, float]:
        clock = Clock()

        def backward(step: int, micro: int) -> dict[str, float]:
            clock.mark()
            return step_of(step, micro)

        model.backward = backward  # type: ignore[method-assign]
        options = replace(prepared.loop_options(), validate_every=0, checkpoint_every=0)
        with tempfile.TemporaryDirectory() as name, MetricsLog(Path(name) / "m.jsonl") as log:
            run_loop(model, lambda: 0.0, options, log=log, progress=NullProgress())
        return clock.median()

    return train


def bare_loop(prepared: Preparation) -> Callable[[], tuple[float, float]]:
    """Returns a loop over batches of the same items, which are ready in memory."""
    start, options = prepared.start, prepared.options
    model = start.copy().requires_grad_(True)
    # As in our loop, batch norms keep their statistics.
    model.eval()
    loss_of = open_clip.ClipLoss()
    sampler = prepared.sampler()
    views = prepared.views()
    batches = []
    for step in range(options.schedule.steps):
        draw = sampler.draw(step)
        pixels, _ = views.batch(draw.items, np.full(len(draw.items), PLAIN_VIEW))
        ids = torch.from_numpy(start.tokenizer(draw.texts).ids).to(start.device)
        batches.append((start.inputs(pixels), ids))

    def train() -> tuple[float, float]:
        clock = Clock()
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-6, fused=True)
        for images, ids in batches:
            clock.mark()
            found = model(images, ids)
            image, text, scale = found[:3] if isinstance(found, tuple) else found.values()
            loss = loss_of(image, text, scale)
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            loss.item()
        return clock.median()

    return train


if __name__ == "__main__":
    main()
