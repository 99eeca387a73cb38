"""Traces of quantisation: a copy differs from its source just by its own rounding.

A JPEG holds multiples of its quantisation steps. Its source predicts which: those nearest to the
source's coefficients. The reverse only holds by chance, and a coarsely saved source shows its own
multiples in everything made from it.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dct
from scipy.ndimage import uniform_filter

from mmsearch.dedup.originals.evidence import QuantTable
from mmsearch.records import Floats, Pixels

_DCT: Final = dct(np.eye(8), axis=0, norm="ortho").astype(np.float32)
_ORDER: Final = np.add.outer(np.arange(8), np.arange(8)).ravel()
# Coefficients of the highest frequencies are mostly zero; the mean is not compared.
_TELLING: Final = np.flatnonzero((_ORDER > 0) & (_ORDER <= 6))
# Smaller steps are hidden by the conversion to RGB and back, in levels.
_SMALLEST_STEP: Final = 2.5
_ROUNDING: Final = 1.0
_FEWEST: Final = 60
_LUMINANCE: Final = np.array([0.299, 0.587, 0.114], np.float32)
# Number of blocks over which a local gain is averaged.
_NEIGHBOURS: Final = 5
# Mean distance from multiples, in steps, above which pixels are on another grid, and a change of a
# coefficient that rounding pixels does not cause.
_OFF_GRID: Final = 0.15
_DIFFERENT: Final = 0.3
# Share of the blocks, those that differ least.
_LIKE: Final = 0.7
_PLAIN: Final = 20.0
# Power that rounding adds, in squared levels.
_SILENT: Final = 2.0
# Bands of the DCT by the sum of both frequencies: low, middle, high, highest.
_BANDS: Final = tuple(
    np.flatnonzero(np.isin(_ORDER, orders)) for orders in ((2, 3), (4, 5), (6, 7), (8, 9, 10, 11))
)


def luminance(colours: Pixels) -> Floats:
    """Luminance, float32 (h, w), of colours, uint8 (h, w, 3)."""
    grey: Floats = colours.astype(np.float32) @ _LUMINANCE
    return grey


def coefficients(grey: Floats) -> Floats:
    """DCT coefficients of blocks, float32 (blocks, 64), in row-major order.

    grey: float32 (h, w), sides multiples of 8.
    """
    rows, columns = (length // 8 for length in grey.shape)
    blocks = grey.reshape(rows, 8, columns, 8).swapaxes(1, 2).reshape(-1, 8, 8)
    found: Floats = (_DCT @ blocks @ _DCT.T).reshape(-1, 64)
    return found


@dataclass(frozen=True, slots=True)
class Remainder:
    """What another image does not predict of a JPEG's coefficients.

    plain, fitted: median deviation, 1 for rounding to the file's own steps; after a gain for each
        frequency, and after tones and sharpness were fitted as well.
    repeated, repeated_fitted: share of coefficients that equal the other's after rounding,
        likewise.
    within: share of those that deviate by no more than rounding does, fitted.
    gain: of the higher frequencies.
    """

    plain: float
    fitted: float
    repeated: float
    repeated_fitted: float
    within: float
    gain: float


def remainder(own: Pixels, other: Pixels, table: QuantTable) -> Remainder | None:
    """Measures what `other` does not predict of the JPEG `own`.

    own, other: uint8 (h, w, 3), the same area, on the block grid of `own`.
    table: of that file.
    Returns None if there are too few informative coefficients.
    """
    step = table.ravel()[_TELLING].astype(np.float32)
    mine, theirs = luminance(own), luminance(other)
    held = np.round(coefficients(mine)[:, _TELLING] / step) * step
    informative = (held != 0) & (step >= _SMALLEST_STEP)
    if informative.sum() < _FEWEST:
        return None
    bare = coefficients(theirs)[:, _TELLING]
    gain = _gains(held, bare, informative)
    toned = coefficients(_in_tones_of(mine, theirs, other))[:, _TELLING]
    toned = toned * _gains(held, toned, informative)
    toned = toned * _local_gains(held, toned, informative / step, mine.shape)
    either, either_fitted = (
        ((held != 0) | (np.abs(each) > 0.6 * step)) & (step >= _SMALLEST_STEP)
        for each in (bare, toned)
    )
    return Remainder(
        plain=_deviation(held - gain * bare, step, informative),
        fitted=_deviation(held - toned, step, informative),
        repeated=float((np.round(bare / step) * step == held)[either].mean()),
        repeated_fitted=float((np.round(toned / step) * step == held)[either_fitted].mean()),
        within=float((np.abs(held - toned) <= step / 2 + _ROUNDING)[either_fitted].mean()),
        gain=float(np.median(gain[-7:])),
    )


def _deviation(difference: Floats, step: Floats, informative: NDArray[np.bool_]) -> float:
    """Median deviation in steps; rounding leaves differences uniform between 0 and half a step."""
    return float(np.median((np.abs(difference) * 4 / step)[informative]))


def _gains(held: Floats, predicted: Floats, informative: NDArray[np.bool_]) -> Floats:
    """Gain of each frequency by least squares, float32; rare ones have the median."""
    power = (predicted**2 * informative).sum(axis=0)
    gains: Floats = (held * predicted * informative).sum(axis=0) / (power + 1)
    rare = informative.sum(axis=0) < 20
    gains[rare] = np.median(gains[~rare]) if not rare.all() else 1
    return gains


def _local_gains(held: Floats, predicted: Floats, weight: Floats, shape: tuple[int, ...]) -> Floats:
    """Gain of each block and its neighbours, float32 (blocks, 1)."""
    size = shape[0] // 8, shape[1] // 8
    both, power = (
        uniform_filter(values.sum(axis=1).reshape(size), _NEIGHBOURS, mode="nearest")
        for values in (held * predicted * weight**2, predicted**2 * weight**2)
    )
    least = 0.02 * power.mean() + 1e-6
    gains: Floats = ((both + least) / (power + least)).reshape(-1, 1)
    return gains


def _in_tones_of(mine: Floats, theirs: Floats, colours: Pixels) -> Floats:
    """`theirs` mapped to the tones of `mine`, by a curve and by colour, float32 (h, w)."""
    level = np.round(theirs).astype(np.int64).ravel()
    target = mine.ravel()
    smooth = np.exp(-0.5 * (np.arange(-3, 4) / 1.2) ** 2)
    count, total = (
        np.convolve(np.bincount(level, weights, 256), smooth, "same") for weights in (None, target)
    )
    toned = (total / np.maximum(count, 1e-6))[level]
    chroma = colours[..., [0, 2]].reshape(-1, 2) - theirs.reshape(-1, 1)
    chroma -= chroma.mean(axis=0)
    rest = target - toned
    slope = np.linalg.solve(
        chroma.T @ chroma + 1e3 * np.eye(2, dtype=np.float32), chroma.T @ (rest - rest.mean())
    )
    fitted: Floats = (toned + chroma @ slope).reshape(mine.shape).astype(np.float32)
    return fitted


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


def unsettled(first: Pixels, second: Pixels, table: QuantTable) -> float:
    """Compares how often two files with one table and one block grid were rounded.

    Rounding and clipping pixels moves coefficients off the multiples that a file holds. Where that
    goes so far that saving again gives other multiples, these are nearer to what pixels can show.

    Returns the log ratio of the first's mean distance from multiples to the second's where they
    differ: positive if the first was saved before the second, 0 if undecided.
    """
    step = table.ravel().astype(np.float32)
    informative = step >= _SMALLEST_STEP
    both = [coefficients(luminance(each) - 128) / step for each in (first, second)]
    away = [np.abs(each - np.round(each))[:, informative] for each in both]
    if max(float(each.mean()) for each in away) > _OFF_GRID:
        return 0.0
    differ = np.abs(both[0] - both[1]).max(axis=1) > _DIFFERENT
    if not differ.any():
        return 0.0
    one, two = (float(each[differ].mean()) for each in away)
    return float(np.log(one / two))
