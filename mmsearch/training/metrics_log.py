"""metrics.jsonl: one line for each step of each stage, and one for the final measures."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

Report = Callable[[int, dict[str, float]], None]


class MetricsLog:
    """`with MetricsLog(file) as log:`; `losses` keeps every stage's losses for the report."""

    def __init__(self, file: Path) -> None:
        self.losses: dict[str, list[float]] = {}
        self._stream = file.open("w", encoding="utf-8")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def write(self, stage: str, values: Mapping[str, Any]) -> None:
        self._stream.write(json.dumps({"stage": stage, **values}) + "\n")
        self._stream.flush()

    def stage(self, name: str, advance: Callable[[int], None]) -> Report:
        """What a training loop calls after each step."""
        losses = self.losses.setdefault(name, [])

        def report(step: int, values: dict[str, float]) -> None:
            self.write(name, {"step": step, **{k: round(v, 5) for k, v in values.items()}})
            losses.append(values["loss"])
            advance(1)

        return report
