"""Aligns two images by their keypoints."""

from dataclasses import dataclass

import numpy as np

from mmsearch.dedup.keypoints.description import FLIP
from mmsearch.dedup.keypoints.geometry import Correspondences, fit
from mmsearch.dedup.keypoints.joining import unit_rows
from mmsearch.dedup.keypoints.keypoint_set import Keypoints
from mmsearch.records import Floats, Ids

_LEAST_LIKENESS = 0.88
# Ratio test: the next best match elsewhere must be this much further away (squared).
_RATIO = 0.8
# Descriptors of one position in two directions, or on two scales, do not compete.
_NEIGHBOURHOOD = 0.06
_LEAST_INLIERS, _MANY_INLIERS = 4, 20


@dataclass(frozen=True, slots=True)
class Match:
    """One way in which two images may lie on each other.

    map: float32 (2, 3), from the first image to the second, in coordinates from -1 to 1, x to the
    right and y down. A negative determinant means that one is mirrored.
    inliers: distinct places that agree. inlier_share: of the first image's keypoints that the map
    puts inside the second, the share that agree.
    """

    map: Floats
    inliers: int
    inlier_share: float


def match(one: Keypoints, two: Keypoints) -> tuple[Match, ...]:
    """Aligns two images; the maps with the most inliers first, mostly one or none.

    The mirrored orientation is not tried if many keypoints match without it.
    """
    if not len(one) or not len(two):
        return ()
    rows, columns = unit_rows(one.descriptors), unit_rows(two.descriptors)
    plain = _match(one, two, False, np.asarray(rows @ columns.T, np.float32))
    if plain is not None and plain.inliers >= _MANY_INLIERS:
        return (plain,)
    mirrored = _match(one, two, True, np.asarray((rows * FLIP) @ columns.T, np.float32))
    found = [each for each in (plain, mirrored) if each is not None]
    return tuple(sorted(found, key=lambda each: -each.inliers))


def _match(one: Keypoints, two: Keypoints, mirrored: bool, cosines: Floats) -> Match | None:
    first, second = _distinctive(cosines, two)
    if len(first) < _LEAST_INLIERS:
        return None
    matches = Correspondences.between(
        (one.points[first], one.frames[first]),
        (two.points[second], two.frames[second]),
        group=np.zeros(len(first), np.int64),
        mirrored=np.full(len(first), mirrored),
        weight=np.ones(len(first), np.float32),
    )
    fits = fit(matches)
    inliers = int(fits.distinct(matches)[0])
    if inliers < _LEAST_INLIERS:
        return None
    extents = (one.half_extent[None], two.half_extent[None])
    found = fits.normalised(np.array([mirrored]), *extents)[0]
    covered = _covered(one, found)
    agreeing = len(np.unique(first[fits.inliers]))
    return Match(found, inliers, min(1.0, agreeing / max(covered, 1)))


def _distinctive(cosines: Floats, two: Keypoints) -> tuple[Ids, Ids]:
    """Mutual nearest neighbours that pass the ratio test: rows and columns, int64 (m,) each."""
    best = cosines.argmax(axis=1)
    mutual = cosines.argmax(axis=0)[best] == np.arange(len(best))
    rows = np.flatnonzero(mutual & (cosines.max(axis=1) >= _LEAST_LIKENESS))
    best = best[rows]
    near = cosines[rows]
    across, down = two.points.real, two.points.imag
    distances = (across[best][:, None] - across) ** 2
    distances += (down[best][:, None] - down) ** 2
    rival = np.where(distances > _NEIGHBOURHOOD**2, near, -1).max(axis=1, initial=-1)
    distinct = 1 - near[np.arange(len(rows)), best] < _RATIO * (1 - rival)
    return rows[distinct], best[distinct]


def _covered(one: Keypoints, found: Floats) -> int:
    """Number of keypoints of the first image that the map puts inside the second."""
    places = one.places * np.float32(2 / 65535) - 1
    moved = places @ found[:, :2].T + found[:, 2]
    return int(np.count_nonzero(np.abs(moved).max(axis=1) < 1))
