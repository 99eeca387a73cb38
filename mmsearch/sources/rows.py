"""What every table format gives: its rows one at a time, and which of them cannot be read."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from mmsearch.sources.values import Kind


@dataclass(frozen=True, slots=True)
class Row:
    """number counts the data rows from 1 (lines, in JSONL); place says where, for a message."""

    number: int
    place: str
    cells: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that cannot be read; the others can."""

    number: int
    reason: str


class Rows(Protocol):
    """A table file that can be gone through again and again."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that the file declares; JSONL declares none."""
        ...

    @property
    def kinds(self) -> Mapping[str, Kind] | None:
        """The columns' types where the file declares them; None where its cells decide."""
        ...

    @property
    def count(self) -> int | None:
        """The number of rows, where the file says it."""
        ...

    @property
    def notes(self) -> tuple[str, ...]: ...

    def kind_of(self, value: object) -> Kind | None: ...

    def __iter__(self) -> Iterator[Row | BadRow]:
        """Raises InputError if the file has vanished or is damaged as a whole."""
        ...


def unique_names(names: Iterable[str]) -> tuple[str, ...]:
    """The header as names to ask for: blanks become 'column 3', repeats 'price (2)'."""
    seen: list[str] = []
    for position, name in enumerate(names, 1):
        base = name.strip() or f"column {position}"
        unique, number = base, 1
        while unique in seen:
            number += 1
            unique = f"{base} ({number})"
        seen.append(unique)
    return tuple(seen)
