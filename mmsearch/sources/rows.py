"""The interface of table files: an iterator of rows, and of those that cannot be read."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from mmsearch.sources.values import Kind


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a table.

    number: counts the data rows from 1, in JSONL the lines. place: where it is, for messages.
    """

    number: int
    place: str
    cells: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that cannot be read."""

    number: int
    reason: str


class Rows(Protocol):
    """A table file that can be iterated repeatedly."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that the file declares; JSONL declares none."""
        ...

    @property
    def kinds(self) -> Mapping[str, Kind] | None:
        """The columns' kinds if the file declares them; None if they follow from its cells."""
        ...

    @property
    def count(self) -> int | None:
        """The number of rows if the file declares it."""
        ...

    @property
    def image_columns(self) -> tuple[str, ...]:
        """The columns that hold images as bytes, which iteration leaves out."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know about how the file is read."""
        ...

    def kind_of(self, value: object) -> Kind | None:
        """Returns the kind of a cell's value; None if it is empty."""
        ...

    def __iter__(self) -> Iterator[Row | BadRow]:
        """Yields the rows. Raises InputError if the file no longer exists or is damaged."""
        ...

    def with_images(self, columns: Collection[str]) -> Iterator[Row | BadRow]:
        """Yields the rows as iteration does, with the bytes in these image columns."""
        ...


def unique_names(names: Iterable[str]) -> tuple[str, ...]:
    """Makes the names of a header unique: blanks become 'column 3', repeats 'price (2)'."""
    seen: list[str] = []
    for position, name in enumerate(names, 1):
        base = name.strip() or f"column {position}"
        unique, number = base, 1
        while unique in seen:
            number += 1
            unique = f"{base} ({number})"
        seen.append(unique)
    return tuple(seen)
