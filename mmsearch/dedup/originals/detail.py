"""How much detail files hold of what they share: pixels that an enlargement made do not count."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from mmsearch.dedup.originals.evidence import Candidate
from mmsearch.dedup.originals.registration_facts import Homography, project

_WINDOW: Final = 256
_LARGEST_WINDOW: Final = 512
_BINS: Final = 64
# Nobody enlarges a picture by more along a side; then the smaller one is a thumbnail.
_ENLARGED_MOST: Final = 4.0


def scale_between(one: Candidate, two: Candidate, matrix: Homography) -> float:
    """Pixels of `two` for each pixel of `one` along a side, in the middle of what they share.

    matrix: from the normalised coordinates of `one` to those of `two`.
    """
    middle = shared_middle(matrix)
    step = 1e-3
    points = project(matrix, middle + np.array([[0, 0], [step, 0], [0, step]]))
    across, down = (points[1] - points[0]) / step, (points[2] - points[0]) / step
    sides_one = np.array([one.file.width, one.file.height], np.float64)
    sides_two = np.array([two.file.width, two.file.height], np.float64)
    jacobian = np.stack([across, down], axis=1) * sides_two[:, None] / sides_one[None]
    return float(np.sqrt(abs(np.linalg.det(jacobian))))


def shared_middle(matrix: Homography) -> np.ndarray:
    """float64 (1, 2): a point that lies well inside of both pictures."""
    grid = np.linspace(-0.9, 0.9, 13)
    x, y = np.meshgrid(grid, grid)
    points = np.stack([x.ravel(), y.ravel()], axis=1)
    inside = (np.abs(project(matrix, points)) < 0.95).all(axis=1)
    middle: np.ndarray = points[inside].mean(axis=0) if inside.any() else np.zeros(2)
    return middle[None]


def spectrum(candidate: Candidate, middle: np.ndarray, side: int) -> NDArray[np.float64]:
    """Power by radial frequency of a window at full size.

    middle: float64 (2,), the window's centre in normalised coordinates. side: of the window.
    → float64 (_BINS,), mean power in equal steps from 0 to 0.5 cycles a pixel.
    """
    window = _window(candidate, middle, side)
    hann = np.outer(np.hanning(window.shape[0]), np.hanning(window.shape[1]))
    values = (window - window.mean()) * hann
    power = np.abs(fft.fft2(values)) ** 2 / (hann**2).sum()
    frequency = np.hypot(fft.fftfreq(window.shape[0])[:, None], fft.fftfreq(window.shape[1])[None])
    bins = np.minimum((frequency * 2 * _BINS).astype(int), _BINS)
    total = np.bincount(bins.ravel(), power.ravel(), _BINS + 1)[:_BINS]
    count = np.bincount(bins.ravel(), minlength=_BINS + 1)[:_BINS]
    radial: NDArray[np.float64] = total / np.maximum(count, 1)
    return radial


def _window(candidate: Candidate, middle: np.ndarray, side: int) -> NDArray[np.float64]:
    """float64: the part of the close-up around a place, moved inside where it would reach out."""
    height, width = candidate.close.shape
    sides = np.array([candidate.file.width, candidate.file.height])
    x, y = (middle + 1) / 2 * sides - np.array(candidate.corner) - side / 2
    left = int(np.clip(x, 0, max(0, width - side)))
    top = int(np.clip(y, 0, max(0, height - side)))
    return candidate.close[top : top + side, left : left + side].astype(np.float64)


def band(radial: NDArray[np.float64], low: float, high: float) -> float:
    """Mean power from one frequency to another, in cycles a pixel of that file."""
    start, stop = round(low * 2 * _BINS), round(high * 2 * _BINS)
    return float(radial[start : max(stop, start + 1)].mean())


def true_enlargement(small: Candidate, large: Candidate, matrix: Homography) -> float:
    """Whether a larger file holds more detail than a smaller one: above 0 if so, below 0 if it was
    enlarged; beyond 2 either way there is hardly a doubt.

    matrix: from the normalised coordinates of `small` to those of `large`. Making a picture smaller
    weakens its highest frequencies, and so does making it larger, which leaves nothing above them.
    """
    scale = scale_between(small, large, matrix)
    if scale > _ENLARGED_MOST:
        return 3.0
    middle = shared_middle(matrix)
    low = spectrum(small, middle[0], _WINDOW)
    high = spectrum(large, project(matrix, middle)[0], min(_LARGEST_WINDOW, round(_WINDOW * scale)))
    floor = 1e-3
    level_low = band(low, 0.06, 0.16) + floor
    level_high = band(high, 0.06 / scale, 0.16 / scale) + floor
    top_low = (band(low, 0.36, 0.47) + floor) / level_low
    top_high = (band(high, 0.36 / scale, 0.47 / scale) + floor) / level_high
    beyond = (band(high, 0.5 / scale, min(0.5, 0.62 / scale)) + floor) / level_high
    # Weights and offset: fitted to enlarged and reduced photographs, see docs/dedup.md.
    return float(3 * np.log(top_high / top_low) + 2 * (np.log(beyond / top_low) + 1.45))


def fine_detail(candidate: Candidate, middle: NDArray[np.float64]) -> NDArray[np.float64]:
    """float64 (3,): logarithms of power at middle, high and highest frequencies, against low ones.

    middle: float64 (2,), the centre of the window in normalised coordinates.
    """
    radial = spectrum(candidate, middle, _WINDOW) + 1e-3
    limits = ((0.05, 0.12), (0.15, 0.25), (0.3, 0.4), (0.4, 0.5))
    bands = np.array([band(radial, low, high) for low, high in limits])
    detail: NDArray[np.float64] = np.log(bands[1:] / bands[0])
    return detail
