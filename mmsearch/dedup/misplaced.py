"""Texts on the wrong picture: a picture among pictures that are all described otherwise.

An item's picture is compared with the pictures of those whose text is like its own, and with those
of the text that its neighbours in image space agree on. Where the second are nearer by far more
than is usual in this catalog, the other text fits better. No labels are needed: texts that say much
the same stand together, and a catalog's own spread (median, median absolute deviation) decides what
is unusual.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mmsearch.dedup.kept import keep, read_kept
from mmsearch.dedup.nearest_rows import BLOCK, NearestRows
from mmsearch.records import Floats, Ids

# Fewer items say nothing about what is usual.
FEWEST_ITEMS = 30
# Robust standard deviations, chosen on one draw of swapped texts, tried on others (docs/dedup.md).
OUTLYING = 3.5
_IMAGES_ASKED, _TEXTS_ASKED = 100, 64
# Of what is kept: another one where other neighbours are looked at.
_VERSION = 1
# So many rows' neighbours take 260 MB.
MOST_KEPT = 200_000
_VOTERS = 20
# Cosine of text vectors from which two texts describe the same thing; where a text has fewer such
# kin than this, the nearest so many.
_KIN, _FEWEST_KIN = 0.85, 5
# How fast a neighbour's vote falls with its distance, as a cosine.
_VOTE_WIDTH = 0.1
_COMPARED = 3
# Of a block, whose rows are each marked against all rows.
_BLOCK_BYTES = 2**26
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


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Each row's nearest others by picture and by text, as far as they are looked at."""

    images: NearestRows
    texts: NearestRows

    @classmethod
    def of(cls, uids: Ids, images: Floats, texts: Floats) -> "Neighbours":
        """uids: int64 (n,), ascending, n of at least FEWEST_ITEMS. images, texts: float32 (n, dim),
        unit rows."""
        return cls(
            NearestRows.of(uids, images, _IMAGES_ASKED), NearestRows.of(uids, texts, _TEXTS_ASKED)
        )

    def updated(self, uids: Ids, images: Floats, texts: Floats) -> "Neighbours":
        """The same for these rows; a uid that is known has the vectors that it had."""
        return Neighbours(
            self.images.updated(uids, images, _IMAGES_ASKED),
            self.texts.updated(uids, texts, _TEXTS_ASKED),
        )

    @classmethod
    def load(cls, path: Path, setting: str) -> "Neighbours | None":
        """setting: what the vectors of a uid hang on besides."""
        parts = read_kept(path, f"{_VERSION} {setting}")
        if parts is None:
            return None
        return cls(
            *(
                NearestRows(
                    parts["uids"], parts[f"{of}_near"].astype(np.int64), parts[f"{of}_similarities"]
                )
                for of in ("images", "texts")
            )
        )

    def save(self, path: Path, setting: str) -> None:
        keep(
            path,
            f"{_VERSION} {setting}",
            uids=self.images.uids,
            images_near=self.images.near.astype(np.int32),
            images_similarities=self.images.similarities,
            texts_near=self.texts.near.astype(np.int32),
            texts_similarities=self.texts.similarities,
        )


def find_misplaced(
    images: Floats,
    texts: Floats,
    neighbours: Neighbours | None = None,
    *,
    outlying: float = OUTLYING,
) -> Misplaced:
    """images, texts: float32 (n, dim), unit rows: the two vectors of each item. neighbours: theirs,
    where they are known already."""
    if len(images) < FEWEST_ITEMS:
        none = np.zeros(0, np.float32)
        return Misplaced(np.zeros(0, np.int64), np.zeros(0, np.int64), none, none, none)
    neighbours = neighbours or Neighbours.of(np.arange(len(images)), images, texts)
    near = neighbours.images.near, neighbours.images.similarities
    alike, alikeness = neighbours.texts.near, neighbours.texts.similarities
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
    kin = _says_so(rows, neighbours, texts, alike, least)
    own = _kin_nearness(rows, images, nearness, alike, least, kin)
    voters = texts[neighbours[:, :_VOTERS]]
    agreeing = voters @ voters.transpose(0, 2, 1) >= least[neighbours[:, :_VOTERS], None]
    votes = np.exp((nearness[:, :_VOTERS] - nearness[:, :1]) / _VOTE_WIDTH)
    counts = np.einsum("nab,nb->na", agreeing, votes)
    counts[kin[:, :_VOTERS]] = -1
    every = np.arange(len(rows))
    best = neighbours[every, counts.argmax(axis=1)]
    chosen = _says_so(best, neighbours, texts, alike, least)
    shown = np.where(chosen & ~kin, nearness, nearness[:, -1:])
    return best, own, _highest(shown)


def _says_so(
    asked: Ids, others: Ids, texts: Floats, alike: tuple[Ids, Floats], least: Floats
) -> NDArray[np.bool_]:
    """Which of the others, int64 (r, k), have a text of the kind of the asked, int64 (r,)."""
    near = alike[1][asked] >= least[asked, None]
    named = np.zeros((len(asked), len(texts)), np.bool_)
    row, place = np.nonzero(near)
    named[row, alike[0][asked[row], place]] = True
    named[np.arange(len(asked)), asked] = True
    found: NDArray[np.bool_] = np.take_along_axis(named, others, axis=1)
    # Of a text with more of its kind than its list holds, some are not named there.
    full = np.flatnonzero(near.all(axis=1))
    likeness = (texts[others[full]] @ texts[asked[full], :, None])[:, :, 0]
    found[full] = likeness >= least[asked[full], None]
    return found


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
    row, place = np.nonzero(alike[1][rows] >= least[rows, None])
    one, two = rows[row], alike[0][rows[row], place]
    closeness = np.einsum("md,md->m", images[one], images[two])
    beyond = np.full(alike[0][rows].shape, -1, np.float32)
    # Those among the neighbours were seen already.
    beyond[row, place] = np.where(closeness < nearness[row, -1], closeness, -1)
    return _highest(np.concatenate([among, beyond], axis=1))


def _highest(values: Floats) -> Floats:
    highest: Floats = -np.partition(-values, _COMPARED - 1, axis=1)[:, :_COMPARED]
    mean: Floats = highest.mean(axis=1)
    return mean


def _blocks(count: int) -> Iterator[Ids]:
    size = max(1, min(BLOCK, _BLOCK_BYTES // count))
    for start in range(0, count, size):
        yield np.arange(start, min(start + size, count))
