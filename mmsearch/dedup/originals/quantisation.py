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

from mmsearch.dedup.originals.candidate import QuantTable
from mmsearch.media.colour import LUMA
from mmsearch.records import Floats, Pixels

_DCT: Final = dct(np.eye(8), axis=0, norm="ortho").astype(np.float32)
# Sum of both frequencies of each coefficient.
FREQUENCY_ORDER: Final = np.add.outer(np.arange(8), np.arange(8)).ravel()
# Coefficients of the highest frequencies are mostly zero; the mean is not compared.
_TELLING: Final = np.flatnonzero((FREQUENCY_ORDER > 0) & (FREQUENCY_ORDER <= 6))
# Smaller steps are hidden by the conversion to RGB and back, in levels.
_SMALLEST_STEP: Final = 2.5
_ROUNDING: Final = 1.0
_FEWEST: Final = 60
# Number of blocks over which a local gain is averaged.
_NEIGHBOURS: Final = 5
# Number of frequencies, across and down, over which a filter is averaged.
_FREQUENCIES: Final = 7
# Mean distance from multiples, in steps, above which pixels are on another grid, and a change of a
# coefficient that rounding pixels does not cause.
_OFF_GRID: Final = 0.15
_DIFFERENT: Final = 0.3


def luminance(colours: Pixels) -> Floats:
    """Luminance, float32 (h, w), of colours, uint8 (h, w, 3)."""
    grey: Floats = colours.astype(np.float32) @ LUMA
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
        frequency, and after tones and sharpness, or a filter, were fitted as well.
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


def remainder(
    own: Pixels, other: Pixels, table: QuantTable, *, filtered: bool = False
) -> Remainder | None:
    """Measures what `other` does not predict of the JPEG `own`.

    own, other: uint8 (h, w, 3), the same area, on the block grid of `own`.
    table: of that file.
    filtered: whether to fit a linear filter: a blurred or sharpened copy is one of its source, but
        a source is none of a copy that lost or gained detail.
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
    predicted = _filtered(mine, theirs) if filtered else theirs
    toned = coefficients(_in_tones_of(mine, predicted, other))[:, _TELLING]
    if not filtered:
        toned = toned * _gains(held, toned, informative)
        toned = toned * _local_gains(held, toned, informative / step, mine.shape)
    either, either_fitted = (
        ((held != 0) | (np.abs(each) > 0.6 * step)) & (step >= _SMALLEST_STEP)
        for each in (bare, toned)
    )
    return Remainder(
        plain=_deviation(held - gain * bare, step, informative),
        fitted=_deviation(held - toned, step, either_fitted if filtered else informative),
        repeated=float((np.round(bare / step) * step == held)[either].mean()),
        repeated_fitted=float((np.round(toned / step) * step == held)[either_fitted].mean()),
        within=float((np.abs(held - toned) <= step / 2 + _ROUNDING)[either_fitted].mean()),
        gain=float(np.median(gain[-7:])),
    )


def _filtered(mine: Floats, theirs: Floats) -> Floats:
    """The linear filter of `theirs` that is nearest to `mine`, float32 (h, w).

    Cross power over power, each averaged over neighbouring frequencies (a Wiener filter).
    """
    window = np.hanning(mine.shape[0])[:, None] * np.hanning(mine.shape[1])
    level, target = theirs.mean(), mine.mean()
    source = np.fft.rfft2((theirs - level) * window)
    goal = np.fft.rfft2((mine - target) * window)
    cross = goal * source.conj()
    real, imaginary, power = (
        uniform_filter(part, _FREQUENCIES, mode=("wrap", "nearest"))
        for part in (cross.real, cross.imag, np.abs(source) ** 2)
    )
    spectrum = np.fft.rfft2(theirs - level) * (real + 1j * imaginary) / (power + 1)
    found = np.fft.irfft2(spectrum, s=mine.shape) + target
    limited: Floats = np.clip(found, 0, 255).astype(np.float32)
    return limited


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
