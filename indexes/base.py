"""What every vector index promises: unit vectors under int64 ids, nearest by cosine first.

Also the plain types around it: what to build, how it was tuned, what is written beside it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias, get_args

from mmsearch.errors import InputError
from mmsearch.indexes.ids import IdFilter
from mmsearch.records import Floats, Ids

IndexKind: TypeAlias = Literal[
    "auto", "flat", "hnsw", "ivf-flat", "ivf-sq8", "ivf-pq", "binary", "lance"
]
# Effort is tuned for so many hits; recall is measured over them.
RECALL_AT = 10

INDEX_KINDS: tuple[str, ...] = get_args(IndexKind)


@dataclass(frozen=True, slots=True)
class IndexOptions:
    """How to build. recall: recall@10 against exact search that an approximate kind must reach.

    memory_bytes: what the index may take while it is searched; None: half of the machine's.
    """

    kind: IndexKind = "auto"
    recall: float = 0.95
    memory_bytes: int | None = None

    def __post_init__(self) -> None:
        if self.kind not in INDEX_KINDS:
            raise InputError(f"no index kind '{self.kind}'; there are {', '.join(INDEX_KINDS)}")
        if not 0 < self.recall < 1:
            raise InputError(
                f"recall must lie between 0 and 1, got {self.recall}; kind 'flat' is exact"
            )
        if self.memory_bytes is not None and self.memory_bytes <= 0:
            raise InputError(f"memory must be more than nothing, got {self.memory_bytes} bytes")


@dataclass(frozen=True, slots=True)
class EffortPoint:
    """Recall@10 at one effort, by group of queries; `lowest` ends its 95% confidence interval."""

    effort: int
    recall: Mapping[str, float]
    lowest: Mapping[str, float]
    milliseconds_per_query: float


@dataclass(frozen=True, slots=True)
class Tuning:
    """effort: nprobe, efSearch or candidates; every group's `lowest` is then at least `floor`.

    queries: how many were tried, by group. curve: ascending effort.
    """

    effort: int
    floor: float
    reached: bool
    queries: Mapping[str, int]
    curve: tuple[EffortPoint, ...]


@dataclass(frozen=True, slots=True)
class FileMark:
    """What a file is held against. checksum: BLAKE2b-128, in hex; size_bytes: its length."""

    size_bytes: int
    checksum: str


@dataclass(frozen=True, slots=True)
class IndexMeta:
    """meta.json. effort: nprobe, efSearch or candidates, 0 for exact kinds. extra: the caller's.

    count: ids held; built: how many when it was trained and tuned; changes: added or removed since.
    size_bytes, checksum: of index.faiss, as in FileMark; late: of late.faiss, None without one.
    """

    format_version: int
    kind: str
    dim: int
    count: int
    built: int
    changes: int
    effort: int
    reason: str
    tuning: Tuning | None
    faiss_version: str
    size_bytes: int
    checksum: str
    late: FileMark | None = None
    extra: Mapping[str, object] = field(default_factory=dict)


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

    def search(
        self, queries: Floats, k: int, *, allowed: IdFilter | None = None
    ) -> tuple[Floats, Ids]:
        """queries: float32 (q, dim), unit rows → similarities (q, k), ids (q, k).

        allowed: only these ids may be returned; k of them come back whenever k are held.
        Equal similarities come in ascending order of id.
        """
        ...


class VectorBatches(Protocol):
    """Vectors that may not fit in memory twice: counted, and read in batches as often as needed."""

    def __len__(self) -> int:
        """How many vectors all the batches hold together."""
        ...

    def __iter__(self) -> Iterator[tuple[Floats, Ids]]:
        """Yields vectors float32 (n, dim), unit rows, and their ids int64 (n,)."""
        ...
