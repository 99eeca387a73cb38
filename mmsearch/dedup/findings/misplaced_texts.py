"""Finds texts on the wrong image: images whose neighbours are all described otherwise.

Three measures score how wrong a text looks: how much further the images of similar texts are than
those of the text that the image's neighbours agree on (here), and two measures of how far the text
is below the best-fitting ones (`text_fit`). Randomly swapped texts calibrate them on each catalog
(`exchange_odds`): findings reach the required precision, or none are reported. No labels are
needed.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mmsearch.dedup.cache.database import CachedArrays
from mmsearch.dedup.findings.exchange_odds import MOST_WRONG, exchange_odds
from mmsearch.dedup.findings.nearest_rows import BLOCK, NearestRows
from mmsearch.dedup.findings.text_fit import TextFit
from mmsearch.records import Floats, Ids

# Minimum number of items for an estimate.
FEWEST_ITEMS = 30
_IMAGE_NEIGHBOURS, _TEXT_NEIGHBOURS = 100, 64
# Version of the cache; changes with the choice of neighbours.
_VERSION = 1
# Maximum number of rows whose neighbours are cached, which takes 260 MB.
MOST_KEPT = 200_000
_VOTERS = 20
# Minimum cosine of similar texts; a text with fewer of them than _FEWEST_KIN takes its nearest.
_SIMILAR_TEXT, _FEWEST_SIMILAR = 0.85, 5
# Decay of a neighbour's vote with its distance, as a cosine.
_VOTE_WIDTH = 0.1
_COMPARED = 3
# Size of a block, a mask of its rows by all rows.
_BLOCK_BYTES = 2**26
# Number of randomly swapped texts; each costs as much as an item.
_MOST_EXCHANGED, _EXCHANGED_EACH = 4_096, 8
# Cosine from which texts are equal; swapping them changes nothing.
_SAME_TEXT = 0.9999
_LEAST_SUSPICIOUS = 0.1


@dataclass(frozen=True, slots=True)
class Misplaced:
    """Texts that seem to be on the wrong image, the most likely first.

    rows, better: int64 (m,), the items, and for each an item whose text fits better.
    own, other: float32 (m,), mean cosine of the image with the nearest images of either text.
    chances: float32 (m,), estimated probability that the text is wrong.
    reported: the first `reported` texts are findings, the others suspicions.
    silence: why nothing is reported, for people; empty if something is.
    """

    rows: Ids
    better: Ids
    own: Floats
    other: Floats
    chances: Floats
    reported: int
    silence: str

    @classmethod
    def none(cls, silence: str) -> "Misplaced":
        """No texts, with the reason."""
        rows, values = np.zeros(0, np.int64), np.zeros(0, np.float32)
        return cls(rows, rows, values, values, values, 0, silence)


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Nearest rows of each item by image and by text."""

    images: NearestRows
    texts: NearestRows

    @classmethod
    def of(cls, uids: Ids, images: Floats, texts: Floats) -> "Neighbours":
        """Searches for the neighbours of at least FEWEST_ITEMS items.

        uids: int64 (n,), ascending.
        images, texts: float32 (n, dim), unit rows.
        """
        return cls(
            NearestRows.of(uids, images, _IMAGE_NEIGHBOURS),
            NearestRows.of(uids, texts, _TEXT_NEIGHBOURS),
        )

    def updated(self, uids: Ids, images: Floats, texts: Floats) -> "Neighbours":
        """Updates the neighbours to these rows; known uids must have unchanged vectors."""
        return Neighbours(
            self.images.updated(uids, images, _IMAGE_NEIGHBOURS),
            self.texts.updated(uids, texts, _TEXT_NEIGHBOURS),
        )

    @classmethod
    def load(cls, memory: CachedArrays, setting: str) -> "Neighbours | None":
        """Reads the cache. setting: what the vectors of a uid depend on."""
        parts = memory.load(f"{_VERSION} {setting}")
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

    def save(self, memory: CachedArrays, setting: str) -> None:
        """Writes the cache. setting: what the vectors of a uid depend on."""
        memory.save(
            f"{_VERSION} {setting}",
            uids=self.images.uids,
            images_near=self.images.near.astype(np.int32),
            images_similarities=self.images.similarities,
            texts_near=self.texts.near.astype(np.int32),
            texts_similarities=self.texts.similarities,
        )


