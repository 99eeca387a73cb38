"""The interface of vector indexes: unit vectors under int64 ids, searched by cosine similarity.

Also the types of its build options, its tuning curve and its metadata on disk.
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
LANCE: IndexKind = "lance"
# The number of hits for which effort is tuned and recall is measured.
RECALL_AT = 10

INDEX_KINDS: tuple[str, ...] = get_args(IndexKind)


@dataclass(frozen=True, slots=True)
class IndexOptions:
    """How to build an index.

    recall: the recall@10 against exact search that an approximate kind must reach.
    memory_bytes: the memory that a search may take; None: half of the machine's.
    """

    kind: IndexKind = "auto"
    recall: float = 0.95
    memory_bytes: int | None = None

    def __post_init__(self) -> None:
        if self.kind not in INDEX_KINDS:
            raise InputError(
                f"unknown index kind '{self.kind}'; use one of {', '.join(INDEX_KINDS)}"
            )
        if not 0 < self.recall < 1:
            raise InputError(
                f"recall must be between 0 and 1, got {self.recall}; kind 'flat' is exact"
            )
        if self.memory_bytes is not None and self.memory_bytes <= 0:
            raise InputError(f"memory must be positive, got {self.memory_bytes} bytes")


@dataclass(frozen=True, slots=True)
class EffortPoint:
    """Recall@10 at one effort, by group of queries.

    lowest: the lower end of the 95% confidence interval of each recall.
    """

    effort: int
    recall: Mapping[str, float]
    lowest: Mapping[str, float]
    milliseconds_per_query: float


@dataclass(frozen=True, slots=True)
class Tuning:
    """The result of tuning the effort of a search.

    effort: the chosen nprobe, efSearch or number of candidates. floor: the recall requested;
    reached: whether every group's `lowest` is at least that. queries: how many were used, by
    group. curve: by ascending effort.
    """

    effort: int
    floor: float
    reached: bool
    queries: Mapping[str, int]
    curve: tuple[EffortPoint, ...]


@dataclass(frozen=True, slots=True)
class FileMark:
    """The length and checksum of a file. checksum: BLAKE2b-128, in hex."""

    size_bytes: int
    checksum: str


@dataclass(frozen=True, slots=True)
class IndexMeta:
    """The content of meta.json.

    count: ids in the index; built: ids when it was trained and tuned; changes: ids added or
    removed since. effort: nprobe, efSearch or candidates, 0 for exact kinds. size_bytes, checksum:
    of index.faiss, as in FileMark; late: of late.faiss, which holds appended rows, None without
    one. extra: JSON values of the caller.
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
    """An index of unit vectors.

    Similarities are cosines, float32, descending; ids are int64. Missing hits are -inf and -1.
    """

    @property
    def kind(self) -> str:
        """The kind of index, such as 'flat' or 'ivf-sq8'."""
        ...

    @property
    def dim(self) -> int:
        """The number of dimensions of its vectors."""
        ...

    def __len__(self) -> int: ...

    def add(self, vectors: Floats, ids: Ids) -> None:
        """Adds vectors, float32 (n, dim), unit rows, under ids, (n,), that are not present yet."""
        ...

    def remove(self, ids: Ids) -> int:
        """Removes the ids that are present and returns how many those were."""
        ...

    def search(
        self, queries: Floats, k: int, *, allowed: IdFilter | None = None
    ) -> tuple[Floats, Ids]:
        """Searches queries, float32 (q, dim), unit rows → similarities (q, k), ids (q, k).

        allowed: the only ids that may be returned; k of them are whenever k are in the index.
        Equal similarities come in ascending order of id.
        """
        ...


class VectorBatches(Protocol):
    """Vectors in batches that can be read repeatedly, since they may not fit in memory twice."""

    def __len__(self) -> int:
        """The number of vectors in all batches."""
        ...

    def __iter__(self) -> Iterator[tuple[Floats, Ids]]:
        """Yields vectors float32 (n, dim), unit rows, and their ids int64 (n,)."""
        ...
