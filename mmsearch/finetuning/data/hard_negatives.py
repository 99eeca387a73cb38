"""Mines hard negatives: items that the model confuses, found with our own index between epochs.

Neighbours of the same product, class or text are correct answers, not hard negatives. A text that
is nearly equal to the correct one is neither and is ignored.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mmsearch.arrays import blocks
from mmsearch.dedup.tiers.texts import normalised
from mmsearch.finetuning.data.training_set import UNLABELLED, TrainingSet
from mmsearch.indexes import build_index
from mmsearch.records import Floats, Ids

# Texts of at least this cosine may mean the same.
SAME_MEANING = 0.9
# Neighbours retrieved per item and direction; most of the nearest are of the item's own class.
_NEIGHBOURS = 100
_BLOCK = 1024


@dataclass(frozen=True, slots=True)
class HardNegatives:
    """Mined neighbours of items.

    items: int64 (n,), positions in the training set. neighbours: int64 (n, h), positions, nearest
    first, padded with -1.
    """

    items: Ids
    neighbours: Ids

    def rows_of(self, positions: Ids) -> Ids:
        """Returns the neighbours of `positions`, int64 (m,), as their rows, int64 (m, h), or -1."""
        size = int(max(positions.max(), self.items.max(), self.neighbours.max())) + 1
        row_of = np.full(size + 1, -1, np.int64)
        row_of[positions] = np.arange(len(positions))
        rows = np.full((len(positions), self.neighbours.shape[1]), -1, np.int64)
        mined = row_of[self.items]
        # The last entry maps -1 to -1.
        rows[mined[mined >= 0]] = row_of[self.neighbours][mined >= 0]
        return rows


def mine(
    training_set: TrainingSet,
    items: Ids,
    images: Floats,
    texts: Floats,
    *,
    per_item: int = 2,
    same_meaning: float = SAME_MEANING,
) -> HardNegatives:
    """Returns the texts nearest to each item's image and the images nearest to its text.

    Items of the same group or class, with an equal text, or with a text of at least `same_meaning`
    cosine are excluded. items: int64 (n,), positions in the training set. images, texts: float32
    (n, dim), unit rows of their images and first texts, zeros where there is none.
    """
    known = [training_set.items[place] for place in items.tolist()]
    words = [frozenset(map(normalised, item.texts)) for item in known]

    def is_correct(row: int, other: int) -> bool:
        one, two = known[row], known[other]
        return (
            one.group == two.group
            or one.label == two.label != UNLABELLED
            or not words[row].isdisjoint(words[other])
            or float(texts[row] @ texts[other]) >= same_meaning
        )

    best: list[dict[int, float]] = [{} for _ in items]
    for queries, answers in ((images, texts), (texts, images)):
        for row, other, similarity in _nearest(queries, answers):
            if not is_correct(row, other):
                best[row][other] = max(similarity, best[row].get(other, -1.0))
    neighbours = np.full((len(items), per_item), -1, np.int64)
    for row, found in enumerate(best):
        order = sorted(found, key=lambda other: (-found[other], other))[:per_item]
        neighbours[row, : len(order)] = items[order]
    return HardNegatives(items, neighbours)


def _nearest(queries: Floats, answers: Floats) -> Iterator[tuple[int, int, float]]:
    """Yields row of `queries`, row of `answers` and cosine of the nearest neighbours."""
    queried, held = (np.flatnonzero(each.any(axis=1)) for each in (queries, answers))
    if not len(held):
        return
    index = build_index(_Rows(answers[held], held), dim=answers.shape[1])
    for block in blocks(len(queried), _BLOCK):
        rows = queried[block]
        similarities, ids = index.search(queries[rows], min(_NEIGHBOURS, len(held)))
        found = zip(rows.tolist(), similarities.tolist(), ids.tolist(), strict=True)
        for row, cosines, others in found:
            pairs = zip(others, cosines, strict=True)
            yield from ((row, at, cosine) for at, cosine in pairs if at >= 0 and at != row)


@dataclass(frozen=True, slots=True)
class _Rows:
    """Vectors, float32 (n, dim), and ids, int64 (n,), as a single batch."""

    vectors: Floats
    ids: Ids

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Iterator[tuple[Floats, Ids]]:
        yield self.vectors, self.ids
