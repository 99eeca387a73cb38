"""Proposes the pairs of many images that share a part, by their keypoints."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mmsearch.dedup.keypoints.geometry import Correspondences, fit
from mmsearch.dedup.keypoints.joining import Likenesses, join
from mmsearch.dedup.keypoints.keypoint_set import Keypoints
from mmsearch.records import Floats, Ids

# With 4, no more copies of the development set are found, but 50% more false pairs.
LEAST_INLIERS = 5
_LEAST_MATCHES = 3
# Maximum number of matches of a pair that are compared with each other.
_MOST_MATCHES = 48
_LEAST_VOTES = 2.0


@dataclass(frozen=True, slots=True)
class Proposals:
    """Proposed pairs of images.

    pairs: int64 (m, 2), indices of the images, the smaller first.
    inliers: int64 (m,).
    maps: float32 (m, 2, 3), from the first image to the second, in coordinates from -1 to 1, x to
        the right and y down; a negative determinant means that one is mirrored.
    """

    pairs: Ids
    maps: Floats
    inliers: Ids

    def __len__(self) -> int:
        return len(self.inliers)


def propose(images: Sequence[Keypoints], *, least_inliers: int = LEAST_INLIERS) -> Proposals:
    """Proposes pairs of images that share a part; common descriptors have little weight."""
    owners = np.repeat(np.arange(len(images)), [len(each) for each in images])
    found = _found(images, owners)
    if not len(found):
        none = np.zeros((0, 2), np.int64)
        return Proposals(none, np.zeros((0, 2, 3), np.float32), none[:, 0])
    chosen, group, pairs, mirrored = _grouped(found, owners)
    points = np.concatenate([each.points for each in images])
    frames = np.concatenate([each.frames for each in images])
    one, two = found.one[chosen], found.two[chosen]
    matches = Correspondences.between(
        (points[one], frames[one]),
        (points[two], frames[two]),
        group=group,
        mirrored=found.mirrored[chosen],
        weight=found.weight[chosen],
    )
    fits = fit(matches)
    inliers = np.minimum(fits.distinct(matches), fits.votes(matches).astype(np.int64) + 1)
    extents = np.array([each.half_extent for each in images])
    maps = fits.normalised(mirrored, extents[pairs[:, 0]], extents[pairs[:, 1]])
    return _best(Proposals(pairs, maps, inliers), least_inliers)


def _found(images: Sequence[Keypoints], owners: Ids) -> Likenesses:
    if not len(owners):
        none = np.zeros(0, np.int64)
        return Likenesses(none, none, none == 1, none.astype(np.float32))
    return join(np.concatenate([each.descriptors for each in images]), owners)


def _grouped(found: Likenesses, owners: Ids) -> tuple[Ids, Ids, Ids, NDArray[np.bool_]]:
    """Groups matches by pair of images and handedness, where there are enough.

    Returns indices into `found` and their groups, int64 (m,) each, and for each group its pair of
    images, int64 (g, 2), and whether it is mirrored, bool (g,).
    """
    count = int(owners[-1]) + 1
    keys = (owners[found.one] * count + owners[found.two]) * 2 + found.mirrored
    order = np.lexsort((-found.weight, keys))
    keys = keys[order]
    starts = np.flatnonzero(np.diff(keys, prepend=-1))
    lengths = np.diff(starts, append=len(keys))
    votes = np.bincount(np.repeat(np.arange(len(starts)), lengths), found.weight[order])
    enough = (lengths >= _LEAST_MATCHES) & (votes >= _LEAST_VOTES)
    rank = np.arange(len(keys)) - np.repeat(starts, lengths)
    chosen = order[np.repeat(enough, lengths) & (rank < _MOST_MATCHES)]
    groups = keys[starts[enough]]
    group = np.repeat(np.arange(len(groups)), np.minimum(lengths[enough], _MOST_MATCHES))
    pairs = np.stack([groups // 2 // count, groups // 2 % count], axis=1)
    return chosen, group, pairs, groups % 2 == 1


def _best(every: Proposals, least_inliers: int) -> Proposals:
    """The better handedness of each pair, if it has enough inliers."""
    order = np.lexsort((-every.inliers, *every.pairs.T[::-1]))
    fresh = np.any(np.diff(every.pairs[order], axis=0, prepend=-1) != 0, axis=1)
    kept = order[fresh]
    kept = kept[every.inliers[kept] >= least_inliers]
    return Proposals(every.pairs[kept], every.maps[kept], every.inliers[kept])
