"""The folder that a fine-tuning makes: the model itself, and beside it how it came about.

    OUT/  open_clip_config.json, open_clip_model.safetensors, tokenizer files, README.md (the card)
          report.html, outcome.json, metrics.jsonl, split.json
          work/  settings.json, checkpoints/, activations, trials: may be removed once it is done

A run that was stopped resumes in its folder with `resume`, which needs the same settings.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mmsearch.errors import ConfigError, InputError
from mmsearch.files import write_atomically
from mmsearch.finetuning.data import split_file
from mmsearch.finetuning.options import FinetuneOptions
from mmsearch.finetuning.scoring.general import GeneralScore
from mmsearch.records import printable_path
from mmsearch.training.weight_interpolation import Sweep, SweepPoint, SweepScore

# What may differ from the run that is resumed: it changes no weight.
_NO_MATTER = ("resume", "tensorboard", "device", "out", "trials", "checkpoint_every", "micro_batch")


@dataclass(frozen=True, slots=True)
class Tuned:
    """What is known once the model has been written. seconds: of training."""

    steps: int
    best_step: int
    seconds: float
    sweep: Sweep
    general_start: GeneralScore
    general_tuned: GeneralScore


class Workspace:
    """`Workspace.claim(options, …)` makes the folder or finds the one to resume."""

    def __init__(self, out: Path) -> None:
        self.out, self.work = out, out / "work"

    @classmethod
    def claim(cls, options: FinetuneOptions, locations: Sequence[Path]) -> "Workspace":
        """Raises InputError if the folder is taken, cannot be made, or holds nothing to resume;
        ConfigError if it was begun with other settings."""
        space = cls(options.out or default_out(locations[0], resume=options.resume))
        settings = {
            **_plain(options),
            "sources": [printable_path(each.absolute()) for each in locations],
        }
        if options.resume:
            space._require_same(settings)
            return space
        if space.out.exists() and (not space.out.is_dir() or any(space.out.iterdir())):
            raise InputError(
                f"{space.out} is there already; use `resume=True` if a fine-tuning was stopped in "
                "it, or name another `out`"
            )
        try:
            space.work.mkdir(parents=True)
            write_atomically(space._settings, json.dumps(settings, indent=2) + "\n")
        except OSError as error:
            raise InputError(f"{space.out} cannot be made: {error.strerror or error}") from error
        return space

    @property
    def split(self) -> Path:
        return self.out / split_file.FILE_NAME

    @property
    def report(self) -> Path:
        return self.out / "report.html"

    @property
    def metrics(self) -> Path:
        return self.out / "metrics.jsonl"

    @property
    def _settings(self) -> Path:
        return self.work / "settings.json"

    @property
    def _tuned(self) -> Path:
        return self.work / "tuned.json"

    def save(self, tuned: Tuned) -> None:
        """After the weights, whose presence it vouches for."""
        write_atomically(self._tuned, json.dumps(asdict(tuned), indent=2) + "\n")

    def tuned(self) -> Tuned | None:
        """What an interrupted run had come to, if it had written its model."""
        if not self._tuned.exists():
            return None
        found = json.loads(self._tuned.read_text("utf-8"))
        sweep = found.pop("sweep")
        return Tuned(
            sweep=Sweep(
                [_point(each) for each in sweep["points"]],
                _point(sweep["chosen"]),
                sweep["kept_share"],
            ),
            general_start=GeneralScore(**found.pop("general_start")),
            general_tuned=GeneralScore(**found.pop("general_tuned")),
            **found,
        )

    def _require_same(self, settings: dict[str, Any]) -> None:
        if not self._settings.exists():
            raise InputError(
                f"{self.out} holds no fine-tuning to resume; leave `resume` out, or name the `out` "
                "of the one that was stopped"
            )
        then = json.loads(self._settings.read_text("utf-8"))
        now = json.loads(json.dumps(settings))
        changed = [
            f"{name} was {then.get(name)!r}, is {value!r}"
            for name, value in now.items()
            if name not in _NO_MATTER and then.get(name) != value
        ]
        if changed:
            raise ConfigError(
                f"the run in {self.out} had other settings: {'; '.join(changed)}; resume with the "
                "same ones, or name another `out`"
            )


def default_out(location: Path, *, resume: bool = False) -> Path:
    """'catalog-model' in the working directory, with a number if that is taken; to resume, the
    last one."""
    name = f"{location.absolute().stem or 'catalog'}-model"
    tried, number = Path(name), 1
    last = tried
    while tried.exists():
        number += 1
        last, tried = tried, Path(f"{name}-{number}")
    return last if resume else tried


def _point(found: dict[str, Any]) -> SweepPoint:
    return SweepPoint(found["alpha"], SweepScore(**found["score"]))


def _plain(options: FinetuneOptions) -> dict[str, Any]:
    values = asdict(options)
    return {
        name: str(value) if isinstance(value, Path) else value for name, value in values.items()
    }
