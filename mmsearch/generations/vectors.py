"""The stored vectors that a target's index is built from, and the queries it is tuned on."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from mmsearch.arrays import unit
from mmsearch.fusion import Fusion
from mmsearch.indexes.part_items import PartItems
from mmsearch.records import Floats, Ids, Modality, PartKind, Target
from mmsearch.store import Store
from mmsearch.store.filters import LIVE

IMAGE, TEXT = "_image_vector", "_text_vector"
COLUMNS: Mapping[Target, tuple[str, ...]] = {
    "image": (IMAGE,),
    "text": (TEXT,),
    "product": (IMAGE, TEXT),
}
HAS: Mapping[Target, str] = {
    "image": f"{IMAGE} IS NOT NULL",
    "text": f"{TEXT} IS NOT NULL",
    "product": f"({IMAGE} IS NOT NULL OR {TEXT} IS NOT NULL)",
}
PART_KINDS: Mapping[Target, PartKind] = {"image": "image", "text": "passage"}
# Vectors of each modality from which a rotation that suits both is learned.
MODALITY_ROWS = 4_096


def stored_parts(store: Store) -> dict[Target, PartItems]:
    """Returns the parts that each target's index holds instead of their items, where it has any."""
    if not store.has_parts:
        return {}
    found = {target: PartItems(*store.part_items(kind)) for target, kind in PART_KINDS.items()}
    return {target: parts for target, parts in found.items() if len(parts)}


@dataclass(frozen=True, slots=True)
class StoredVectors:
    """The vectors of a target's live rows, in re-iterable batches of float32 unit rows.

    since: only rows with this uid or a larger one. parts: of live items, which are yielded under
    their own uids in place of the items.
    """

    store: Store
    target: Target
    fusion: Fusion
    count: int
    since: int = 0
    parts: PartItems | None = None

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[tuple[Floats, Ids]]:
        where = f"{LIVE} AND _uid >= {self.since}"
        for uids, columns in self.store.vectors(COLUMNS[self.target], where):
            vectors = (
                self.fusion.products(*columns) if self.target == "product" else unit(columns[0])
            )
            present = vectors.any(axis=1)
            if self.parts is not None:
                present &= ~np.isin(uids, self.parts.distinct_items)
            if present.any():
                yield vectors[present], uids[present]
        if self.parts is not None:
            kind = PART_KINDS[self.target]
            for uids, _, vectors in self.store.part_vectors(kind, since=self.since):
                yield unit(vectors), uids


def modality_queries(
    store: Store, target: Target, fusion: Fusion, parts: Mapping[Target, PartItems]
) -> dict[str, Floats]:
    """Returns queries of each modality, sampled from the store and centred as the target needs.

    parts: as `stored_parts` returns them; they are sampled besides the items.
    """
    queries: dict[str, Floats] = {}
    named: tuple[tuple[Modality, str], ...] = (("image", IMAGE), ("text", TEXT))
    for modality, column in named:
        sample = _sampled(store, column)
        if modality in parts:
            of_parts = _sampled_parts(store, PART_KINDS[modality], len(parts[modality]))
            sample = spread(np.concatenate([sample, of_parts]), MODALITY_ROWS)
        if len(sample):
            queries[modality] = fusion.centre(sample, modality) if target == "product" else sample
    return queries


def _sampled(store: Store, column: str) -> Floats:
    """Samples up to MODALITY_ROWS unit rows evenly from the table, float32 (n, dim)."""
    step = max(1, store.count(f"{column} IS NOT NULL") // MODALITY_ROWS)
    rows: list[Floats] = [np.zeros((0, store.dim), np.float32)]
    for _, (vectors,) in store.vectors([column], f"{LIVE} AND _uid % {step} = 0"):
        rows.append(unit(vectors[vectors.any(axis=1)]))
        if sum(len(part) for part in rows) >= MODALITY_ROWS:
            break
    return np.concatenate(rows)[:MODALITY_ROWS]


def _sampled_parts(store: Store, kind: PartKind, count: int) -> Floats:
    """Samples about MODALITY_ROWS unit rows evenly from the `count` parts, float32 (n, dim)."""
    step = max(1, count // MODALITY_ROWS)
    batches = store.part_vectors(kind)
    return np.concatenate([unit(vectors[uids % step == 0]) for uids, _, vectors in batches])


def spread(rows: Floats, most: int) -> Floats:
    """Returns at most `most` of the rows, evenly spaced."""
    return rows[:: max(1, -(-len(rows) // most))]
