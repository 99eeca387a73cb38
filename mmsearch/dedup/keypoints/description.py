"""Keypoint descriptors: dominant direction, and a descriptor of the surroundings in that frame.

A descriptor is a RootSIFT histogram (4 x 4 cells, 8 gradient directions) transformed to frequencies
over cells and directions, of which the lowest DIM are kept and scaled to equal weight. Each of them
is even or odd under mirroring, so that the mirrored image's descriptor is `descriptor * FLIP`.
"""

import numpy as np
from numpy.typing import NDArray

from mmsearch.dedup.keypoints.detection import Spots
from mmsearch.dedup.keypoints.pyramid import LEVELS_PER_OCTAVE, FlatPyramid
from mmsearch.records import Floats, Ids

_DIRECTIONS = 8
_CELLS = 4
# Higher frequencies of directions are empty, as each gradient is spread over three bins.
_HARMONICS = 2
_MOST_FREQUENCY = 4
# In pixels of a keypoint's own level.
_HALF_WINDOW = 9.0
_SAMPLES = 12
_BINS = 36
_RADIUS = 6
# A second direction nearly as strong may be the dominant one in a copy.
_SECOND_DIRECTION = 0.8


def dominant_angles(pixels: FlatPyramid, spots: Spots) -> tuple[Ids, Floats]:
    """Dominant directions of the spots.

    Returns indices of the spots, some of them twice, int64 (m,), and angles, float32 (m,).
    """
    offsets = np.arange(-_RADIUS - 1, _RADIUS + 2, dtype=np.int32)
    rows, columns = (grid.ravel() for grid in np.meshgrid(offsets, offsets, indexing="ij"))
    x = np.rint(spots.x).astype(np.int32)[:, None] + columns
    y = np.rint(spots.y).astype(np.int32)[:, None] + rows
    patches = pixels.nearest(spots.level, x, y).reshape(-1, len(offsets), len(offsets))
    across, down = _gradients(patches)
    weights = np.sqrt(across * across + down * down) * _around(_RADIUS)
    steps = np.arctan2(down, across)
    steps *= np.float32(_BINS / (2 * np.pi))
    steps += np.float32(_BINS)
    bins = steps.astype(np.int32)
    bins %= _BINS
    bins += (np.arange(len(spots), dtype=np.int32) * _BINS)[:, None, None]
    counts = np.bincount(bins.ravel(), weights.ravel(), len(spots) * _BINS)
    return _peaks(_blurred(counts.reshape(-1, _BINS).astype(np.float64)))


def _around(radius: int) -> Floats:
    """Gaussian weights, float32 (2 * radius + 1,) * 2."""
    squares = np.arange(-radius, radius + 1) ** 2
    line = np.exp(-squares / (0.57 * radius * radius))
    return np.outer(line, line).astype(np.float32)


def _gradients(patches: Floats) -> tuple[Floats, Floats]:
    """Differences across and down, float32 (k, n, n), of patches, float32 (k, n + 2, n + 2)."""
    across = patches[:, 1:-1, 2:] - patches[:, 1:-1, :-2]
    return across, patches[:, 2:, 1:-1] - patches[:, :-2, 1:-1]


