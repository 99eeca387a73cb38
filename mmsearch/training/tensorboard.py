"""Optional TensorBoard logging; the extra `train` installs the package."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from mmsearch.extras import require

Show = Callable[[int, Mapping[str, float]], None]


@contextmanager
def board(folder: Path, step: int, wanted: bool) -> Iterator[Show]:
    """Yields a function that logs scalars to FOLDER/tensorboard, or does nothing if not `wanted`.

    step: the first to be logged. Raises MissingDependency if TensorBoard is wanted but missing.
    """
    if not wanted:
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
