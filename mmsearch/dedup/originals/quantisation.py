"""What saving leaves in pixels: a copy misses its source by just what its own file rounds off.

A JPEG holds multiples of its quantisation steps. What it was made from says which multiples: those
nearest to the source's coefficients. Nothing but chance says so the other way round, and a source
that was saved coarsely shows its own multiples in everything made from it.
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
# The coefficients of the highest frequencies are mostly zero; the mean is not compared.
_TELLING: Final = np.flatnonzero((_ORDER > 0) & (_ORDER <= 6))
# Smaller steps drown in what the way to RGB and back adds, in levels.
_SMALLEST_STEP: Final = 2.5
_ROUNDING: Final = 1.0
_FEWEST: Final = 60
_LUMINANCE: Final = np.array([0.299, 0.587, 0.114], np.float32)
# Of blocks, over which a gain that changes with the place is averaged.
_NEIGHBOURS: Final = 5
# Mean distance from multiples, in steps, above which pixels lie on another grid, and the change of
# a coefficient that rounding pixels does not make.
_OFF_GRID: Final = 0.15
_DIFFERENT: Final = 0.3
# Of the blocks, those that differ least.
_LIKE: Final = 0.7
_PLAIN: Final = 20.0
# Power that rounding adds, in squares of levels.
_SILENT: Final = 2.0
# Bands of the DCT by the sum of both frequencies: low, middle, high, highest.
_BANDS: Final = tuple(
    np.flatnonzero(np.isin(_ORDER, orders)) for orders in ((2, 3), (4, 5), (6, 7), (8, 9, 10, 11))
)


def luminance(colours: Pixels) -> Floats:
    """uint8 (h, w, 3) → float32 (h, w)."""
    grey: Floats = colours.astype(np.float32) @ _LUMINANCE
    return grey


def coefficients(grey: Floats) -> Floats:
    """float32 (h, w), sides multiples of 8 → float32 (blocks, 64), row by row."""
    rows, columns = (length // 8 for length in grey.shape)
    blocks = grey.reshape(rows, 8, columns, 8).swapaxes(1, 2).reshape(-1, 8, 8)
    found: Floats = (_DCT @ blocks @ _DCT.T).reshape(-1, 64)
    return found


@dataclass(frozen=True, slots=True)
class Remainder:
    """What of a JPEG's coefficients another picture does not foretell.

    plain, fitted: median deviation, 1 for what rounding to the file's own steps leaves; after a
        gain for each frequency, and after tones and sharpness were fitted as well.
    repeated, repeated_fitted: share of coefficients that rounding the other's gives, likewise.
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
    """own, other: uint8 (h, w, 3), one place, on the block grid of the file that `own` is from.

    table: of that file. None where too few coefficients are left that tell anything.
    """
    step = table.ravel()[_TELLING].astype(np.float32)
    mine, theirs = luminance(own), luminance(other)
    held = np.round(coefficients(mine)[:, _TELLING] / step) * step
    telling = (held != 0) & (step >= _SMALLEST_STEP)
    if telling.sum() < _FEWEST:
        return None
    bare = coefficients(theirs)[:, _TELLING]
    gain = _gains(held, bare, telling)
    toned = coefficients(_in_tones_of(mine, theirs, other))[:, _TELLING]
    toned = toned * _gains(held, toned, telling)
    toned = toned * _local_gains(held, toned, telling / step, mine.shape)
    either, either_fitted = (
        ((held != 0) | (np.abs(each) > 0.6 * step)) & (step >= _SMALLEST_STEP)
        for each in (bare, toned)
    )
    return Remainder(
        plain=_deviation(held - gain * bare, step, telling),
        fitted=_deviation(held - toned, step, telling),
        repeated=float((np.round(bare / step) * step == held)[either].mean()),
        repeated_fitted=float((np.round(toned / step) * step == held)[either_fitted].mean()),
        within=float((np.abs(held - toned) <= step / 2 + _ROUNDING)[either_fitted].mean()),
        gain=float(np.median(gain[-7:])),
    )


def _deviation(difference: Floats, step: Floats, telling: NDArray[np.bool_]) -> float:
    """Rounding leaves differences evenly between 0 and half a step."""
    return float(np.median((np.abs(difference) * 4 / step)[telling]))


