"""What every source promises: the records of one catalog, lazily, and what could not be read."""

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from mmsearch.records import Failure, Record


class Source(Protocol):
    """A catalog under a name; record keys start with 'name/'."""

    @property
    def name(self) -> str: ...

    @property
    def root(self) -> Path:
        """The folder or file that must exist for the catalog to count as present."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know: what was recognised, and what the last iteration skipped."""
        ...

    def __iter__(self) -> Iterator[Record | Failure]:
        """In an order that does not change between runs over the same files.

        Records have unique keys. A failure may share its key with a record that comes after it:
        then a part of the item could not be read. Raises InputError if the root has vanished.
        """
        ...