def _blurred(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    for _ in range(4):
        around = np.concatenate([counts[:, -1:], counts, counts[:, :1]], axis=1)
        counts = around[:, :-2] + around[:, 1:-1] + around[:, 2:]
    return counts


def _peaks(counts: NDArray[np.float64]) -> tuple[Ids, Floats]:
    """The one or two strongest peaks of each row: rows, int64 (m,), and angles, float32 (m,)."""
    around = np.concatenate([counts[:, -1:], counts, counts[:, :1]], axis=1)
    before, after = around[:, :-2], around[:, 2:]
    strong = counts >= _SECOND_DIRECTION * counts.max(axis=1, keepdims=True)
    rows, bins = np.nonzero(strong & (counts >= before) & (counts > after))
    order = np.lexsort((-counts[rows, bins], rows))
    rows, bins = rows[order], bins[order]
    first = np.diff(rows, prepend=-1) != 0
    second = ~first & np.concatenate([[False], first[:-1]])
    rows, bins = rows[first | second], bins[first | second]
    left, peak, right = (each[rows, bins] for each in (before, counts, after))
    shift = (left - right) / (2 * np.minimum(left + right - 2 * peak, -1e-9))
    angles = (bins + 0.5 + np.clip(shift, -0.5, 0.5)) * (2 * np.pi / _BINS)
    return rows, angles.astype(np.float32)


def describe(pixels: FlatPyramid, spots: Spots, places: Ids, angles: Floats) -> Floats:
    """Descriptors of the spots at `places`, rotated by `angles`, float32 (m, DIM), unit rows."""
    level = spots.level[places]
    # Rotation and scale from the window's frame to the level's pixels.
    scale = np.exp2(spots.octaves[places] - level / LEVELS_PER_OCTAVE)
    frame = (scale * np.exp(1j * angles)).astype(np.complex64)[:, None] * _GRID
    x, y = spots.x[places, None] + frame.real, spots.y[places, None] + frame.imag
    patches = pixels.bilinear(level, x.astype(np.float32), y.astype(np.float32))
    rows = (_spectra(patches.reshape(-1, _SAMPLES + 2, _SAMPLES + 2)) - _MEAN) * _WEIGHT
    rows /= np.linalg.norm(rows, axis=1, keepdims=True) + np.float32(1e-9)
    return rows


def _spectra(patches: Floats) -> Floats:
    """Kept frequencies, float32 (m, DIM), of patches, float32 (m, samples + 2, samples + 2)."""
    across, down = (each.reshape(len(patches), -1) for each in _gradients(patches))
    histogram = _histogram(across, down).reshape(len(patches), -1)
    histogram /= histogram.sum(axis=1, keepdims=True) + np.float32(1e-9)
    np.sqrt(histogram, out=histogram)
    spectra: Floats = histogram @ _BASIS
    return spectra


def _histogram(across: Floats, down: Floats) -> Floats:
    """Histogram, float32 (m, directions, cells), of gradients, float32 (m, samples) each."""
    length = np.sqrt(across * across + down * down)
    length += np.float32(1e-6)
    half = _DIRECTIONS // 2
    histogram = np.empty((len(across), _DIRECTIONS, _CELLS * _CELLS), np.float32)
    for number in range(half):
        angle = number * 2 * np.pi / _DIRECTIONS
        along = across * np.float32(np.cos(angle))
        along += down * np.float32(np.sin(angle))
        # Squared cosine times the length; its sign distinguishes opposite directions.
        share = np.abs(along) * along / length
        histogram[:, number] = np.maximum(share, 0) @ _POOLING
        histogram[:, number + half] = np.maximum(-share, 0) @ _POOLING
    return histogram


def _window_grid() -> NDArray[np.complex64]:
    """Sample positions in the window with a margin of one, complex64 ((samples + 2) ** 2,)."""
    steps = (np.arange(-1, _SAMPLES + 1) + 0.5) / _SAMPLES * 2 - 1
    line = steps * _HALF_WINDOW
    return (line[None, :] + 1j * line[:, None]).astype(np.complex64).ravel()


def _pooling() -> Floats:
    """Weight of each sample in each cell, float32 (samples ** 2, cells ** 2)."""
    steps = (np.arange(_SAMPLES) + 0.5) / _SAMPLES
    near = np.maximum(0, 1 - np.abs((steps * _CELLS - 0.5)[:, None] - np.arange(_CELLS)))
    line = near * np.exp(-((steps * 2 - 1) ** 2))[:, None]
    return np.kron(line, line).astype(np.float32)


def _frequencies() -> tuple[Floats, Floats]:
    """The kept frequencies, float32 (directions * cells ** 2, DIM), and their flips, (DIM,)."""
    cells = np.arange(_CELLS)
    waves = np.array([np.cos(np.pi * k * (cells + 0.5) / _CELLS) for k in range(_CELLS)])
    angles = np.arange(_DIRECTIONS) * 2 * np.pi / _DIRECTIONS
    columns, flips = [], []
    for harmonic in range(_HARMONICS + 1):
        for odd, turn in enumerate((np.cos, np.sin)[: 1 + (harmonic > 0)]):
            for row, column in np.ndindex(_CELLS, _CELLS):
                if 0 < row + column + harmonic <= _MOST_FREQUENCY:
                    wave = np.outer(waves[row], waves[column]).ravel()
                    basis = np.outer(turn(harmonic * angles), wave).ravel()
                    columns.append(basis / np.linalg.norm(basis))
                    # Mirrored from top to bottom, y and the angle change their sign.
                    flips.append(1 - 2 * ((row + odd) % 2))
    return np.array(columns, np.float32).T, np.array(flips, np.float32)


_GRID = _window_grid()
_POOLING = _pooling()
_BASIS, FLIP = _frequencies()
DIM = len(FLIP)
# Of the kept frequencies, over photos of shelves and garments; 0 by symmetry where the flip is -1.
# fmt: off
_MEAN = np.array([
    0.002, -0.167, 0, 0, 0, 0, 0, -0.126, -0.001, 0.038, 0,
    0, 0.195, -0.022, -0.144, 0.006, 0, 0, 0, -0.039, 0.004, 0,
    0, 0, 0, 0, -0.002, -0.042, 0.002, 0, 0, 0.001, 0.098,
    -0.001, -0.046, 0, 0, -0.024, 0, 0, 0, 0.004, -0.005, 0,
], np.float32)
# fmt: on
# Likewise, their standard deviations.
# fmt: off
_DEVIATION = np.array([
    0.079, 0.051, 0.035, 0.054, 0.04, 0.03, 0.018, 0.039, 0.028, 0.023, 0.019,
    0.015, 0.18, 0.189, 0.138, 0.153, 0.073, 0.078, 0.085, 0.046, 0.063, 0.02,
    0.128, 0.085, 0.053, 0.03, 0.119, 0.081, 0.067, 0.093, 0.078, 0.074, 0.089,
    0.065, 0.05, 0.057, 0.03, 0.034, 0.054, 0.044, 0.026, 0.046, 0.033, 0.028,
], np.float32)
# fmt: on
# Half of the way to equal variance: the weakest frequencies are mostly noise.
_WEIGHT = _DEVIATION**-0.5