def _gains(held: Floats, foretold: Floats, telling: NDArray[np.bool_]) -> Floats:
    """float32 (frequencies,): by least squares; of frequencies that are rare the median."""
    power = (foretold**2 * telling).sum(axis=0)
    gains: Floats = (held * foretold * telling).sum(axis=0) / (power + 1)
    rare = telling.sum(axis=0) < 20
    gains[rare] = np.median(gains[~rare]) if not rare.all() else 1
    return gains


def _local_gains(held: Floats, foretold: Floats, weight: Floats, shape: tuple[int, ...]) -> Floats:
    """float32 (blocks, 1): one gain for each block and those around it."""
    size = shape[0] // 8, shape[1] // 8
    both, power = (
        uniform_filter(values.sum(axis=1).reshape(size), _NEIGHBOURS, mode="nearest")
        for values in (held * foretold * weight**2, foretold**2 * weight**2)
    )
    least = 0.02 * power.mean() + 1e-6
    gains: Floats = ((both + least) / (power + least)).reshape(-1, 1)
    return gains


def _in_tones_of(mine: Floats, theirs: Floats, colours: Pixels) -> Floats:
    """float32 (h, w): `theirs` brought to the tones of `mine`, by a curve and by colour."""
    level = np.round(theirs).astype(np.int64).ravel()
    wanted = mine.ravel()
    smooth = np.exp(-0.5 * (np.arange(-3, 4) / 1.2) ** 2)
    count, total = (
        np.convolve(np.bincount(level, weights, 256), smooth, "same") for weights in (None, wanted)
    )
    toned = (total / np.maximum(count, 1e-6))[level]
    chroma = colours[..., [0, 2]].reshape(-1, 2) - theirs.reshape(-1, 1)
    chroma -= chroma.mean(axis=0)
    rest = wanted - toned
    slope = np.linalg.solve(
        chroma.T @ chroma + 1e3 * np.eye(2, dtype=np.float32), chroma.T @ (rest - rest.mean())
    )
    fitted: Floats = (toned + chroma @ slope).reshape(mine.shape).astype(np.float32)
    return fitted


@dataclass(frozen=True, slots=True)
class Sharpness:
    """How two pictures of one size differ in fine detail.

    sharper: 1 if the first has more of it, -1 if the second. clearly: 0 to 1.
    gain: natural logarithm by which the softer one's high frequencies were raised in the sharper.
    growth: of that gain from the middle to the highest frequencies. shared: coherence of the
    highest frequencies, 0 to 1. slopes: natural logarithms of power at the high against the middle
    frequencies, of the sharper and of the softer one: a blur makes it steep, sharpening flat.
    """

    sharper: int
    clearly: float
    gain: float
    growth: float
    shared: float
    slopes: tuple[float, float]


def compare_sharpness(first: Pixels, second: Pixels) -> Sharpness:
    """first, second: uint8 (h, w, 3), one place on one grid."""
    one, two = coefficients(luminance(first)), coefficients(luminance(second))
    # Neither marks that one of them carries nor what was clipped have a part in it.
    low_one, low_two = one[:, _BANDS[0]], two[:, _BANDS[0]]
    apart = np.abs(low_one - low_two).sum(axis=1)
    apart /= np.abs(low_one).sum(axis=1) + np.abs(low_two).sum(axis=1) + _PLAIN
    like = apart <= np.quantile(apart, _LIKE)
    one, two = one[like], two[like]
    powers = np.array(
        [[float((each[:, band] ** 2).sum(axis=1).mean()) for band in _BANDS] for each in (one, two)]
    )
    both = np.array([float((one[:, band] * two[:, band]).sum(axis=1).mean()) for band in _BANDS])
    # Bands that are empty in both say nothing.
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
    """Of two files saved with one table on one block grid, which was rounded less often.

    Rounding and clipping pixels moves coefficients off the multiples that a file holds. Where that
    goes so far that saving again gives other multiples, these are nearer to what pixels can show.
    → the natural logarithm of the first one's mean distance from multiples against the second one's
    where they differ: above 0 if the first was saved before the second. 0 where nothing tells.
    """
    step = table.ravel().astype(np.float32)
    telling = step >= _SMALLEST_STEP
    both = [coefficients(luminance(each) - 128) / step for each in (first, second)]
    away = [np.abs(each - np.round(each))[:, telling] for each in both]
    if max(float(each.mean()) for each in away) > _OFF_GRID:
        return 0.0
    differ = np.abs(both[0] - both[1]).max(axis=1) > _DIFFERENT
    if not differ.any():
        return 0.0
    one, two = (float(each[differ].mean()) for each in away)
    return float(np.log(one / two))
