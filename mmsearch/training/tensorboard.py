"""TensorBoard's curves, for who asks for them: the extra `train` brings the package."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from mmsearch.extras import require

Show = Callable[[int, Mapping[str, float]], None]


@contextmanager
def board(folder: Path, step: int, wanted: bool) -> Iterator[Show]:
    """Writes under FOLDER/tensorboard from `step` on. Raises MissingDependency if it is wanted."""
    if not wanted:
        yield lambda step, values: None
        return
    require("tensorboard", extra="train", purpose="`tensorboard`")
    from torch.utils.tensorboard import SummaryWriter

    # What a killed run wrote beyond its checkpoint is hidden.
    writer = SummaryWriter(str(folder / "tensorboard"), purge_step=step or None)

    def show(step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            writer.add_scalar(name, value, step)

    try:
        yield show
    finally:
        writer.close()
