"""What callers pass as `progress` becomes a listener."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeAlias

from mmsearch.progress import NullProgress, ProgressListener

Progress: TypeAlias = ProgressListener | bool | None


@contextmanager
def listening(progress: Progress) -> Iterator[ProgressListener]:
    """True shows stages and notes on stderr until the block ends, None and False nothing."""
    if progress is True:
        from mmsearch.progress_display import ProgressDisplay

        with ProgressDisplay() as display:
            yield display
    else:
        yield progress or NullProgress()
