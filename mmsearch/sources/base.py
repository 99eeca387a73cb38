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

    def __iter__(self) -> Iterator[Record | Failure]:
        """In an order that does not change between runs over the same files."""
        ...
