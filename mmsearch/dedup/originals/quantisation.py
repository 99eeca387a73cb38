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
# Of the blocks, those that differ least.
_LIKE: Final = 0.7
# Bands of the DCT by the sum of both frequencies: low, middle, high, highest.
_BANDS: Final = tuple((low <= _ORDER) & (high >= _ORDER)
                      for low, high in ((2, 3), (4, 5), (6, 7), (8, 11)))  # fmt: skip


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
    highest frequencies, 0 to 1.
    """

    sharper: int
    clearly: float
    gain: float
    growth: float
    shared: float


def compare_sharpness(first: Pixels, second: Pixels) -> Sharpness:
    """first, second: uint8 (h, w, 3), one place on one grid."""
    one, two = coefficients(luminance(first)), coefficients(luminance(second))
    # Neither marks that one of them carries nor what was clipped have a part in it.
    apart = np.abs(one - two)[:, _BANDS[0]].mean(axis=1)
    like = apart <= np.quantile(apart, _LIKE)
    one, two = one[like], two[like]
    powers = np.array([[float((each[:, band] ** 2).sum(axis=1).mean()) + 2 for band in _BANDS]
                       for each in (one, two)])  # fmt: skip
    both = np.array([float((one[:, band] * two[:, band]).sum(axis=1).mean()) for band in _BANDS])
    both = np.maximum(both, 0.5)
    more = np.log(powers[0] / powers[1])
    lead = more[3] + 0.5 * more[2]
    gain = np.log(both / powers[1 if lead > 0 else 0])
    return Sharpness(
        sharper=1 if lead > 0 else -1,
        clearly=float(np.clip((abs(lead) - 0.4) / 0.6, 0, 1)),
        gain=float(gain[2]),
        growth=float(gain[3] - gain[1]),
        shared=float(both[3] ** 2 / (powers[0, 3] * powers[1, 3])),
    )
