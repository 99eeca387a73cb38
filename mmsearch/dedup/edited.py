"""Edited copies: descriptors propose pairs of pictures, an alignment confirms or refuses them.

Pictures that match as they stand are gathered around one of them first, so that fifty copies of
one picture cost fifty comparisons; crops, borders and tilts are then looked for among the rest.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mmsearch.dedup.alignment import align, compare_unmoved, window_maps
from mmsearch.dedup.views import DIM, ORIENTATIONS, WHOLE, WINDOWS, Window, descriptors
from mmsearch.indexes import IndexOptions, VectorIndex, build_index
from mmsearch.records import Floats, Ids, Pixels

# Measured on photographs of shelves and garments with edited copies (docs/dedup.md): distinct
# shots of one thing stay below, but for bursts of one second.
EDITED_AGREEMENT = 0.72
# Correlation is an angle: two pictures this near to a third are within 0.84 of each other.
TWIN_AGREEMENT = 0.96
_TWIN_SIMILARITY = 0.9
# Cosines of descriptors, from which an alignment may succeed.
_PROPOSED = 0.5
_TWINS_ASKED = 24
_NEAR_ASKED = 8
# Of each pair: the descriptor's favourite is mostly right, a second view settles the rest.
_WAYS_TRIED = 3
_SMALL_SIDE = 64
_BLOCK = 2048
# Up to here every descriptor is compared with every other one, which takes seconds.
_EXACT_ROWS = 50_000


@dataclass(frozen=True, slots=True)
class EditedPairs:
    """pairs: int64 (m, 2), rows of the pictures given, the smaller first. agreement: float32 (m,).

    orientation: int64 (m,), the place in ORIENTATIONS: how one is turned to lie on the other.
    """

    pairs: Ids
    agreement: Floats
    orientation: Ids


@dataclass(frozen=True, slots=True)
class _Proposals:
    """Where the whole of `whole` may be what `turned`, turned, shows in `window`: int64 (m,).

    likeness: float32 (m,), of the descriptors.
    """

    whole: Ids
    turned: Ids
    window: Ids
    orientation: Ids
    likeness: Floats


def find_edited(
    thumbnails: Pixels, *, threshold: float = EDITED_AGREEMENT, new_from: int = 0
) -> EditedPairs:
    """thumbnails: uint8 (n, SIDE, SIDE), of n different files, perhaps memory-mapped.

    new_from: only pairs with a row from here on are looked for.
    """
    upright = _upright_descriptors(thumbnails)
    twins = _find_twins(thumbnails, upright, new_from)
    hubs = _hubs(len(thumbnails), twins)
    near = _find_near(thumbnails, upright, np.unique(hubs), new_from, threshold)
    around = _kept(twins, hubs[twins.pairs[:, 0]] == hubs[twins.pairs[:, 1]])
    return _joined([around, near])


def best_alignment(first: Pixels, second: Pixels) -> tuple[float, int]:
    """Two thumbnails, uint8 (SIDE, SIDE) → the best agreement and the orientation it was found in.

    Tries every orientation as a whole, and the likeliest windows of either in every orientation.
    """
    both = np.stack([first, second])
    views = descriptors(_small(both), WINDOWS, ORIENTATIONS)
    proposals: list[tuple[int, int, int, int]] = []
    for whole, turned in ((0, 1), (1, 0)):
        likeness = views[turned] @ views[whole, 0, 0]
        proposals += [(whole, turned, 0, turn) for turn in range(len(ORIENTATIONS))]
        for place in np.argsort(-likeness, axis=None, kind="stable")[:_NEAR_ASKED]:
            window, turn = np.unravel_index(place, likeness.shape)
            proposals.append((whole, turned, int(window), int(turn)))
    wholes, turns, windows, orientations = np.array(proposals, np.int64).T
    equal = np.ones(len(proposals), np.float32)
    agreement = _check(both, _Proposals(wholes, turns, windows, orientations, equal))
    best = int(agreement.argmax())
    return float(agreement[best]), proposals[best][3]


def _find_twins(thumbnails: Pixels, upright: Floats, new_from: int) -> EditedPairs:
    """Pairs that agree as they stand, in one of the eight orientations."""
    found: list[EditedPairs] = [_no_pairs()]
    index = _index_of(upright, np.arange(len(upright)))
    for rows in _blocks(np.arange(new_from, len(upright))):
        views = descriptors(_small(thumbnails[rows]), WHOLE, ORIENTATIONS)[:, 0]
        for orientation in range(len(ORIENTATIONS)):
            asked, others, _ = _nearest(
                index, views[:, orientation], rows, _TWINS_ASKED, _TWIN_SIMILARITY
            )
            known = asked < others
            fresh = known | (others < new_from) if new_from else known
            asked, others = asked[fresh], others[fresh]
            turned = ORIENTATIONS[orientation].turn(_small(thumbnails[asked]))
            agreement = compare_unmoved(turned, _small(thumbnails[others]))
            pairs = np.sort(np.stack([asked, others], axis=1), axis=1)
            turns = np.full(len(pairs), orientation)
            found.append(_kept(EditedPairs(pairs, agreement, turns), agreement >= TWIN_AGREEMENT))
    return _joined(found)


def _hubs(count: int, twins: EditedPairs) -> Ids:
    """int64 (count,): the row around which each is gathered; its own where there is none."""
    hubs = np.arange(count)
    taken = np.zeros(count, np.bool_)
    order = np.lexsort((twins.pairs[:, 1], twins.pairs[:, 0]))
    for first, second in twins.pairs[order].tolist():
        # A row that others gathered around cannot move to a third: it may be far from that one.
        if hubs[first] == first and not taken[second]:
            hubs[second] = first
            taken[first] = taken[second] = True
    return hubs


def _find_near(
    thumbnails: Pixels, upright: Floats, hubs: Ids, new_from: int, threshold: float
) -> EditedPairs:
    """Pairs of hubs that agree once one is laid over the other as a crop, border or tilt asks."""
    old, new = hubs[hubs < new_from], hubs[hubs >= new_from]
    found: list[_Proposals] = []
    # What is new is asked for in all, and what is old in the new: a crop finds its whole only
    # from the side of the whole.
    for askers, asked in ((new, hubs), (old, new)) if new_from else ((hubs, hubs),):
        index = _index_of(upright[asked], asked)
        for rows in _blocks(askers):
            found += _propose(index, thumbnails, rows)
    if not found:
        return _no_pairs()
    proposals = _merged(found)
    agreement = _check(thumbnails, proposals)
    pairs = np.sort(np.stack([proposals.whole, proposals.turned], axis=1), axis=1)
    every = EditedPairs(pairs, agreement, proposals.orientation)
    return _kept(every, agreement >= threshold)


def _propose(index: VectorIndex, thumbnails: Pixels, rows: Ids) -> list[_Proposals]:
    small = _small(thumbnails[rows])
    whole = descriptors(small, WHOLE, ORIENTATIONS)[:, 0]
    parts = descriptors(small, WINDOWS[1:])[:, :, 0]
    views = [(whole[:, turn], 0, turn) for turn in range(whole.shape[1])]
    views += [(parts[:, part], part + 1, 0) for part in range(parts.shape[1])]
    found = []
    for vectors, window, turn in views:
        asked, others, likeness = _nearest(index, vectors, rows, _NEAR_ASKED, _PROPOSED)
        constant = np.ones(len(asked), np.int64)
        found.append(_Proposals(others, asked, window * constant, turn * constant, likeness))
    return found


def _merged(found: Sequence[_Proposals]) -> _Proposals:
    """Of each pair the likeliest ways to lay one over the other."""
    names = ("whole", "turned", "window", "orientation", "likeness")
    every = [np.concatenate([getattr(part, name) for part in found]) for name in names]
    whole, turned, window, orientation, likeness = every
    low, high = np.minimum(whole, turned), np.maximum(whole, turned)
    order = np.lexsort((orientation, window, whole, -likeness, high, low))
    low, high = low[order], high[order]
    changes = np.flatnonzero((low[1:] != low[:-1]) | (high[1:] != high[:-1])) + 1
    starts = np.concatenate([[0], changes]).astype(np.int64)
    place = np.arange(len(order)) - np.repeat(starts, np.diff([*starts, len(order)]))
    kept = order[place < _WAYS_TRIED]
    return _Proposals(*(column[kept] for column in every))


def _check(thumbnails: Pixels, proposals: _Proposals) -> Floats:
    """The agreement that each proposal reaches, float32 (m,)."""
    agreement = np.zeros(len(proposals.whole), np.float32)
    for start in range(0, len(agreement), _BLOCK):
        part = slice(start, start + _BLOCK)
        turned = thumbnails[proposals.turned[part]].copy()
        for number, orientation in enumerate(ORIENTATIONS):
            rows = proposals.orientation[part] == number
            turned[rows] = orientation.turn(turned[rows])
        windows: list[Window] = [WINDOWS[number] for number in proposals.window[part]]
        whole = thumbnails[proposals.whole[part]]
        agreement[part] = align(whole, turned, window_maps(windows)).agreement
    return agreement


def _nearest(
    index: VectorIndex, vectors: Floats, rows: Ids, k: int, least: float
) -> tuple[Ids, Ids, Floats]:
    """Which of `rows` lie near which others of the index, int64 (m,) each, and how near."""
    # A blank picture has no direction and is nobody's neighbour.
    full = vectors.any(axis=1)
    if not full.any() or not len(index):
        return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32)
    similarities, ids = index.search(np.ascontiguousarray(vectors[full]), min(k, len(index)))
    asked = np.repeat(rows[full], ids.shape[1])
    others = ids.ravel()
    near = (similarities.ravel() >= least) & (others >= 0) & (others != asked)
    return asked[near], others[near], similarities.ravel()[near]


@dataclass(frozen=True, slots=True)
class _Rows:
    vectors: Floats
    ids: Ids

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Iterator[tuple[Floats, Ids]]:
        for start in range(0, len(self.ids), _EXACT_ROWS):
            yield self.vectors[start : start + _EXACT_ROWS], self.ids[start : start + _EXACT_ROWS]


def _index_of(vectors: Floats, ids: Ids) -> VectorIndex:
    full = vectors.any(axis=1)
    rows = _Rows(np.ascontiguousarray(vectors[full]), ids[full])
    kind = IndexOptions(kind="flat" if len(rows) <= _EXACT_ROWS else "ivf-flat")
    return build_index(rows, dim=DIM, options=kind)


def _upright_descriptors(thumbnails: Pixels) -> Floats:
    parts = [
        descriptors(_small(thumbnails[rows]))[:, 0, 0]
        for rows in _blocks(np.arange(len(thumbnails)))
    ]
    return np.concatenate(parts) if parts else np.zeros((0, DIM), np.float32)


def _blocks(rows: Ids) -> Iterator[Ids]:
    for start in range(0, len(rows), _BLOCK):
        yield rows[start : start + _BLOCK]


def _small(thumbnails: Pixels) -> Pixels:
    """uint8 (n, SIDE, SIDE) → uint8 (n, _SMALL_SIDE, _SMALL_SIDE), averaged."""
    factor = thumbnails.shape[1] // _SMALL_SIDE
    split = thumbnails.reshape(-1, _SMALL_SIDE, factor, _SMALL_SIDE, factor)
    small: Pixels = np.rint(split.mean(axis=(2, 4), dtype=np.float32)).astype(np.uint8)
    return small


def _no_pairs() -> EditedPairs:
    return EditedPairs(np.zeros((0, 2), np.int64), np.zeros(0, np.float32), np.zeros(0, np.int64))


def _kept(found: EditedPairs, which: NDArray[np.bool_]) -> EditedPairs:
    return EditedPairs(found.pairs[which], found.agreement[which], found.orientation[which])


def _joined(parts: Sequence[EditedPairs]) -> EditedPairs:
    """All pairs, each once, with the best agreement, in ascending order."""
    pairs = np.concatenate([part.pairs for part in parts])
    agreement = np.concatenate([part.agreement for part in parts])
    orientation = np.concatenate([part.orientation for part in parts])
    order = np.lexsort((orientation, -agreement, pairs[:, 1], pairs[:, 0]))
    pairs = pairs[order]
    first = np.ones(len(pairs), np.bool_)
    first[1:] = (pairs[1:] != pairs[:-1]).any(axis=1)
    return EditedPairs(pairs[first], agreement[order][first], orientation[order][first])
