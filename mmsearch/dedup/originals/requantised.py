"""Whether saving one picture again explains another: quantisation tells who was first.

A JPEG's coefficients are rounded to multiples of its quantisation steps. What was saved again at a
higher quality, or as PNG, differs from its source by no more than half of its own, finer steps.
"""

from typing import Final

import numpy as np
from scipy.fft import dct

from mmsearch.dedup.originals.evidence import QuantTable
from mmsearch.records import Floats, Pixels

# The coefficients of the highest frequencies are mostly zero.
_FREQUENCIES: Final = 6
_BLOCKS_A_SIDE: Final = 16
# What rounding pixels and the way to RGB and back add to a coefficient, in levels.
_ROUNDING: Final = 1.5
_FEWEST: Final = 60
_DCT: Final = dct(np.eye(8), axis=0, norm="ortho")[:_FREQUENCIES].astype(np.float32)


def unexplained_share(
    source: Pixels, made: Pixels, source_table: QuantTable | None, made_table: QuantTable | None
) -> float | None:
    """Share of coefficients that differ by more than saving `source` again as `made` explains.

    source, made: uint8 (h, w), luminance of the same place at full size, from a corner of the grid
    of `made`. made_table: None for a lossless file. source_table: if given, only coefficients count
    whose steps in it are so much coarser that it shows whose quantisation stands between the two.
    → None where too few coefficients are left.
    """
    side = 8 * _BLOCKS_A_SIDE
    top, left = (max(0, (length - side) // 2) // 8 * 8 for length in made.shape)
    place = (slice(top, top + side), slice(left, left + side))
    low = (slice(_FREQUENCIES), slice(_FREQUENCIES))
    own = np.zeros((8, 8), np.int64) if made_table is None else made_table
    telling = np.ones((_FREQUENCIES, _FREQUENCIES), np.bool_)
    if source_table is not None:
        telling = (source_table >= own + 2 * _ROUNDING + 1)[low]
    if not telling.any():
        return None
    one, two = (_coefficients(pixels[place])[:, telling] for pixels in (source, made))
    bound = own[low][telling] / 2 + _ROUNDING
    # Where both are near zero nothing was lost, whoever was first.
    present = np.maximum(np.abs(one), np.abs(two)) > bound
    if present.sum() < _FEWEST:
        return None
    return float((np.abs(one - two) > bound)[present].mean())


def _coefficients(part: Pixels) -> Floats:
    """float32 (n, 6, 6): the low frequencies of each block."""
    rows, columns = (length // 8 for length in part.shape)
    part = part[: rows * 8, : columns * 8]
    blocks = part.reshape(rows, 8, columns, 8).swapaxes(1, 2).reshape(-1, 8, 8)
    coefficients: Floats = _DCT @ blocks.astype(np.float32) @ _DCT.T
    return coefficients
