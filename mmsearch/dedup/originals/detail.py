"""Compares the fine detail of two files: which one is sharper, enlarged or resampled."""

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import numpy as np

from mmsearch.dedup.originals.candidate import Candidate
from mmsearch.dedup.originals.quantisation import FREQUENCY_ORDER, coefficients, luminance
from mmsearch.dedup.originals.registration import Homography, project
from mmsearch.records import Floats, Pixels

Direction: TypeAlias = Literal["rows", "columns", "all"]
AXES: Final[tuple[Direction, Direction]] = ("rows", "columns")

# Greatest and least side of compared squares, in pixels.
_SQUARE: Final = 256
_SMALLEST: Final = 64
# Power that rounding to integers adds at every frequency, in squared levels.
_FLOOR: Final = 0.1
# Share of the blocks, those that differ least.
_LIKE: Final = 0.7
_PLAIN: Final = 20.0
# Power that rounding adds, in squared levels.
_SILENT: Final = 2.0
# Bands of the DCT by the sum of both frequencies: low, middle, high, highest.
_BANDS: Final = tuple(
    np.flatnonzero(np.isin(FREQUENCY_ORDER, orders))
    for orders in ((2, 3), (4, 5), (6, 7), (8, 9, 10, 11))
)


@dataclass(frozen=True, slots=True)
class Sharpness:
    """Difference of two images of one size in fine detail.

    sharper: 1 if the first has more of it, -1 if the second.
    clearly: 0 to 1.
    gain: log gain of the softer one's high frequencies in the sharper one.
    growth: of that gain from the middle to the highest frequencies.
    shared: coherence of the highest frequencies, 0 to 1.
    slopes: log power of high relative to middle frequencies, of the sharper and of the softer one:
        steep for a blur, flat for sharpening.
    """

    sharper: int
    clearly: float
    gain: float
    growth: float
    shared: float
    slopes: tuple[float, float]


def compare_sharpness(first: Pixels, second: Pixels) -> Sharpness:
    """Compares the fine detail of images, uint8 (h, w, 3), the same area on one grid."""
    one, two = coefficients(luminance(first)), coefficients(luminance(second))
    # Excludes marks of one image and clipped areas.
    low_one, low_two = one[:, _BANDS[0]], two[:, _BANDS[0]]
    apart = np.abs(low_one - low_two).sum(axis=1)
    apart /= np.abs(low_one).sum(axis=1) + np.abs(low_two).sum(axis=1) + _PLAIN
    like = apart <= np.quantile(apart, _LIKE)
    one, two = one[like], two[like]
    powers = np.array(
        [[float((each[:, band] ** 2).sum(axis=1).mean()) for band in _BANDS] for each in (one, two)]
    )
    both = np.array([float((one[:, band] * two[:, band]).sum(axis=1).mean()) for band in _BANDS])
    # Bands that are empty in both carry no information.
    powers, both = powers + _SILENT, np.maximum(both, 0) + _SILENT
    more = np.log(powers[0] / powers[1])
    lead = more[1:].mean()
    gain = np.log(both / powers[1 if lead > 0 else 0])
    slopes = np.log(powers[:, 2] / powers[:, 0])
    return Sharpness(
        sharper=1 if lead > 0 else -1,
        clearly=float(np.clip((abs(lead) - 0.25) / 0.35, 0, 1)),
        gain=float(gain[2]),
        growth=float(gain[3] - gain[1]),
        shared=float(both[3] ** 2 / (powers[0, 3] * powers[1, 3])),
        slopes=(float(slopes[0]), float(slopes[1]))
        if lead > 0
        else (float(slopes[1]), float(slopes[0])),
    )


def enlargement(
    small: Pixels, large: Pixels, scale: float, *, along: Direction
) -> tuple[float, float]:
    """Power of the larger of two files at and beyond the frequency limit of the smaller one.

    Both are natural logarithms relative to the power of the smaller file at its limit. Downscaling
    weakens the highest frequencies; so does upscaling, which leaves little beyond.

    small, large: uint8 (h, w, 3), the same area.
    scale: of their pixels along the direction, 1 or more.
    along: direction of the frequencies; "all" for areas that are tilted against each other.
    """
    low, high = (_spectrum(each, along) for each in (small, large))
    low_level, high_level = _band(low, 0.06, 0.16), _band(high, 0.06 / scale, 0.16 / scale)
    limit_low = _band(low, 0.36, 0.47) / low_level
    limit_high = _band(high, 0.36 / scale, 0.47 / scale) / high_level
    beyond = _band(high, 0.5 / scale, min(0.5, 0.62 / scale)) / high_level
    return float(np.log(limit_high / limit_low)), float(np.log(beyond / limit_low))


def _spectrum(pixels: Pixels, along: Direction) -> Floats:
    """Mean power by frequency, from 0 to 0.5 cycles per pixel, float32 (n,)."""
    grey = luminance(pixels)
    if along == "all":
        side = min(grey.shape)
        grey = grey[:side, :side]
        window = np.hanning(side).astype(np.float32)
        power = np.abs(np.fft.rfft2((grey - grey.mean()) * window * window[:, None])) ** 2
        radius = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)) * side
        bins = np.round(radius).astype(np.int64).ravel()
        sums, counts = np.bincount(bins, power.ravel()), np.bincount(bins)
        radial: Floats = (sums / counts)[: side // 2 + 1] / (window**2).sum() ** 2
        return radial
    lines = grey if along == "rows" else np.ascontiguousarray(grey.T)
    window = np.hanning(lines.shape[1]).astype(np.float32)
    transformed = np.fft.rfft((lines - lines.mean(axis=1, keepdims=True)) * window, axis=1)
    mean: Floats = (np.abs(transformed) ** 2).mean(axis=0) / (window**2).sum()
    return mean


def _band(spectrum: Floats, low: float, high: float) -> float:
    """Mean power of a frequency band, in cycles per pixel."""
    last = len(spectrum) - 1
    start = min(round(low * 2 * last), last)
    return float(spectrum[start : max(round(high * 2 * last), start + 1)].mean()) + _FLOOR


def shared_squares(
    one: Candidate, two: Candidate, matrix: Homography, scale: float
) -> tuple[Pixels, Pixels] | None:
    """Square close-ups of one place in both images, tilted as these are; None if they are small.

    matrix: from the normalised coordinates of `one` to those of `two`.
    scale: pixels of `two` per pixel of `one`.
    """
    steps = np.linspace(0.05, 0.95, 19)
    x, y = (grid.ravel() for grid in np.meshgrid(steps, steps))
    inner = np.stack([x, y], axis=1) * one.close.shape[1::-1]
    sides = np.array([[each.file.width, each.file.height] for each in (one, two)], np.float64)
    mapped = (project(matrix, (inner + one.corner) / sides[0] * 2 - 1) + 1) / 2 * sides[1]
    mapped -= two.corner
    inside = ((mapped > 0) & (mapped < two.close.shape[1::-1])).all(axis=1)
    if not inside.any():
        return None
    centres = inner[inside].mean(axis=0), mapped[inside].mean(axis=0)
    room = [
        float(np.minimum(centre, each.close.shape[1::-1] - centre).min())
        for centre, each in zip(centres, (one, two), strict=True)
    ]
    half = min(room[0], room[1] / scale, _SQUARE / 2)
    if half * min(1.0, scale) < _SMALLEST / 2:
        return None
    first, second = (
        each.close[int(y - reach) : int(y + reach), int(x - reach) : int(x + reach)]
        for each, (x, y), reach in zip((one, two), centres, (half, half * scale), strict=True)
    )
    return first, second
