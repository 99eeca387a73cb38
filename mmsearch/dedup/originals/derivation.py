"""Decides which of two files was derived from the other, by pixels that both show.

Weights are log odds, fitted by logistic regression on originals and their edited copies
(`benchmarks/fit_originals.py`); for two files with equal evidence they are 0.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from mmsearch.dedup.originals.candidate import Candidate, FileEvidence
from mmsearch.dedup.originals.detail import (
    AXES,
    Sharpness,
    compare_sharpness,
    enlargement,
    shared_squares,
)
from mmsearch.dedup.originals.frame import AlignedCandidate
from mmsearch.dedup.originals.quantisation import Remainder, remainder, unsettled
from mmsearch.dedup.originals.reasons import Evidence
from mmsearch.dedup.originals.registration import Homography, inverse, scale_between
from mmsearch.dedup.originals.same_grid import SameGrid, on_same_grid

# Weights in the order of `equal_size_features`, `scaled_features` and `tilted_features`.
EQUAL_SIZE_WEIGHTS: Final = np.array(
    [-1.36, 0.62, 2.38, -2.72, 5.67, 0.50, 0.56, -4.19, -5.83, -1.18, -1.44, 1.55, 0.59, -1.42]
)
# For files that differ in sharpness, whose remainders are measured after a filter.
FILTERED_WEIGHTS: Final = np.array(
    [-0.69, 2.63, 1.51, -2.16, 4.10, -0.15, -0.63, -2.63, -5.00, -2.10, -1.26, 1.79, -0.72, -0.50]
)
SCALED_WEIGHTS: Final = np.array([0.18, 4.14, -2.08, -1.39, 2.06, 1.00, 0.0, -2.46, -6.38, -1.54])
# Set by hand from the size of the effect.
TILTED_WEIGHTS: Final = np.array([3.0, 1.5, 1.0])
# Logarithms of scales: below which they count as equal, from which the larger file has a band of
# frequencies of its own, and beyond which the smaller one is a thumbnail anyway.
_EQUAL_SCALE, _CLEARLY_LARGER, _THUMBNAIL = 0.05, 0.3, 1.5
# Bound of the weight: a source that was itself coarsely recompressed may look like a copy.
_MOST: Final = 4.5
# Images are hardly ever enlarged by more along a side; beyond it the smaller one is a thumbnail.
_ENLARGED_MOST: Final = 4.0
# Difference of the scales of both directions from which an image was stretched.
_STRETCHED: Final = 0.02
# Power beyond the frequency limit of the smaller file, midway between both cases.
_USUAL_BEYOND: Final = 1.45
# Share of coefficients explained by rounding, below which more was done than saving.
_PARTLY: Final = 0.85
# Above this share, the file was only saved again.
_PURE: Final = 0.9
# Deviation, 1 for rounding to the file's own steps, below which the file was not rounded from the
# other: the other has its coefficients.
_ROUNDED: Final = 0.7
# How clearly two files differ in sharpness before one counts as a filter of the other.
_UNEQUALLY_SHARP: Final = 0.5
_PALETTE: Final = 4.0
_SAME_PIXELS: Final = 5.0
# More than the age of the file, less than camera metadata or a name that says copy.
_SMALLER: Final = 1.2
_OTHER_PIXELS: Final = 2.0
# Share of a JPEG's coefficients that are those of a lossless file, rounded.
_REPEATED: Final = 0.65
# Photographs are rarely first stored in a lossy format other than JPEG and HEIC.
_UNUSUAL, _LOSSLESS = 1.5, 0.5


def derivation_evidence(
    first: AlignedCandidate, second: AlignedCandidate, matrix: Homography
) -> list[Evidence]:
    """Evidence of derivation from the pixels of two files.

    matrix: from the normalised coordinates of the first to those of the second.
    """
    found = _format_evidence(first.file, second.file)
    on_first = on_same_grid(first.candidate, second.candidate, matrix)
    if on_first is None:
        return [*found, _without_grid(first.candidate, second.candidate, matrix)]
    on_second = on_same_grid(second.candidate, first.candidate, inverse(matrix))
    if on_second is None:
        return found
    if on_first.equal_scale:
        return [*found, *_equal_size(first.file, second.file, on_first, on_second)]
    larger = on_first.scale[0] * on_first.scale[1] < 1
    if larger:
        return [*found, _scaled(second.file, on_second, 1.0)]
    return [*found, _scaled(first.file, on_first, -1.0)]


def _format_evidence(one: FileEvidence, two: FileEvidence) -> list[Evidence]:
    if one.palette != two.palette:
        return [Evidence("palette", -_PALETTE if one.palette else _PALETTE)]
    if (one.table is None) == (two.table is None):
        return [Evidence("format", _UNUSUAL * (int(one.lossless) - int(two.lossless)))]
    return []


def _without_grid(one: Candidate, two: Candidate, matrix: Homography) -> Evidence:
    """Evidence for files that are tilted against each other or registered inexactly."""
    features = tilted_features(one, two, matrix)
    weight = float(np.clip(features @ TILTED_WEIGHTS, -_MOST, _MOST))
    size = features[2]
    kind = "detail" if weight * size > 0 else "enlarged"
    return Evidence(kind if abs(size) > _EQUAL_SCALE else "sharper", weight, np.exp(2 * abs(size)))


def _equal_size(
    one: FileEvidence, two: FileEvidence, on_first: SameGrid, on_second: SameGrid
) -> list[Evidence]:
    if np.array_equal(on_first.own, on_first.other):
        if one.lossless and two.lossless:
            return [Evidence("smaller", _SMALLER * float(np.sign(two.bytes - one.bytes)))]
        # A lossless file with the pixels of a JPEG was made from it.
        return [Evidence("source", _SAME_PIXELS * ((two.table is None) - int(one.table is None)))]
    if one.table is not None and two.table is not None:
        sharpness = compare_sharpness(on_first.own, on_first.other)
        mine = remainder(on_first.own, on_first.other, one.table)
        theirs = remainder(on_second.own, on_second.other, two.table)
        filtered = sharpness.clearly > _UNEQUALLY_SHARP and not (
            _only_saved(mine) or _only_saved(theirs)
        )
        if filtered:
            mine = remainder(on_first.own, on_first.other, one.table, filtered=True)
            theirs = remainder(on_second.own, on_second.other, two.table, filtered=True)
        if mine is None or theirs is None or one.quality is None or two.quality is None:
            return []
        if np.array_equal(one.table, two.table) and min(mine.repeated, theirs.repeated) > _PURE:
            later = unsettled(on_first.own, on_first.other, one.table)
            return [Evidence("source", float(np.clip(20 * later, -3, 3)))]
        features = equal_size_features(mine, theirs, one.quality - two.quality, sharpness)
        weights = FILTERED_WEIGHTS if filtered else EQUAL_SIZE_WEIGHTS
        weight = float(np.clip(features @ weights, -_MOST, _MOST))
        return [Evidence(_name(weight, one, two, sharpness), weight)]
    if one.table is not None:
        return [_against_other_format(one, two, on_first, 1.0)]
    if two.table is not None:
        return [_against_other_format(two, one, on_second, -1.0)]
    return []


def _only_saved(found: Remainder | None) -> bool:
    """Whether a JPEG is the other file saved again, and nothing else."""
    return found is not None and found.repeated > _PURE and found.plain > _ROUNDED


def _name(weight: float, one: FileEvidence, two: FileEvidence, sharpness: Sharpness) -> str:
    """Kind of evidence, for the reason."""
    side = 1 if weight > 0 else -1
    if side * ((one.quality or 0) - (two.quality or 0)) > 5:
        return "compression"
    if sharpness.clearly == 1:
        return "sharper" if sharpness.sharper == side else "unaltered"
    return "source"


def _against_other_format(
    jpeg: FileEvidence, other: FileEvidence, grid: SameGrid, side: float
) -> Evidence:
    """Evidence for a JPEG and a file of another format. side: 1 if the JPEG is the first."""
    found = remainder(grid.own, grid.other, jpeg.table) if jpeg.table is not None else None
    careful = other.lossless or other.format == "heic"
    if found is None and other.lossless:
        # On a plain background little tells how the JPEG was made, but a file that was made from it
        # without loss would have its pixels.
        return Evidence("compression", -side * _OTHER_PIXELS)
    if found is not None and found.fitted < 0.7:
        return Evidence("source", side * 4.0)
    if found is not None and found.within < 0.9 and not careful:
        return Evidence("source", side * 4.0)
    if found is not None and careful and found.plain < 1.15 and found.within > 0.97:
        return Evidence("compression", -side * 4.0)
    if found is not None and other.lossless and found.plain < 1.45 and found.repeated > _REPEATED:
        return Evidence("compression", -side * _OTHER_PIXELS)
    return Evidence("format", side * (_LOSSLESS if careful else _UNUSUAL))


def _scaled(small: FileEvidence, grid: SameGrid, side: float) -> Evidence:
    """Evidence for files of different sizes.

    side: 1 if the first has more pixels.
    grid: that of the smaller.
    """
    area = grid.scale[0] * grid.scale[1]
    found = None if small.table is None else remainder(grid.own, grid.other, small.table)
    enlarged = float(np.clip(scaled_features(found, grid) @ SCALED_WEIGHTS, -_MOST, _MOST))
    if max(grid.scale) > _ENLARGED_MOST:
        enlarged = min(enlarged, -3.0)
    if abs(np.log(grid.scale[0] / grid.scale[1])) > _STRETCHED:
        return Evidence("proportions", -side * enlarged)
    return Evidence("enlarged" if enlarged > 0 else "detail", -side * enlarged, area)


def equal_size_features(
    mine: Remainder, theirs: Remainder, better: float, sharpness: Sharpness
) -> NDArray[np.float64]:
    """Features, float64 (14,), that the first is the source; negated if both are swapped.

    better: difference of the quality, positive if the first's is higher.
    """
    clearly = sharpness.sharper * sharpness.clearly
    fine = clearly * np.array(
        [1, sharpness.gain, sharpness.growth, sharpness.shared, *sharpness.slopes]
    )
    quality = np.clip(better / 10, -2, 2)
    explained = quality * (mine.within + theirs.within) / 2
    return np.concatenate([_measures(mine) - _measures(theirs), [quality, explained], fine])


def _measures(found: Remainder) -> NDArray[np.float64]:
    """Measures of a remainder, float64 (6,)."""
    return np.array(
        [
            max(0.0, np.log(max(found.plain, 0.05))),
            max(0.0, np.log(max(found.fitted, 0.05))),
            np.log(1.02 - found.repeated),
            np.log(1.02 - found.repeated_fitted),
            np.log(1.02 - found.within),
            np.log(1.02 - max(found.within, _PARTLY)),
        ]
    )


def tilted_features(one: Candidate, two: Candidate, matrix: Homography) -> NDArray[np.float64]:
    """Features, float64 (3,), that the first is the source; negated if both are swapped.

    Resampling weakens the highest frequencies, and enlarging leaves those beyond empty. The last
    feature is the logarithm of the scale, positive if the first has more pixels.

    matrix: from the normalised coordinates of `one` to those of `two`.
    """
    scale = scale_between(one, two, matrix)
    size = abs(float(np.log(scale)))
    side = 1 if scale < 1 else -1
    squares = shared_squares(one, two, matrix, scale)
    if squares is None:
        return side * np.array([0, 0, min(size, _THUMBNAIL)])
    small, large = squares[::-side]
    limit, beyond = enlargement(small, large, float(np.exp(size)), along="all")
    # At nearly equal scales the larger file has no band of its own.
    beyond = (beyond + _USUAL_BEYOND) * min(1.0, size / _CLEARLY_LARGER)
    return side * np.array([np.clip(limit, -4, 4), np.clip(beyond, -4, 4), min(size, _THUMBNAIL)])


def scaled_features(found: Remainder | None, grid: SameGrid) -> NDArray[np.float64]:
    """Features, float64 (10,), that the larger file is an enlargement of the smaller one.

    found: of the smaller one, None if it has no quantisation.
    grid: that of the smaller one.
    """
    spectrum, directions = np.zeros(2), 0
    for scale, along in zip(grid.scale, AXES, strict=True):
        if abs(np.log(scale)) <= _STRETCHED:
            continue
        small, large = (grid.own, grid.full) if scale > 1 else (grid.full, grid.own)
        limit, beyond = enlargement(small, large, max(scale, 1 / scale), along=along)
        spectrum += np.array([limit, beyond + _USUAL_BEYOND]) * (1 if scale > 1 else -1)
        directions += 1
    spectrum = np.clip(spectrum / max(directions, 1), -4, 4)
    size = min(1.5, float(np.log(grid.scale[0] * grid.scale[1])) / 2)
    if found is None:
        return np.array([0, 0, 0, 0, 0, 0, 1, 0, *spectrum])
    deviation = np.log(max(found.plain, 0.05))
    return np.array(
        [
            1,
            max(0.0, -0.08 - deviation),
            min(1.0, max(0.0, deviation - 0.1)),
            np.log(1.02 - found.within),
            np.log(1.02 - found.repeated),
            np.clip(np.log(max(found.gain, 0.1)), -1, 1),
            0,
            size,
            *spectrum,
        ]
    )
