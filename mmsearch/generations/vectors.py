"""The stored vectors that a target's index is built from, and the queries it is tuned on."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from mmsearch.arrays import unit
from mmsearch.fusion import Fusion
from mmsearch.records import Floats, Ids, Modality, Target
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
# Vectors of each modality from which a rotation that suits both is learned.
MODALITY_ROWS = 4_096


@dataclass(frozen=True, slots=True)
class StoredVectors:
    """The vectors of a target's live rows, in re-iterable batches of float32 unit rows."""

    store: Store
    target: Target
    fusion: Fusion
    count: int
    where: str = LIVE

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[tuple[Floats, Ids]]:
        for uids, columns in self.store.vectors(COLUMNS[self.target], self.where):
            vectors = (
                self.fusion.products(*columns) if self.target == "product" else unit(columns[0])
            )
            present = vectors.any(axis=1)
            if present.any():
                yield vectors[present], uids[present]


def modality_queries(store: Store, target: Target, fusion: Fusion) -> dict[str, Floats]:
    """Returns queries of each modality, sampled from the store and centred as the target needs."""
    queries: dict[str, Floats] = {}
    named: tuple[tuple[Modality, str], ...] = (("image", IMAGE), ("text", TEXT))
    for modality, column in named:
        sample = _sampled(store, column)
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


def spread(rows: Floats, most: int) -> Floats:
    """Returns at most `most` of the rows, evenly spaced."""
    return rows[:: max(1, -(-len(rows) // most))]
