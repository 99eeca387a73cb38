"""Keypoint detection: extrema of the Hessian determinant over position and scale.

Unlike a Laplacian it responds to blobs and saddles but not to edges, along which the position is
undetermined.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mmsearch.dedup.keypoints.pyramid import LEVELS_PER_OCTAVE, Pyramid
from mmsearch.records import Floats, Ids

# Minimum response, in grey levels per squared pixel; JPEG noise is below.
_LEAST_RESPONSE = 0.3
_BORDER = 4
# Cells of a grid that share the keypoints, so that a small photo in a screenshot has some too.
_CELLS = 8
_CROWDING = 0.5
# Coarse spots are fewer, but found again if the image is a small part of another one.
_SHARE_PER_OCTAVE = 0.7


@dataclass(frozen=True, slots=True)
class Spots:
    """Detected keypoints.

    level: int64 (k,).
    x, y: float32 (k,), in pixels of that level.
    octaves: float32 (k,), log2 of the scale, interpolated between levels.
    """

    level: Ids
    x: Floats
    y: Floats
    octaves: Floats

    def __len__(self) -> int:
        return len(self.level)


def detect(pyramid: Pyramid, count: int) -> Spots:
    """Detects at most `count` spots, spread over the image and the levels."""
    responses = [_response(level) for level in pyramid.levels]
    peaks = [_peaks_around(response) for response in responses]
    parts = [_extrema(number, responses, peaks) for number in range(len(responses))]
    level = np.repeat(np.arange(len(parts)), [len(part[0]) for part in parts])
    y, x, strength, below, above = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    chosen = _spread(level, _cells(pyramid, level, x, y), strength, count)
    level, y, x = level[chosen], y[chosen], x[chosen]
    across, down = np.empty(len(level), np.float32), np.empty(len(level), np.float32)
    for number in np.unique(level):
        rows = np.flatnonzero(level == number)
        near, i, j = responses[number], y[rows], x[rows]
        across[rows] = _vertex(near[i, j - 1], near[i, j], near[i, j + 1])
        down[rows] = _vertex(near[i - 1, j], near[i, j], near[i + 1, j])
    between = _vertex(below[chosen], strength[chosen], above[chosen])
    octaves = ((level + between) / LEVELS_PER_OCTAVE).astype(np.float32)
    return Spots(level, x + across, y + down, octaves)


def _response(level: Floats) -> Floats:
    """Square root of the absolute Hessian determinant, float32 (h, w), 0 at the border."""
    centre = level[1:-1, 1:-1]
    double = centre * np.float32(2)
    xx = level[1:-1, 2:] + level[1:-1, :-2]
    xx -= double
    yy = level[2:, 1:-1] + level[:-2, 1:-1]
    yy -= double
    xy = level[2:, 2:] + level[:-2, :-2]
    xy -= level[2:, :-2]
    xy -= level[:-2, 2:]
    xy *= xy
    xy *= np.float32(1 / 16)
    xx *= yy
    xx -= xy
    np.abs(xx, out=xx)
    response = np.zeros_like(level)
    np.sqrt(xx, out=response[1:-1, 1:-1])
    return response


def _peaks_around(response: Floats) -> Floats:
    """Maximum response within one pixel, float32 (h, w), 0 at the border."""
    rows = np.maximum(response[:-2], response[2:])
    np.maximum(rows, response[1:-1], out=rows)
    peaks = np.zeros_like(response)
    inner = peaks[1:-1, 1:-1]
    np.maximum(rows[:, :-2], rows[:, 2:], out=inner)
    np.maximum(inner, rows[:, 1:-1], out=inner)
    return peaks


def _extrema(
    number: int, responses: list[Floats], peaks: list[Floats]
) -> tuple[Ids, Ids, Floats, Floats, Floats]:
    """Extrema of a level.

    Returns y and x, int64 (k,), and the response there, on the finer level and on the coarser one,
    float32 (k,).
    """
    inside = (slice(_BORDER, -_BORDER),) * 2
    response = responses[number][inside]
    y, x = np.nonzero((response >= peaks[number][inside]) & (response > _LEAST_RESPONSE))
    strength = response[y, x]
    y, x = y + _BORDER, x + _BORDER
    sides = []
    for other in (number - 1, number + 1):
        if 0 <= other < len(peaks):
            shape = np.array(peaks[other].shape) / responses[number].shape
            sides.append(
                peaks[other][((y + 0.5) * shape[0]).astype(int), ((x + 0.5) * shape[1]).astype(int)]
            )
        else:
            sides.append(strength * np.float32(0.9))
    kept = (strength >= sides[0]) & (strength >= sides[1])
    return y[kept], x[kept], strength[kept], sides[0][kept], sides[1][kept]


def _cells(pyramid: Pyramid, level: Ids, x: Ids, y: Ids) -> Ids:
    """Grid cell of each spot on its level, int64 (k,)."""
    heights, widths = np.array([each.shape for each in pyramid.levels]).T
    row, column = y * _CELLS // heights[level], x * _CELLS // widths[level]
    cells: Ids = (level * _CELLS + row) * _CELLS + column
    return cells


def _spread(level: Ids, cells: Ids, strength: Floats, count: int) -> Ids:
    """Indices of the strongest spots, distributed over cells and levels."""
    score = strength * _CROWDING ** _rank(cells, strength)
    share = _SHARE_PER_OCTAVE ** (np.arange(level.max(initial=0) + 1) / LEVELS_PER_OCTAVE)
    quotas = share * (count / share.sum())
    order = np.argsort((_rank(level, score) + 0.5) / quotas[level], kind="stable")
    return order[:count]


def _rank(groups: Ids, values: NDArray[np.floating]) -> Ids:
    """Descending rank of each value within its group, from 0, int64 (k,)."""
    order = np.lexsort((-values, groups))
    grouped = groups[order]
    starts = np.flatnonzero(np.diff(grouped, prepend=-1))
    lengths = np.diff(starts, append=len(grouped))
    rank = np.empty(len(groups), np.int64)
    rank[order] = np.arange(len(groups)) - np.repeat(starts, lengths)
    return rank


def _vertex(before: Floats, here: Floats, after: Floats) -> Floats:
    """Vertex of the parabola through three responses, float32 (k,), -0.5 to 0.5 from `here`."""
    bend = np.minimum(before + after - 2 * here, np.float32(-1e-6))
    vertex: Floats = np.clip((before - after) / (2 * bend), -0.5, 0.5)
    return vertex
