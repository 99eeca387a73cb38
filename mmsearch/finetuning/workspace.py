"""The output folder of a fine-tuning: the model, and how it was trained.

    OUT/  open_clip_config.json, open_clip_model.safetensors, tokenizer files, README.md (the card)
          report.html, outcome.json, metrics.jsonl, split.json
          work/  settings.json, checkpoints/, activations, trials: may be deleted afterwards

A stopped run is resumed in its folder, with the same settings.
"""

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from mmsearch.errors import ConfigError, InputError
from mmsearch.files import write_atomically
from mmsearch.finetuning.data import splits
from mmsearch.finetuning.options import FinetuneOptions
from mmsearch.finetuning.scoring import GeneralScore
from mmsearch.records import printable_path
from mmsearch.training.weight_interpolation import Sweep

# Settings that do not affect the weights, and may differ in a resumed run.
_RESUMABLE_CHANGES = {
    *("resume", "tensorboard", "device", "out", "trials", "checkpoint_every", "micro_batch")
}


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """What is known once the model has been written. seconds: of training."""

    steps: int
    best_step: int
    seconds: float
    sweep: Sweep
    general_start: GeneralScore
    general_tuned: GeneralScore


class Workspace:
    """Paths in an output folder; `Workspace.claim` creates it, or finds the one to resume.

    split: the saved split. report: the HTML page. metrics: of the training, as JSON Lines.
    """

    def __init__(self, out: Path) -> None:
        self.out, self.work = out, out / "work"
        self.split = out / splits.FILE_NAME
        self.report = out / "report.html"
        self.metrics = out / "metrics.jsonl"
        self._settings = self.work / "settings.json"
        self._result = self.work / "tuned.json"
        self._existed = out.exists()

    @classmethod
    def claim(cls, options: FinetuneOptions, locations: Sequence[Path]) -> "Workspace":
        """Creates the folder, or finds the one to resume.

        Raises InputError if it already exists, cannot be created, or has nothing to resume;
        ConfigError if it was started with other settings.
        """
        run = options.run
        workspace = cls(run.out or default_out(locations[0], resume=run.resume))
        settings = {
            name: str(value) if isinstance(value, Path) else value
            for name, value in options.settings().items()
        }
        settings["sources"] = [printable_path(each.absolute()) for each in locations]
        if run.resume:
            workspace._require_same(settings)
            return workspace
        out = workspace.out
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise InputError(
                f"{out} already exists; resume if a fine-tuning was stopped in it, or choose "
                "another output folder"
            )
        try:
            workspace.work.mkdir(parents=True)
            write_atomically(workspace._settings, json.dumps(settings, indent=2) + "\n")
        except OSError as error:
            raise InputError(f"cannot create {out}: {error.strerror or error}") from error
        return workspace

    def discard(self) -> None:
        """Removes the folder of a run that was refused before it began."""
        shutil.rmtree(self.work, ignore_errors=True)
        self.split.unlink(missing_ok=True)
        if not self._existed:
            self.out.rmdir()

    def save(self, result: TrainingResult) -> None:
        """Saves the result of the training."""
        write_atomically(self._result, json.dumps(asdict(result), indent=2))

    def result(self) -> TrainingResult | None:
        """Returns the saved result, None if the training has not finished."""
        if not self._result.exists():
            return None
        return TypeAdapter(TrainingResult).validate_json(self._result.read_bytes())

    def _require_same(self, settings: dict[str, Any]) -> None:
        if not self._settings.exists():
            raise InputError(
                f"{self.out} has no fine-tuning to resume; start without resume, or use the output "
                "folder of the one that was stopped"
            )
        before = json.loads(self._settings.read_text("utf-8"))
        changed = [
            f"{name} was {before.get(name)!r}, is {value!r}"
            for name, value in json.loads(json.dumps(settings)).items()
            if name not in _RESUMABLE_CHANGES and before.get(name) != value
        ]
        if changed:
            raise ConfigError(
                f"the run in {self.out} had other settings: {'; '.join(changed)}; resume with the "
                "same ones, or use another output folder"
            )


def default_out(location: Path, *, resume: bool = False) -> Path:
    """Returns 'catalog-model' in the working directory, numbered if it exists; to resume, the last.

    location: the source, after which the folder is named.
    """
    name = f"{location.absolute().stem or 'catalog'}-model"
    tried, number = Path(name), 1
    last = tried
    while tried.exists():
        number += 1
        last, tried = tried, Path(f"{name}-{number}")
    return last if resume else tried
