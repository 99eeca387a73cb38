"""Progress reporting from long-running work to a listener."""

from typing import Protocol


class ProgressListener(Protocol):
    """Receives progress: `start` once per stage, then `advance` as items are done."""

    def start(self, stage: str, total: int | None, *, device: str = "") -> None:
        """Begins a stage and ends the previous one. total: items, None if not known yet."""
        ...

    def advance(self, count: int) -> None:
        """Reports that `count` more items of this stage are done."""
        ...

    def status(self, text: str) -> None:
        """Shows the state of the stage, such as a loss, in place of the previous one."""
        ...

    def note(self, message: str) -> None:
        """Reports a line that the user should read."""
        ...


class NullProgress:
    """A listener that shows nothing."""

    def start(self, stage: str, total: int | None, *, device: str = "") -> None:
        """Does nothing."""

    def advance(self, count: int) -> None:
        """Does nothing."""

    def status(self, text: str) -> None:
        """Does nothing."""

    def note(self, message: str) -> None:
        """Does nothing."""
