"""Measures how much detail two files hold of what both show, without upscaled pixels."""

from typing import Final

import numpy as np

from mmsearch.dedup.originals.evidence import Candidate
from mmsearch.dedup.originals.quantisation import luminance
from mmsearch.dedup.originals.registration_facts import Homography, project
from mmsearch.records import Floats, Pixels

# Power that rounding to integers adds at every frequency, in squared levels.
_FLOOR: Final = 0.1


def scale_between(one: Candidate, two: Candidate, matrix: Homography) -> float:
    """Pixels of `two` per pixel of `one` along a side, in the middle of the shared area.

    matrix: from the normalised coordinates of `one` to those of `two`.
    """
    middle = _shared_middle(matrix)
    step = 1e-3
    points = project(matrix, middle + np.array([[0, 0], [step, 0], [0, step]]))
    across, down = (points[1] - points[0]) / step, (points[2] - points[0]) / step
    sides_one = np.array([one.file.width, one.file.height], np.float64)
    sides_two = np.array([two.file.width, two.file.height], np.float64)
    jacobian = np.stack([across, down], axis=1) * sides_two[:, None] / sides_one[None]
    return float(np.sqrt(abs(np.linalg.det(jacobian))))


def _shared_middle(matrix: Homography) -> np.ndarray:
    """A point well inside of both images, float64 (1, 2)."""
    grid = np.linspace(-0.9, 0.9, 13)
    x, y = np.meshgrid(grid, grid)
    points = np.stack([x.ravel(), y.ravel()], axis=1)
    inside = (np.abs(project(matrix, points)) < 0.95).all(axis=1)
    middle: np.ndarray = points[inside].mean(axis=0) if inside.any() else np.zeros(2)
    return middle[None]


def enlargement(small: Pixels, large: Pixels, scale: float, *, across: bool) -> tuple[float, float]:
    """Power of the larger of two files at and beyond the frequency limit of the smaller one.

    Both are natural logarithms relative to the power of the smaller file at its limit. Downscaling
    weakens the highest frequencies; so does upscaling, which leaves little beyond.

    small, large: uint8 (h, w, 3), the same area.
    scale: of their pixels along the direction, above 1.
    across: whether to compare rows, or else columns.
    """
    low, high = (_spectrum(each, across=across) for each in (small, large))
    low_level, high_level = _band(low, 0.06, 0.16), _band(high, 0.06 / scale, 0.16 / scale)
    limit_low = _band(low, 0.36, 0.47) / low_level
    limit_high = _band(high, 0.36 / scale, 0.47 / scale) / high_level
    beyond = _band(high, 0.5 / scale, min(0.5, 0.62 / scale)) / high_level
    return float(np.log(limit_high / limit_low)), float(np.log(beyond / limit_low))


def _spectrum(pixels: Pixels, *, across: bool) -> Floats:
    """Mean power of the rows, or columns, by frequency up to 0.5, float32 (n // 2 + 1,)."""
    lines = luminance(pixels)
    lines = lines if across else np.ascontiguousarray(lines.T)
    window = np.hanning(lines.shape[1]).astype(np.float32)
    transformed = np.fft.rfft((lines - lines.mean(axis=1, keepdims=True)) * window, axis=1)
    power: Floats = (np.abs(transformed) ** 2).mean(axis=0) / (window**2).sum()
    return power


def _band(spectrum: Floats, low: float, high: float) -> float:
    """Mean power of a frequency band, in cycles per pixel."""
    last = len(spectrum) - 1
    start = min(round(low * 2 * last), last)
    return float(spectrum[start : max(round(high * 2 * last), start + 1)].mean()) + _FLOOR
