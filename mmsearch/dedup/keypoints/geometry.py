"""Robust estimation of affine maps from matches, for many pairs of images at once.

Every match is a hypothesis, since keypoints have a scale and an angle: the one with the most
inliers is refined by least squares, first to a similarity and then to an affine map. Points are
complex numbers, x + iy; points of a mirrored image are conjugated beforehand.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mmsearch.records import Floats, Ids

Complexes = NDArray[np.complex64]
Bools = NDArray[np.bool_]

# Number of comparisons of matches held in memory at a time.
_BLOCK = 1 << 20
# Tolerance of a hypothesis, relative to the distance from its own point, plus a constant.
_SLOPE = 0.22
_SLACK = 0.04
_MOST_OCTAVES = 0.7
_MOST_RADIANS = 0.5
# The tolerance of each refinement, and whether it fits an affine map or a similarity.
_REFINEMENTS = ((0.12, False), (0.08, True), (0.05, True), (0.05, True))
# Weight of the similarity in an affine fit, in matches: few points leave it undetermined.
_SIMILARITY_WEIGHT = 0.02
# Inliers count once per cell of a grid, so that one small detail is not enough.
_GRID_STEP = 1 / 12


@dataclass(frozen=True, slots=True)
class Correspondences:
    """Matches sorted by group; each group is one pair of images in one handedness.

    group: int64 (m,), from 0 without gaps.
    source, target: complex64 (m,), points.
    turn: complex64 (m,), target frame divided by source frame.
    weight: float32 (m,), of each match.
    """

    group: Ids
    source: Complexes
    target: Complexes
    turn: Complexes
    weight: Floats

    @property
    def starts(self) -> Ids:
        """Index of the first match of each group, int64 (g,)."""
        return np.flatnonzero(np.diff(self.group, prepend=-1))

    @classmethod
    def between(
        cls,
        source: tuple[Complexes, Complexes],
        target: tuple[Complexes, Complexes],
        *,
        group: Ids,
        mirrored: Bools,
        weight: Floats,
    ) -> "Correspondences":
        """Creates correspondences from points and frames, complex64 (m,) each."""
        (start, start_frame), (end, end_frame) = source, target
        start = np.where(mirrored, start.conj(), start)
        start_frame = np.where(mirrored, start_frame.conj(), start_frame)
        return cls(group, start, end, end_frame / start_frame, weight)


@dataclass(frozen=True, slots=True)
class Fits:
    """Affine maps of groups.

    linear: float64 (g, 2, 2).
    shift: float64 (g, 2).
    inliers: bool (m,).
    """

    linear: NDArray[np.float64]
    shift: NDArray[np.float64]
    inliers: Bools

    def normalised(self, mirrored: Bools, source: Floats, target: Floats) -> Floats:
        """Maps in coordinates from -1 to 1, float32 (g, 2, 3).

        mirrored: bool (g,).
        source, target: float32 (g, 2), half extents of the images.
        """
        linear = self.linear.copy()
        linear[mirrored, :, 1] *= -1
        linear *= source[:, None, :] / target[:, :, None]
        shift = self.shift / target
        return np.concatenate([linear, shift[:, :, None]], axis=2).astype(np.float32)

    def distinct(self, matches: Correspondences) -> Ids:
        """Number of distinct positions of the inliers of each group, in both images, int64 (g,)."""
        group = matches.group[self.inliers]
        counts = [
            _count_distinct(group, points[self.inliers], len(self.linear))
            for points in (matches.source, matches.target)
        ]
        return np.minimum(*counts)

    def votes(self, matches: Correspondences) -> NDArray[np.float64]:
        """Total weight of the inliers of each group, float64 (g,)."""
        weight = np.where(self.inliers, matches.weight, 0)
        return np.bincount(matches.group, weight, len(self.linear)).astype(np.float64)


def _count_distinct(group: Ids, points: Complexes, groups: int) -> Ids:
    row, column = (
        np.floor(part / _GRID_STEP).astype(np.int64) for part in (points.imag, points.real)
    )
    places = np.unique(np.stack([group, row, column], axis=1), axis=0)
    return np.bincount(places[:, 0], minlength=groups)


def fit(matches: Correspondences) -> Fits:
    """Fits a map to each group by consensus."""
    starts = matches.starts
    inliers = _consensus(matches, starts)
    for tolerance, affine in _REFINEMENTS:
        linear, shift, turn = _least_squares(matches, starts, inliers, affine)
        inliers = _agreeing(matches, linear, shift, turn, tolerance=tolerance)
    return Fits(linear, shift, inliers)


def _consensus(matches: Correspondences, starts: Ids) -> Bools:
    """Inliers of the best hypothesis of each group, bool (m,)."""
    lengths = np.diff(starts, append=len(matches.group))
    shift = matches.target - matches.turn * matches.source
    scale = np.abs(matches.turn)
    inliers = np.zeros(len(matches.group), np.bool_)
    for block in _blocks(lengths):
        # All pairs of matches within each group.
        first, count = starts[block], lengths[block]
        hypotheses = _ranges(first, count)
        tests = np.repeat(count, count)
        one = np.repeat(hypotheses, tests)
        two = _ranges(np.repeat(first, count), tests)
        error = np.abs(matches.turn[one] * matches.source[two] + shift[one] - matches.target[two])
        reach = np.abs(matches.source[two] - matches.source[one]) * scale[one]
        near = error < _SLOPE * reach + _SLACK * np.maximum(scale[one], 0.4)
        near &= _alike(matches.turn[two] / matches.turn[one])
        at = np.cumsum(tests) - tests
        votes = np.add.reduceat(np.where(near, matches.weight[two], 0), at)
        order = np.lexsort((-votes, matches.group[hypotheses]))
        best = order[np.flatnonzero(np.diff(matches.group[hypotheses[order]], prepend=-1))]
        chosen = _ranges(at[best], tests[best])
        inliers[two[chosen]] = near[chosen]
    return inliers


def _least_squares(
    matches: Correspondences, starts: Ids, inliers: Bools, affine: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.complex128]]:
    """Linear map, shift and similarity (a complex factor) of each group, fitted to the inliers."""
    weight = inliers.astype(np.float64)
    count = np.maximum(np.add.reduceat(weight, starts), 1)
    source_mean = np.add.reduceat(matches.source * weight, starts) / count
    target_mean = np.add.reduceat(matches.target * weight, starts) / count
    source = (matches.source - source_mean[matches.group]) * weight
    target = (matches.target - target_mean[matches.group]) * weight
    spread = np.add.reduceat(np.abs(source) ** 2, starts)
    fitted = np.add.reduceat(target * source.conj(), starts) / np.maximum(spread, 1e-6)
    # A single match determines the similarity by its own frame.
    turn = np.where(spread > 1e-6, fitted, matches.turn[starts]).astype(np.complex128)
    linear: NDArray[np.float64] = np.stack(
        [turn.real, -turn.imag, turn.imag, turn.real], axis=1
    ).reshape(-1, 2, 2)
    if affine:
        xy, uv = (np.stack([points.real, points.imag], axis=1) for points in (source, target))
        prior = (_SIMILARITY_WEIGHT * count)[:, None, None]
        square = np.add.reduceat(xy[:, :, None] * xy[:, None], starts) + prior * np.eye(2)
        cross = np.add.reduceat(xy[:, :, None] * uv[:, None], starts)
        cross += prior * linear.transpose(0, 2, 1)
        linear = np.linalg.solve(square, cross).transpose(0, 2, 1).astype(np.float64)
    centre = np.stack([source_mean.real, source_mean.imag], axis=1)
    shift = np.stack([target_mean.real, target_mean.imag], axis=1)
    shift -= np.einsum("gij,gj->gi", linear, centre)
    return linear, shift, turn.astype(np.complex128)


def _agreeing(
    matches: Correspondences,
    linear: NDArray[np.float64],
    shift: NDArray[np.float64],
    turn: NDArray[np.complex128],
    *,
    tolerance: float,
) -> Bools:
    x, y = matches.source.real, matches.source.imag
    rows, moved = linear[matches.group], shift[matches.group]
    error = np.hypot(
        rows[:, 0, 0] * x + rows[:, 0, 1] * y + moved[:, 0] - matches.target.real,
        rows[:, 1, 0] * x + rows[:, 1, 1] * y + moved[:, 1] - matches.target.imag,
    )
    scale = np.sqrt(np.abs(np.linalg.det(linear)))[matches.group]
    near: Bools = error < tolerance * np.clip(scale, 0.3, 1.5)
    return near & _alike(matches.turn / (turn[matches.group] + 1e-9))


def _alike(ratio: NDArray[np.complexfloating]) -> Bools:
    """Whether two frames are nearly equal, by their ratio."""
    size = np.abs(ratio)
    alike: Bools = (size < 2**_MOST_OCTAVES) & (size > 2**-_MOST_OCTAVES)
    alike &= ratio.real > np.cos(_MOST_RADIANS) * size
    return alike


def _blocks(lengths: Ids) -> Iterator[slice]:
    """Slices of groups whose squared lengths add up to about a block."""
    ends = np.cumsum(lengths**2) // _BLOCK
    bounds = np.flatnonzero(np.diff(ends, prepend=-1, append=np.iinfo(np.int64).max))
    for start, stop in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        yield slice(start, stop)


def _ranges(starts: Ids, lengths: Ids) -> Ids:
    """Concatenated ranges start, start + 1, … of each length, int64 (sum of lengths,)."""
    offsets = np.cumsum(lengths) - lengths
    ranges: Ids = np.arange(lengths.sum()) + np.repeat(starts - offsets, lengths)
    return ranges