def find_misplaced(
    images: Floats, texts: Floats, neighbours: Neighbours | None = None
) -> Misplaced:
    """Finds the texts that are on the wrong image; deterministic.

    images, texts: float32 (n, dim), unit rows, the two vectors of each item.
    neighbours: of the items, computed if None.
    """
    count = len(images)
    if count < FEWEST_ITEMS:
        return Misplaced.none(too_few(count))
    rows, others = _exchanged(texts)
    if len(rows) < FEWEST_ITEMS:
        return Misplaced.none("nearly all texts are the same")
    neighbours = neighbours or Neighbours.of(np.arange(count), images, texts)
    every = np.arange(count)
    fit, nearness = TextFit.of(images, texts), _Nearness(images, texts, neighbours)
    better, own, other = nearness.compare(every, every)
    _, own_exchanged, other_exchanged = nearness.compare(rows, others)
    odds = exchange_odds(
        np.column_stack([other - own, fit.shortfall(every, every)]),
        np.column_stack([other_exchanged - own_exchanged, fit.shortfall(rows, others)]),
    )
    order = np.argsort(-odds.scores, kind="stable")
    suspicious = np.count_nonzero(odds.chances >= _LEAST_SUSPICIOUS)
    found = order[: max(odds.reported, suspicious)]
    chances = odds.chances[found].astype(np.float32)
    silence = "" if odds.reported else _silence(odds.wrong_share, chances)
    return Misplaced(
        found, better[found], own[found], other[found], chances, odds.reported, silence
    )


def too_few(count: int) -> str:
    """The reason for no result with `count` items, for people."""
    return f"items with a picture and a text: {count}; at least {FEWEST_ITEMS} are needed"


def _silence(wrong_share: float, chances: Floats) -> str:
    if wrong_share > MOST_WRONG:
        return "most texts fit their picture hardly better than another item's would"
    if not len(chances):
        return "no text stands out in this catalog"
    wrong = len(chances) - round(float(chances.sum()))
    return (
        f"in this catalog about {wrong:,} of {len(chances):,} suspicions would be false; "
        "`suspicions=True` lists them"
    )


def _exchanged(texts: Floats) -> tuple[Ids, Ids]:
    """Randomly swapped texts: rows and other rows with a different text, int64 (m,) each."""
    count = len(texts)
    chance = np.random.default_rng(0)
    number = min(_MOST_EXCHANGED, _EXCHANGED_EACH * count)
    rows = np.resize(chance.permutation(count), number)
    others = (rows + chance.integers(1, count, len(rows))) % count
    differ = np.einsum("md,md->m", texts[rows], texts[others]) < _SAME_TEXT
    return rows[differ], others[differ]


