"""The interface of sources: an iterator of records, and of what could not be read."""

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from mmsearch.records import Failure, Record


class Source(Protocol):
    """A named source of records, whose keys start with 'name/'."""

    @property
    def name(self) -> str:
        """The name, the first part of its records' keys."""
        ...

    @property
    def root(self) -> Path:
        """The folder or file that must exist for the source to count as present."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """What was recognised, and what the last iteration skipped, for the user."""
        ...

    def __iter__(self) -> Iterator[Record | Failure]:
        """Yields records and failures, in the same order in every run over the same files.

        Records have unique keys. A failure may share its key with a later record: then a part of
        the item could not be read. Raises InputError if the root no longer exists.
        """
        ...
