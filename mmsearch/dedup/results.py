"""Results of deduplication: groups of items with their evidence, and findings."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mmsearch.dedup.items import Item
from mmsearch.extras import require
from mmsearch.records import Floats, Ids

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

Tier: TypeAlias = Literal["bytes", "pixels", "edited", "similar", "text-same", "text-near"]
TIERS: tuple[Tier, ...] = ("bytes", "pixels", "edited", "similar", "text-same", "text-near")
# Similar images are not duplicates: they are searched only on request.
DEFAULT_TIERS: tuple[Tier, ...] = ("bytes", "pixels", "edited", "text-same", "text-near")
Family: TypeAlias = Literal["picture", "similar", "text"]
Relation: TypeAlias = Literal["exact", "same image", "edited version", "similar", "text"]
RELATIONS: tuple[Relation, ...] = ("exact", "same image", "edited version", "similar", "text")
# Relations of files that show the same image.
SAME_PICTURE: tuple[Relation, ...] = ("exact", "same image")
_RELATION_OF: dict[Tier, Relation] = {
    "bytes": "exact",
    "pixels": "exact",
    "edited": "edited version",
    "similar": "similar",
    "text-same": "text",
    "text-near": "text",
}
FindingKind: TypeAlias = Literal[
    "same product twice",
    "same picture, different text",
    "same text, different picture",
    "same product, other attributes",
    "text on the wrong picture",
    "suspicious text",
]

_COLUMNS = (
    *("group", "family", "role", "relation", "tier", "score", "key", "uri"),
    *("evidence", "reason"),
)


def relation_of(tier: Tier) -> Relation:
    """The relation that a tier implies by itself; edited copies may be other versions."""
    return _RELATION_OF[tier]


@dataclass(frozen=True, slots=True)
class Box:
    """A part of an image, as shares of its width and height from the top left."""

    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True, slots=True)
class Pair:
    """A pair of items.

    first, second: indices of items, the smaller first.
    score: higher is more similar.
    """

    first: int
    second: int
    tier: Tier
    score: float
    evidence: str


@dataclass(frozen=True, slots=True)
class SimilarPairs:
    """Pairs of similar images.

    pairs: int64 (m, 2), unique indices of items, the smaller first.
    cosines: float32 (m,), of the embeddings.
    """

    pairs: Ids
    cosines: Floats

    def __len__(self) -> int:
        return len(self.pairs)

    def __iter__(self) -> Iterator[Pair]:
        for (one, two), score in zip(self.pairs.tolist(), self.cosines.tolist(), strict=True):
            yield Pair(one, two, "similar", score, f"embeddings at cosine {score:.3f}")

    def take(self, which: Ids | NDArray[np.bool_]) -> "SimilarPairs":
        """Selects pairs by a mask or by indices."""
        return SimilarPairs(self.pairs[which], self.cosines[which])


@dataclass(frozen=True, slots=True)
class Member:
    """A duplicate in a group.

    tier, score, evidence: of its pair with the kept item, else of its strongest pair with another
        member.
    via: key of that other member, '' for the kept item.
    relation: what it is to the kept item, see docs/decisions/0010.
    changes: boxes of local changes of an edited version, in the kept image's coordinates.
    """

    item: Item
    tier: Tier
    score: float
    evidence: str
    via: str = ""
    relation: Relation = "edited version"
    changes: tuple[Box, ...] = ()


@dataclass(frozen=True, slots=True)
class Group:
    """A group of duplicates.

    kept: the item that the rules chose.
    others: the other members, in the order of the rules.
    tier: the weakest of them.
    reason: why the item is kept, for people ("whole picture, 4.1 times the detail, has EXIF").
    """

    id: str
    family: Family
    tier: Tier
    kept: Item
    others: tuple[Member, ...]
    reason: str = ""

    @property
    def items(self) -> tuple[Item, ...]:
        """All items, the kept one first."""
        return (self.kept, *(member.item for member in self.others))


@dataclass(frozen=True, slots=True)
class Finding:
    """An observation about items.

    keys, uris: of the items.
    detail: what differs, for people.
    """

    kind: FindingKind
    keys: tuple[str, ...]
    detail: str
    uris: tuple[str, ...]

    @classmethod
    def of(cls, kind: FindingKind, items: Sequence[Item], detail: str) -> "Finding":
        """Creates a finding about items."""
        keys, uris = (tuple(each) for each in zip(*((i.key, i.uri) for i in items), strict=True))
        return cls(kind, keys, detail, uris)


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Minimum scores by tier.

    source: where they come from, for people.
    at_most: upper bound of the false positive rate by tier, from a calibration (95% confidence).
    """

    edited: float
    similar: float
    text_near: float
    source: str
    at_most: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class DedupReport:
    """Report of a run.

    unread: keys of images whose files are missing, changed or damaged.
    silence: why no text on the wrong image is reported; '' if some are, or none was judged.
    """

    items: int
    groups: tuple[Group, ...]
    findings: tuple[Finding, ...]
    thresholds: Thresholds
    unread: tuple[str, ...]
    seconds: float
    silence: str = ""

    @property
    def silence_line(self) -> str:
        """The line to print if texts were judged without a finding; else ''."""
        return f"no finding on wrong texts: {self.silence}" if self.silence else ""

    def to_arrow(self) -> "pa.Table":
        """Returns a pyarrow.Table, a row per item of a group, the kept one of each first.

        Columns: group, family, role ('kept' or 'duplicate'), relation, tier, score, key, uri,
        evidence and reason; None where one does not apply.
        """
        import pyarrow as pa

        rows: list[dict[str, object]] = []
        for group in self.groups:
            shared = {"group": group.id, "family": group.family}
            rows.append({**shared, "role": "kept", "reason": group.reason, **_place(group.kept)})
            rows += [
                {
                    **shared, "role": "duplicate", "relation": member.relation,
                    "tier": member.tier, "score": member.score, "evidence": member.evidence,
                    **_place(member.item),
                }
                for member in group.others
            ]  # fmt: skip
        kinds = {"score": pa.float64()}
        schema = pa.schema([(name, kinds.get(name, pa.string())) for name in _COLUMNS])
        return pa.Table.from_pylist(rows, schema=schema)

    def to_pandas(self) -> "pd.DataFrame":
        """Returns the table of `to_arrow` as a pandas.DataFrame. Raises MissingDependency."""
        require("pandas", purpose="to_pandas()")
        return self.to_arrow().to_pandas()

    @property
    def duplicates(self) -> int:
        """Number of duplicate images besides the kept ones."""
        return sum(len(group.others) for group in self.groups if group.family == "picture")


def _place(item: Item) -> dict[str, object]:
    return {"key": item.key, "uri": item.uri}
