"""How long work tells somebody above it how far it is, without knowing who listens."""

from typing import Protocol


class ProgressListener(Protocol):
    """Long work calls `start` once per stage, then `advance` as items are done."""

    def start(self, stage: str, total: int | None, *, device: str = "") -> None:
        """A new stage begins and ends the one before; total: items, None if not known yet."""
        ...

    def advance(self, count: int) -> None:
        """`count` more items of this stage are done."""
        ...

    def status(self, text: str) -> None:
        """How the stage fares, a loss for example; replaces what was said before."""
        ...

    def note(self, message: str) -> None:
        """One line that the user should read."""
        ...


class NullProgress:
    """A listener that shows nothing, for use as a library."""

    def start(self, stage: str, total: int | None, *, device: str = "") -> None:
        return

    def advance(self, count: int) -> None:
        return

    def status(self, text: str) -> None:
        return

    def note(self, message: str) -> None:
        return
