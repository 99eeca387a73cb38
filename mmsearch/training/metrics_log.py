"""Training metrics: JSON Lines with each step and each validation, and optionally TensorBoard."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from mmsearch.extras import require
from mmsearch.files import write_atomically

Show = Callable[[int, Mapping[str, float]], None]


class MetricsLog:
    """A metrics file that is open for writing; `losses` holds the loss of each step by stage."""

    def __init__(self, file: Path, *, resume: bool = False) -> None:
        """resume: append to what an interrupted run wrote."""
        self.losses: dict[str, list[float]] = {}
        self._file = file
        self._stream = file.open("a" if resume else "w", encoding="utf-8")
        if resume:
            self._rewrite(read_metrics(file))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def write(self, stage: str, values: Mapping[str, Any]) -> None:
        """Appends a line."""
        self._stream.write(json.dumps({"stage": stage, **values}) + "\n")
        self._stream.flush()

    def step(self, stage: str, step: int, values: Mapping[str, float]) -> None:
        """Appends a training step. values: the parts of the loss, 'loss' among them."""
        self.write(stage, {"step": step, **{k: round(v, 5) for k, v in values.items()}})
        self.losses.setdefault(stage, []).append(values["loss"])

    def forget(self, stage: str, step: int) -> None:
        """Removes the lines of a stage from `step` on, which is about to be repeated."""
        lines = read_metrics(self._file)
        kept = [line for line in lines if line["stage"] != stage or line.get("step", -1) < step]
        if len(kept) < len(lines):
            self._rewrite(kept)

    def _rewrite(self, lines: list[dict[str, Any]]) -> None:
        self._stream.close()
        write_atomically(self._file, "".join(json.dumps(line) + "\n" for line in lines))
        self._stream = self._file.open("a", encoding="utf-8")
        self.losses = {}
        for line in lines:
            if "loss" in line:
                self.losses.setdefault(line["stage"], []).append(line["loss"])


def read_metrics(file: Path) -> list[dict[str, Any]]:
    """Returns the lines of a metrics file, without a last line that was cut short."""
    lines: list[dict[str, Any]] = []
    for text in file.read_text("utf-8").splitlines():
        try:
            lines.append(json.loads(text))
        except json.JSONDecodeError:
            break
    return lines


@contextmanager
def board(folder: Path, step: int, enabled: bool) -> Iterator[Show]:
    """Yields a function that logs scalars to FOLDER/tensorboard, or does nothing if not `enabled`.

    step: the first to be logged. Raises MissingDependency if TensorBoard is enabled but missing.
    """
    if not enabled:
        yield lambda step, values: None
        return
    require("tensorboard", extra="train", purpose="`tensorboard`")
    from torch.utils.tensorboard import SummaryWriter

    # Hides what a killed run logged after its last checkpoint.
    writer = SummaryWriter(str(folder / "tensorboard"), purge_step=step or None)

    def show(step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            writer.add_scalar(name, value, step)

    try:
        yield show
    finally:
        writer.close()
