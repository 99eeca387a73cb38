"""Texts on the wrong picture: a picture among pictures that are all described otherwise.

Three measures say how wrong a text looks: how much further the pictures of like texts lie than
those of the text that the picture's neighbours agree on (here), and two of how far the text lies
below the best-fitting ones (`text_fit`). Texts exchanged on purpose show what the measures are
worth in this catalog (`exchange_odds`): what is reported is as likely right as asked, or nothing
is. No labels are needed.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mmsearch.dedup.cache.array_file import keep, read_kept
from mmsearch.dedup.findings.exchange_odds import MOST_WRONG, exchange_odds
from mmsearch.dedup.findings.nearest_rows import BLOCK, NearestRows
from mmsearch.dedup.findings.text_fit import TextFit
from mmsearch.records import Floats, Ids

# Fewer items say nothing about what is usual.
FEWEST_ITEMS = 30
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
# Texts exchanged on purpose: each one costs as much as an item.
_MOST_EXCHANGED, _EXCHANGED_EACH = 4_096, 8
# Exchanging texts that are this much alike changes nothing.
_SAME_TEXT = 0.9999
_LEAST_SUSPICIOUS = 0.1


@dataclass(frozen=True, slots=True)
class Misplaced:
    """Texts that seem to be on the wrong picture, the likeliest first.

    rows, better: int64 (m,): whose text seems wrong, and an item whose text fits better. own,
    other: float32 (m,), mean cosine of the picture with the nearest pictures of either text.
    chances: float32 (m,), that the text is wrong, as estimated from the catalog. reported: the
    first so many are findings, the others suspicions. silence: why nothing is reported, for people;
    empty where something is.
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
        rows, values = np.zeros(0, np.int64), np.zeros(0, np.float32)
        return cls(rows, rows, values, values, values, 0, silence)


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
    images: Floats, texts: Floats, neighbours: Neighbours | None = None
) -> Misplaced:
    """images, texts: float32 (n, dim), unit rows: the two vectors of each item. neighbours: theirs,
    where they are known already. The same input gives the same result."""
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
    """Rows, and for each another one whose text says something else: int64 (m,) each."""
    count = len(texts)
    chance = np.random.default_rng(0)
    wanted = min(_MOST_EXCHANGED, _EXCHANGED_EACH * count)
    rows = np.resize(chance.permutation(count), wanted)
    others = (rows + chance.integers(1, count, len(rows))) % count
    differ = np.einsum("md,md->m", texts[rows], texts[others]) < _SAME_TEXT
    return rows[differ], others[differ]


@dataclass(frozen=True, slots=True)
class _Nearness:
    """images, texts: float32 (n, dim), unit rows. neighbours: of the same rows."""

    images: Floats
    texts: Floats
    neighbours: Neighbours

    def compare(self, rows: Ids, claimed: Ids) -> tuple[Ids, Floats, Floats]:
        """For each picture of `rows`, int64 (m,), if it had the text of `claimed`, int64 (m,):

        the neighbour whose other text fits best, how near the pictures of the claimed text lie, and
        how near those of that other text.
        """
        near = self.neighbours.images.near, self.neighbours.images.similarities
        alike = self.neighbours.texts.near, self.neighbours.texts.similarities
        least = np.minimum(_KIN, alike[1][:, min(_FEWEST_KIN, alike[1].shape[1]) - 1])
        size = max(1, min(BLOCK, _BLOCK_BYTES // len(self.images)))
        parts = [
            self._block(
                rows[start : start + size], claimed[start : start + size], near, alike, least
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
        least: Floats,
    ) -> tuple[Ids, Floats, Floats]:
        neighbours, nearness = near[0][rows], near[1][rows]
        kin = _says_so(claimed, neighbours, self.texts, alike, least)
        own = _kin_nearness((rows, claimed), self.images, nearness, alike, least, kin)
        voters = self.texts[neighbours[:, :_VOTERS]]
        agreeing = voters @ voters.transpose(0, 2, 1) >= least[neighbours[:, :_VOTERS], None]
        votes = np.exp((nearness[:, :_VOTERS] - nearness[:, :1]) / _VOTE_WIDTH)
        counts = np.einsum("nab,nb->na", agreeing, votes)
        counts[kin[:, :_VOTERS]] = -1
        every = np.arange(len(rows))
        best = neighbours[every, counts.argmax(axis=1)]
        chosen = _says_so(best, neighbours, self.texts, alike, least)
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
    pairs: tuple[Ids, Ids],
    images: Floats,
    nearness: Floats,
    alike: tuple[Ids, Floats],
    least: Floats,
    kin: NDArray[np.bool_],
) -> Floats:
    """How near the pictures of a kind of text lie, float32 (r,).

    pairs: int64 (r,) each, the rows of the pictures and of the texts. kin: bool (r, k), which of
    the pictures' neighbours have a text of the kind.
    """
    rows, claimed = pairs
    among = np.where(kin, nearness, -1)
    row, place = np.nonzero(alike[1][claimed] >= least[claimed, None])
    one, two = rows[row], alike[0][claimed[row], place]
    closeness = np.einsum("md,md->m", images[one], images[two])
    # A picture does not speak for itself.
    closeness[one == two] = -1
    beyond = np.full(alike[0][claimed].shape, -1, np.float32)
    # Those among the neighbours were seen already.
    beyond[row, place] = np.where(closeness < nearness[row, -1], closeness, -1)
    return _highest(np.concatenate([among, beyond], axis=1))


def _highest(values: Floats) -> Floats:
    highest: Floats = -np.partition(-values, _COMPARED - 1, axis=1)[:, :_COMPARED]
    mean: Floats = highest.mean(axis=1)
    return mean