@dataclass(frozen=True, slots=True)
class _Nearness:
    """Measures how near an image is to the images of a text.

    images, texts: float32 (n, dim), unit rows.
    neighbours: of the same rows.
    """

    images: Floats
    texts: Floats
    neighbours: Neighbours

    def compare(self, rows: Ids, claimed: Ids) -> tuple[Ids, Floats, Floats]:
        """Compares each image's claimed text with the one that its neighbours agree on.

        rows, claimed: int64 (m,), the items of the images and of the texts.
        Returns the neighbour whose other text fits best, the similarity of the images of the
        claimed text, and the similarity of those of the other text.
        """
        near = self.neighbours.images.near, self.neighbours.images.similarities
        alike = self.neighbours.texts.near, self.neighbours.texts.similarities
        least = np.minimum(_SIMILAR_TEXT, alike[1][:, min(_FEWEST_SIMILAR, alike[1].shape[1]) - 1])
        size = max(1, min(BLOCK, _BLOCK_BYTES // len(self.images)))
        parts = [
            self._block(
                rows[start : start + size], claimed[start : start + size], near, alike, least=least
            )
            for start in range(0, len(rows), size)
        ]
        best, own, other = (np.concatenate(column) for column in zip(*parts, strict=True))
        return best, own, other

    def _block(
        self,
        rows: Ids,
        claimed: Ids,
        near: tuple[Ids, Floats],
        alike: tuple[Ids, Floats],
        *,
        least: Floats,
    ) -> tuple[Ids, Floats, Floats]:
        neighbours, nearness = near[0][rows], near[1][rows]
        similar = _has_similar_text(claimed, neighbours, self.texts, alike, least=least)
        own = _similar_text_nearness(
            (rows, claimed), self.images, nearness, alike, least=least, similar=similar
        )
        voters = self.texts[neighbours[:, :_VOTERS]]
        agreeing = voters @ voters.transpose(0, 2, 1) >= least[neighbours[:, :_VOTERS], None]
        votes = np.exp((nearness[:, :_VOTERS] - nearness[:, :1]) / _VOTE_WIDTH)
        counts = np.einsum("nab,nb->na", agreeing, votes)
        counts[similar[:, :_VOTERS]] = -1
        every = np.arange(len(rows))
        best = neighbours[every, counts.argmax(axis=1)]
        chosen = _has_similar_text(best, neighbours, self.texts, alike, least=least)
        shown = np.where(chosen & ~similar, nearness, nearness[:, -1:])
        return best, own, _highest(shown)


def _has_similar_text(
    queries: Ids, others: Ids, texts: Floats, alike: tuple[Ids, Floats], *, least: Floats
) -> NDArray[np.bool_]:
    """Mask of neighbours, int64 (r, k), whose text is similar to the text of int64 (r,)."""
    near = alike[1][queries] >= least[queries, None]
    listed = np.zeros((len(queries), len(texts)), np.bool_)
    row, place = np.nonzero(near)
    listed[row, alike[0][queries[row], place]] = True
    listed[np.arange(len(queries)), queries] = True
    found: NDArray[np.bool_] = np.take_along_axis(listed, others, axis=1)
    # Full lists of similar texts may be incomplete, so those are compared directly.
    full = np.flatnonzero(near.all(axis=1))
    likeness = (texts[others[full]] @ texts[queries[full], :, None])[:, :, 0]
    found[full] = likeness >= least[queries[full], None]
    return found


def _similar_text_nearness(
    pairs: tuple[Ids, Ids],
    images: Floats,
    nearness: Floats,
    alike: tuple[Ids, Floats],
    *,
    least: Floats,
    similar: NDArray[np.bool_],
) -> Floats:
    """Similarity of each image to the images of similar texts, float32 (r,).

    pairs: int64 (r,) each, the items of the images and of the texts.
    kin: bool (r, k), which of the image's neighbours have a similar text.
    """
    rows, claimed = pairs
    among = np.where(similar, nearness, -1)
    row, place = np.nonzero(alike[1][claimed] >= least[claimed, None])
    one, two = rows[row], alike[0][claimed[row], place]
    closeness = np.einsum("md,md->m", images[one], images[two])
    # An image is no evidence for itself.
    closeness[one == two] = -1
    beyond = np.full(alike[0][claimed].shape, -1, np.float32)
    # Those among the neighbours are already included.
    beyond[row, place] = np.where(closeness < nearness[row, -1], closeness, -1)
    return _highest(np.concatenate([among, beyond], axis=1))


def _highest(values: Floats) -> Floats:
    highest: Floats = -np.partition(-values, _COMPARED - 1, axis=1)[:, :_COMPARED]
    mean: Floats = highest.mean(axis=1)
    return mean
