"""What a stage of training made, kept in the work folder: its tensors and its curve in one file.

The file's name is a digest of all that the stage hangs on, so a second run, or one after a kill,
takes the weights again and writes the same lines into its own metrics.jsonl.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mmsearch.files import replaced_file
from mmsearch.training.metrics_log import MetricsLog, Report

if TYPE_CHECKING:
    from open_clip import CLIP

Line = tuple[str, int, dict[str, float]]


class StageRecord:
    """Passes a stage's steps on to the log, and keeps them."""

    def __init__(self, log: MetricsLog) -> None:
        self._log = log
        self.lines: list[Line] = []

    def stage(self, name: str, advance: Callable[[int], None]) -> Report:
        """What a training loop calls after each step."""

        def report(step: int, values: dict[str, float]) -> None:
            self.lines.append((name, step, values))
            self._log.step(name, step, values)
            advance(1)

        return report


def remember_stage(file: Path, clip: "CLIP", prefixes: Sequence[str], record: StageRecord) -> None:
    """Writes the parameters under `prefixes`; the file appears only when it is whole."""
    from safetensors.torch import save

    parts = {
        name: parameter.detach().contiguous()
        for name, parameter in clip.named_parameters()
        if name.startswith(tuple(prefixes))
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    with replaced_file(file) as stream:
        stream.write(save(parts, metadata={"curve": json.dumps(record.lines)}))


def recall_stage(file: Path, clip: "CLIP", log: MetricsLog) -> bool:
    """Puts what `remember_stage` wrote into model and log; False if there is no such file."""
    from safetensors import safe_open
    from safetensors.torch import load_file

    if not file.exists():
        return False
    clip.load_state_dict(load_file(file), strict=False)
    with safe_open(file, "pt") as stored:
        metadata = stored.metadata()
    for name, step, values in json.loads(metadata["curve"]):
        log.step(name, step, values)
    return True
