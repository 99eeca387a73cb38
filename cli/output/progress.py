"""The progress display of the commands; notes of the library name options here."""

from mmsearch import progress_display
from mmsearch.cli.parameters import with_options
from mmsearch.progress_display import clock_text, rate_text

__all__ = ["ProgressDisplay", "clock_text", "rate_text"]


class ProgressDisplay(progress_display.ProgressDisplay):
    """Shows the progress of a command: `with ProgressDisplay(quiet=…) as progress:`."""

    def note(self, message: str) -> None:
        """Prints a note of the library, with options for its parameters."""
        super().note(with_options(message))
