"""Texts on the wrong picture: a picture among pictures that are all described otherwise.

An item's picture is compared with the pictures of those whose text is like its own, and with those
of the text that its neighbours in image space agree on. Where the second are nearer by far more
than is usual in this catalog, the other text fits better. No labels are needed: texts that say much
the same stand together, and a catalog's own spread (median, median absolute deviation) decides what
is unusual.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mmsearch.indexes import IndexOptions, build_index
from mmsearch.records import Floats, Ids

# Fewer items say nothing about what is usual.
FEWEST_ITEMS = 30
# Robust standard deviations, chosen on one draw of swapped texts, tried on others (docs/dedup.md).
OUTLYING = 3.5
_IMAGES_ASKED, _TEXTS_ASKED = 100, 64
_VOTERS = 20
# Cosine of text vectors from which two texts describe the same thing; where a text has fewer such
# kin than this, the nearest so many.
_KIN, _FEWEST_KIN = 0.85, 5
# How fast a neighbour's vote falls with its distance, as a cosine.
_VOTE_WIDTH = 0.1
_COMPARED = 3
_BLOCK = 512
# Standard deviations in a median absolute deviation, for normal values.
_DEVIATION = 1.4826


@dataclass(frozen=True, slots=True)
class Misplaced:
    """rows, better: int64 (m,): whose text seems wrong, and an item whose text fits better.

    own, other: float32 (m,), how near the picture is to those of either text, cosines. outlying:
    float32 (m,), in robust standard deviations. Most outlying first.
    """

    rows: Ids
    better: Ids
    own: Floats
    other: Floats
    outlying: Floats


def find_misplaced(images: Floats, texts: Floats, *, outlying: float = OUTLYING) -> Misplaced:
    """images, texts: float32 (n, dim), unit rows: the two vectors of each item."""
    if len(images) < FEWEST_ITEMS:
        none = np.zeros(0, np.float32)
        return Misplaced(np.zeros(0, np.int64), np.zeros(0, np.int64), none, none, none)
    near = _neighbours(images, _IMAGES_ASKED)
    alike, alikeness = _neighbours(texts, _TEXTS_ASKED)
    least = np.minimum(_KIN, alikeness[:, min(_FEWEST_KIN, alikeness.shape[1]) - 1])
    parts = [
        _block(rows, images, texts, near, (alike, alikeness), least)
        for rows in _blocks(len(images))
    ]
    better, own, other = (np.concatenate(column) for column in zip(*parts, strict=True))
    margin = other - own
    middle = np.median(margin)
    spread = _DEVIATION * np.median(np.abs(margin - middle))
    unusual = (margin - middle) / max(float(spread), 1e-6)
    rows = np.flatnonzero((unusual >= outlying) & (margin > 0))
    rows = rows[np.argsort(-unusual[rows], kind="stable")]
    return Misplaced(rows, better[rows], own[rows], other[rows], unusual[rows].astype(np.float32))


def _block(
    rows: Ids,
    images: Floats,
    texts: Floats,
    near: tuple[Ids, Floats],
    alike: tuple[Ids, Floats],
    least: Floats,
) -> tuple[Ids, Floats, Floats]:
    """The neighbour whose other text fits each row best, how near its own and that one's lie."""
    neighbours, nearness = near[0][rows], near[1][rows]
    said = texts[neighbours]
    kin = (said @ texts[rows, :, None])[:, :, 0] >= least[rows, None]
    own = _kin_nearness(rows, images, nearness, alike, least, kin)
    voters = said[:, :_VOTERS]
    agreeing = voters @ voters.transpose(0, 2, 1) >= least[neighbours[:, :_VOTERS], None]
    votes = np.exp((nearness[:, :_VOTERS] - nearness[:, :1]) / _VOTE_WIDTH)
    counts = np.einsum("nab,nb->na", agreeing, votes)
    counts[kin[:, :_VOTERS]] = -1
    every = np.arange(len(rows))
    best = neighbours[every, counts.argmax(axis=1)]
    chosen = (said @ texts[best, :, None])[:, :, 0] >= least[best, None]
    shown = np.where(chosen & ~kin, nearness, nearness[:, -1:])
    return best, own, _highest(shown)


def _kin_nearness(
    rows: Ids,
    images: Floats,
    nearness: Floats,
    alike: tuple[Ids, Floats],
    least: Floats,
    kin: NDArray[np.bool_],
) -> Floats:
    """How near the pictures of a row's own kind of text lie, float32 (r,).

    kin: bool (r, k), which of its neighbours in image space have a text of its kind.
    """
    among = np.where(kin, nearness, -1)
    beyond = np.einsum("nkd,nd->nk", images[alike[0][rows]], images[rows])
    # Those among the neighbours were seen already.
    unseen = (alike[1][rows] >= least[rows, None]) & (beyond < nearness[:, -1:])
    return _highest(np.concatenate([among, np.where(unseen, beyond, -1)], axis=1))


def _highest(values: Floats) -> Floats:
    highest: Floats = -np.partition(-values, _COMPARED - 1, axis=1)[:, :_COMPARED]
    mean: Floats = highest.mean(axis=1)
    return mean


def _neighbours(vectors: Floats, k: int) -> tuple[Ids, Floats]:
    """The k nearest other rows of each row: int64 and float32 (n, k), nearest first."""
    index = build_index(_Rows(vectors), dim=vectors.shape[1], options=IndexOptions())
    k = min(k, len(vectors) - 1)
    found = [_others(*index.search(vectors[rows], k + 1), rows) for rows in _blocks(len(vectors))]
    ids, similarities = (np.concatenate(column) for column in zip(*found, strict=True))
    return ids, similarities


def _others(similarities: Floats, ids: Ids, rows: Ids) -> tuple[Ids, Floats]:
    """Without the asking row itself; where equal ones crowded it out, without the last."""
    own = ids == rows[:, None]
    own[~own.any(axis=1), -1] = True
    shape = (len(rows), ids.shape[1] - 1)
    return ids[~own].reshape(shape), similarities[~own].reshape(shape)


def _blocks(count: int) -> Iterator[Ids]:
    for start in range(0, count, _BLOCK):
        yield np.arange(start, min(start + _BLOCK, count))


@dataclass(frozen=True, slots=True)
class _Rows:
    vectors: Floats

    def __len__(self) -> int:
        return len(self.vectors)

    def __iter__(self) -> Iterator[tuple[Floats, Ids]]:
        for rows in _blocks(len(self.vectors)):
            yield self.vectors[rows], rows
