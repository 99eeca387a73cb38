"""Journal of actions, synced to disk before and after each step."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from mmsearch.errors import CorruptIndex, NotFound

_PREFIX = "journal-"


class Journal:
    """Journal of one applied plan, a context manager; every line is synced before it returns."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        torn = path.exists() and path.read_bytes()[-1:] not in (b"", b"\n")
        self._file = path.open("a", encoding="utf-8")
        if torn:
            # A crash truncated the last line; new entries must not be appended to it.
            self._file.write("\n")

    @classmethod
    def begin(cls, folder: Path) -> Self:
        """Creates the journal of a new run in the store's folder."""
        numbers = [_number(path) for path in journals(folder)]
        return cls(folder / f"{_PREFIX}{max(numbers, default=0) + 1:06d}.jsonl")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()

    def write(self, state: str, step: int, facts: Mapping[str, Any]) -> None:
        """Writes an entry. state: 'begin', 'done' or 'undone'."""
        self._file.write(json.dumps({"state": state, "step": step, **facts}) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())


def journals(folder: Path) -> list[Path]:
    """Paths of a store's journals, oldest first."""
    return sorted(folder.glob(f"{_PREFIX}*.jsonl"), key=_number)


def steps_to_undo(folder: Path) -> tuple[Path, list[dict[str, Any]]]:
    """The last journal with steps in effect, including begun ones, and these, last first.

    Raises NotFound if nothing is left to undo.
    """
    for path in reversed(journals(folder)):
        standing: dict[int, dict[str, Any]] = {}
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                fact = json.loads(line)
            except ValueError:
                # Truncated by a crash before its step was taken; an undo may have written more
                # since.
                continue
            if fact["state"] == "begin":
                standing[fact["step"]] = fact
            elif fact["state"] == "undone":
                standing.pop(fact["step"], None)
        if standing:
            return path, [standing[step] for step in sorted(standing, reverse=True)]
    raise NotFound("nothing to undo: nothing has been applied here")


def _number(path: Path) -> int:
    digits = path.stem.removeprefix(_PREFIX)
    if not digits.isdigit():
        raise CorruptIndex(f"{path} is no journal of mmsearch; move it away")
    return int(digits)
