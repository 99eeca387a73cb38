"""The progress display of the commands, which the library shows with `progress=True` as well."""

from mmsearch.progress_display import ProgressDisplay, clock_text, rate_text

__all__ = ["ProgressDisplay", "clock_text", "rate_text"]
