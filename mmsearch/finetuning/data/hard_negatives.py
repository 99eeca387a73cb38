"""Hard negatives: what the model confuses an item with, found by our own index between epochs.

Neighbours of the same product, class or text are right answers, not hard negatives; in a batch, a
text that says nearly the same as the right one is neither right nor wrong, and is ignored.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mmsearch.dedup.tiers.texts import normalised
from mmsearch.files import replaced_file
from mmsearch.finetuning.data.training_set import UNLABELLED, TrainCatalog
from mmsearch.indexes import build_index
from mmsearch.records import Floats, Ids

# Cosine of two texts' vectors from which they may mean the same.
SAME_MEANING = 0.9
# Neighbours looked at per item and direction; most of the nearest are of its own class.
_ASKED = 100
_BLOCK = 1024


@dataclass(frozen=True, slots=True)
class HardNegatives:
    """items: int64 (n,), places in the catalog. neighbours: int64 (n, h), the same, nearest first;
    -1 where there are fewer.
    """

    items: Ids
    neighbours: Ids

    def rows_of(self, positions: Ids) -> Ids:
        """positions: int64 (m,), places in the catalog → int64 (m, h), rows of positions, or -1."""
        size = int(max(positions.max(), self.items.max(), self.neighbours.max())) + 1
        row_of = np.full(size + 1, -1, np.int64)
        row_of[positions] = np.arange(len(positions))
        rows = np.full((len(positions), self.neighbours.shape[1]), -1, np.int64)
        mined = row_of[self.items]
        # The last entry answers for -1, which stays -1.
        rows[mined[mined >= 0]] = row_of[self.neighbours][mined >= 0]
        return rows

    def save(self, path: Path) -> None:
        """Beside the checkpoint: a resumed epoch must see the same neighbours. Raises OSError."""
        with replaced_file(path) as stream:
            np.savez(stream, items=self.items, neighbours=self.neighbours)

    @classmethod
    def load(cls, path: Path) -> "HardNegatives":
        with np.load(path, allow_pickle=False) as arrays:
            return cls(arrays["items"], arrays["neighbours"])


def mine(
    catalog: TrainCatalog,
    items: Ids,
    images: Floats,
    texts: Floats,
    *,
    per_item: int = 2,
    same_meaning: float = SAME_MEANING,
) -> HardNegatives:
    """items: int64 (n,), places in the catalog. images, texts: float32 (n, dim), unit rows, of
    their pictures and first texts; rows of zeros where there is none.

    An item's hard negatives are the texts nearest to its picture and the pictures nearest to its
    text, but none of its group or class, none that shares a text, and none whose text's cosine with
    its own is same_meaning or more.
    """
    forbidden = _Right(catalog, items, texts, same_meaning)
    best: list[dict[int, float]] = [{} for _ in items]
    for queries, answers in ((images, texts), (texts, images)):
        for row, other, similarity in _nearest(queries, answers):
            if not forbidden.has(row, other):
                best[row][other] = max(similarity, best[row].get(other, -1.0))
    neighbours = np.full((len(items), per_item), -1, np.int64)
    for row, found in enumerate(best):
        order = sorted(found, key=lambda other: (-found[other], other))[:per_item]
        neighbours[row, : len(order)] = items[order]
    return HardNegatives(items, neighbours)


class _Right:
    """Which items answer each other, so that neither is a negative of the other."""

    def __init__(
        self, catalog: TrainCatalog, items: Ids, texts: Floats, same_meaning: float
    ) -> None:
        known = [catalog.items[place] for place in items.tolist()]
        self._groups = [item.group for item in known]
        self._labels = [item.label for item in known]
        self._words = [frozenset(map(normalised, item.texts)) for item in known]
        self._texts, self._same_meaning = texts, same_meaning

    def has(self, row: int, other: int) -> bool:
        label = self._labels[row]
        return (
            self._groups[row] == self._groups[other]
            or (label != UNLABELLED and label == self._labels[other])
            or not self._words[row].isdisjoint(self._words[other])
            or float(self._texts[row] @ self._texts[other]) >= self._same_meaning
        )


def _nearest(queries: Floats, answers: Floats) -> Iterator[tuple[int, int, float]]:
    """Row of queries, row of answers, cosine: the nearest that there are, itself left out."""
    asked, held = (np.flatnonzero(each.any(axis=1)) for each in (queries, answers))
    if not len(held):
        return
    index = build_index(_Rows(answers[held], held), dim=answers.shape[1])
    for start in range(0, len(asked), _BLOCK):
        rows = asked[start : start + _BLOCK]
        similarities, ids = index.search(queries[rows], min(_ASKED, len(held)))
        found = zip(rows.tolist(), similarities.tolist(), ids.tolist(), strict=True)
        for row, cosines, others in found:
            pairs = zip(others, cosines, strict=True)
            yield from ((row, at, cosine) for at, cosine in pairs if at >= 0 and at != row)


@dataclass(frozen=True, slots=True)
class _Rows:
    """float32 (n, dim) and int64 (n,), as one batch."""

    vectors: Floats
    ids: Ids

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Iterator[tuple[Floats, Ids]]:
        yield self.vectors, self.ids
