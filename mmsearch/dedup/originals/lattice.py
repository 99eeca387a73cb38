"""Whether pixels were once stored by a JPEG's quantisation: proof that one file came from another.

The DCT coefficients of a decoded JPEG lie on multiples of its quantisation steps, on a grid of
8 x 8 pixels. Saving again at a higher quality, as PNG, under a caption or mirrored leaves them
close to it; other steps, or a picture that never was a JPEG, spread them evenly between.
"""

from typing import Final

import numpy as np
from scipy.fft import dct

from mmsearch.dedup.originals.evidence import QuantTable
from mmsearch.records import Floats, Pixels

# Steps below 3 drown in rounding; the coefficients of the highest frequencies are mostly zero.
_LEAST_STEP: Final = 3
_FREQUENCIES: Final = 6
# The file's own steps must be clearly finer, else every small multiple lies near a lattice point.
_FINER: Final = 0.7
_FEWEST: Final = 120
_BLOCKS_A_SIDE: Final = 12
_DCT: Final = dct(np.eye(8), axis=0, norm="ortho")[:_FREQUENCIES].astype(np.float32)


def grid_coefficients(pixels: Pixels) -> list[Floats]:
    """pixels: uint8 (h, w), luminance at full size → for each of the 64 places of the grid, row by
    row, float32 (n, 6, 6): the low frequencies of blocks from the middle.
    """
    side = 8 * _BLOCKS_A_SIDE
    top, left = (max(0, (length - side - 8) // 2) // 8 * 8 for length in pixels.shape)
    part = pixels[top : top + side + 8, left : left + side + 8].astype(np.float32)
    return [_blocks(part[y : y + side, x : x + side]) for y in range(8) for x in range(8)]


def _blocks(part: Floats) -> Floats:
    rows, columns = (length // 8 for length in part.shape)
    part = part[: rows * 8, : columns * 8]
    blocks = part.reshape(rows, 8, columns, 8).swapaxes(1, 2).reshape(-1, 8, 8)
    # Clipped pixels have left the lattice.
    blocks = blocks[(blocks.min(axis=(1, 2)) > 2) & (blocks.max(axis=(1, 2)) < 253)]
    coefficients: Floats = _DCT @ blocks @ _DCT.T
    return coefficients


def lattice_fit(
    coefficients: list[Floats],
    table: QuantTable,
    *,
    own_table: QuantTable | None = None,
    gain: float = 1.0,
) -> float:
    """How well a file fits the lattice of another file's table, at the best place of the grid.

    coefficients: of the file, from `grid_coefficients`. table: of the supposed source.
    own_table: of the file itself, if it is a JPEG. gain: its contrast relative to the source.
    → mean cosine of the phases between lattice points: 1 on the lattice, around 0 or below without
    any relation; less the median over all places of the grid, since some textures fit anywhere.
    """
    usable = table >= _LEAST_STEP
    usable[0, 0] = False
    if own_table is not None:
        usable &= own_table <= _FINER * gain * table
    usable = usable[:_FREQUENCIES, :_FREQUENCIES]
    if not usable.any():
        return 0.0
    steps = (table[:_FREQUENCIES, :_FREQUENCIES][usable] * gain).astype(np.float32)
    fits = [_fit(blocks[:, usable] / steps) for blocks in coefficients]
    return float(np.max(fits) - max(np.median(fits), 0))


def _fit(multiples: Floats) -> float:
    """multiples: float32 (n, k), of the steps. 0 where too few are beyond the first one."""
    beyond = multiples[np.abs(multiples) > 0.5]
    return float(np.cos(2 * np.pi * beyond).mean()) if beyond.size >= _FEWEST else 0.0
