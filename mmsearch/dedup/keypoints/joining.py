"""Similarity join of millions of descriptors, by comparing each with few cells only.

The cells are learned by k-means. Each cell is one matrix product, which is much cheaper than an
index search per descriptor.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mmsearch.dedup.keypoints.description import DIM, FLIP
from mmsearch.records import Floats, Ids

Small = NDArray[np.int8]

# Minimum cosine of similar descriptors.
LEAST_LIKENESS = 0.95
# A descriptor with more similar ones is common in this catalog and says nothing about a pair.
MOST_ALIKE = 40
# A match has full weight if its descriptor has at most this many similar ones.
_FULL_WEIGHT = 8
_CELLS_ASKED = 3
_ROUNDS = 5
_SAMPLE_PER_CELL = 32
_MOST_CELLS = 8192
_ROWS_AT_ONCE = 8192
# Cosines held at a time, 8 MB.
_COSINES_AT_ONCE = 1 << 21


@dataclass(frozen=True, slots=True)
class Likenesses:
    """Pairs of similar descriptors.

    one, two: int64 (m,), rows of descriptors.
    mirrored: bool (m,), whether the second is mirrored.
    weight: float32 (m,), 1 for rare descriptors, less for common ones.
    """

    one: Ids
    two: Ids
    mirrored: NDArray[np.bool_]
    weight: Floats

    def __len__(self) -> int:
        return len(self.one)


def unit_rows(descriptors: Small) -> Floats:
    """Scales descriptors, int8 (k, DIM), to unit norm, float32."""
    rows = descriptors.astype(np.float32)
    rows /= np.sqrt(np.einsum("kd,kd->k", rows, rows))[:, None] + np.float32(1e-9)
    return rows


def join(descriptors: Small, owners: Ids) -> Likenesses:
    """Finds all similar descriptors of different owners.

    descriptors: int8 (n, DIM).
    owners: int64 (n,).
    """
    cells = _Cells.learned(descriptors)
    every = np.arange(len(descriptors))
    alike = np.zeros(len(descriptors), np.int64)
    found = [cells.joined(descriptors, owners, every, alike, mirrored=False)]
    # Descriptors that are common unmirrored are common mirrored too, and cost the most.
    rare = np.flatnonzero(alike <= MOST_ALIKE)
    mirrored_alike = np.zeros_like(alike)
    found.append(cells.joined(descriptors, owners, rare, mirrored_alike, mirrored=True))
    one, two = (np.concatenate(columns) for columns in zip(*found, strict=True))
    mirrored = np.repeat([False, True], [len(part[0]) for part in found])
    np.maximum(alike, mirrored_alike, out=alike)
    most = np.maximum(alike[one], alike[two])
    kept = most <= MOST_ALIKE
    weight = (np.minimum(1, _FULL_WEIGHT / most[kept]) ** 2).astype(np.float32)
    return Likenesses(one[kept], two[kept], mirrored[kept], weight)


@dataclass(frozen=True, slots=True)
class _Cells:
    """Cells of descriptors.

    centres: float32 (cells, DIM), unit rows.
    """

    centres: Floats

    @classmethod
    def learned(cls, descriptors: Small) -> "_Cells":
        # Comparing with the centres then costs as much as comparing within the cells.
        count = int(np.clip((_CELLS_ASKED * len(descriptors)) ** 0.5, 1, _MOST_CELLS))
        draw = np.random.default_rng(0)
        size = min(len(descriptors), _SAMPLE_PER_CELL * count)
        sample = unit_rows(descriptors[np.sort(draw.choice(len(descriptors), size, replace=False))])
        cells = cls(sample[draw.choice(size, min(count, size), replace=False)])
        for _ in range(_ROUNDS):
            cells = cells._refined(sample)
        return cells

    def _refined(self, sample: Floats) -> "_Cells":
        nearest = self._nearest(sample, 1)[:, 0]
        order = np.argsort(nearest, kind="stable")
        starts = np.flatnonzero(np.diff(nearest[order], prepend=-1))
        sums = np.add.reduceat(sample[order], starts)
        centres = self.centres.copy()
        centres[nearest[order[starts]]] = sums / np.linalg.norm(sums, axis=1, keepdims=True)
        return _Cells(centres)

    def _nearest(self, rows: Floats, count: int) -> Ids:
        """Nearest centres of rows, int64 (n, count), unordered."""
        count = min(count, len(self.centres))
        nearest = np.empty((len(rows), count), np.int64)
        step = max(1, _COSINES_AT_ONCE // len(self.centres))
        for start in range(0, len(rows), step):
            cosines = rows[start : start + step] @ self.centres.T
            for place in range(count):
                best = cosines.argmax(axis=1)
                nearest[start : start + step, place] = best
                cosines[np.arange(len(best)), best] = -2
        return nearest

    def joined(
        self, descriptors: Small, owners: Ids, rows: Ids, alike: Ids, *, mirrored: bool
    ) -> tuple[Ids, Ids]:
        """Similar rows, int64 (m,) each, the smaller first; adds their counts to `alike`."""
        flip = FLIP if mirrored else np.ones(DIM, np.float32)
        members, queries = self._filled(descriptors, rows, flip)
        found = []
        for own, querying in zip(members, queries, strict=True):
            held = unit_rows(descriptors[own]).T
            step = max(1, _COSINES_AT_ONCE // max(len(own), 1))
            for start in range(0, len(querying), step):
                part = querying[start : start + step]
                cosines = (unit_rows(descriptors[part]) * flip) @ held
                near = cosines >= LEAST_LIKENESS
                counts = np.count_nonzero(near, axis=1)
                alike[part] += counts
                few = np.flatnonzero((counts > 0) & (counts <= MOST_ALIKE))
                one, two = np.nonzero(near[few])
                one, two = part[few[one]], own[two]
                other = owners[one] != owners[two]
                found.append(np.stack([one[other], two[other]], axis=1))
        pairs = np.sort(np.concatenate([np.zeros((0, 2), np.int64), *found]), axis=1)
        keys = np.unique(pairs[:, 0] * len(descriptors) + pairs[:, 1])
        return keys // len(descriptors), keys % len(descriptors)

    def _filled(self, descriptors: Small, rows: Ids, flip: Floats) -> tuple[list[Ids], list[Ids]]:
        """For each cell its rows and the rows that query it, int64 (k,) each."""
        home = np.empty(len(rows), np.int32)
        cells = np.empty((len(rows), min(_CELLS_ASKED, len(self.centres))), np.int32)
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            part = unit_rows(descriptors[rows[start : start + _ROWS_AT_ONCE]])
            cells[start : start + len(part)] = self._nearest(part * flip, _CELLS_ASKED)
            home[start : start + len(part)] = self._nearest(part, 1)[:, 0]
        queries = np.repeat(rows, cells.shape[1])
        return self._by_cell(home, rows), self._by_cell(cells.ravel(), queries)

    def _by_cell(self, cells: NDArray[np.int32], rows: Ids) -> list[Ids]:
        order = np.argsort(cells, kind="stable")
        bounds = np.searchsorted(cells[order], np.arange(1, len(self.centres)))
        return np.split(rows[order], bounds)
