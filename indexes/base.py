"""What every vector index promises: unit vectors under int64 ids, nearest by cosine first."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

from mmsearch.records import Floats, Ids

IndexKind: TypeAlias = Literal["auto", "flat", "hnsw", "ivf-sq8"]


@dataclass(frozen=True, slots=True)
class IndexOptions:
    """How to build. recall: recall@10 against exact search that an approximate kind must reach."""

    kind: IndexKind = "auto"
    recall: float = 0.95


class VectorIndex(Protocol):
    """Similarities are cosines, float32, descending; ids are int64. Absent hits: -inf and -1."""

    @property
    def kind(self) -> str: ...

    @property
    def dim(self) -> int: ...

    def __len__(self) -> int: ...

    def add(self, vectors: Floats, ids: Ids) -> None:
        """vectors: float32 (n, dim), unit rows; ids: (n,), none of them present yet."""
        ...

    def remove(self, ids: Ids) -> int:
        """Removes those present and returns how many there were."""
        ...

    def search(self, queries: Floats, k: int, *, allowed: Ids | None = None) -> tuple[Floats, Ids]:
        """queries: float32 (q, dim), unit rows → similarities (q, k), ids (q, k).

        allowed: only these ids may be returned; k of them come back whenever k are held.
        """
        ...

    def save(self, folder: Path) -> None:
        """Writes index and checksum under `folder`, complete or not at all."""
        ...


class VectorBatches(Protocol):
    """Vectors that may not fit in memory twice: counted, and read in batches as often as needed."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterable[tuple[Floats, Ids]]: ...
