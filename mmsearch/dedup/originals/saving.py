"""Which of two files was saved from the other, and which is less compressed."""

from typing import Final, Literal, TypeAlias

import numpy as np

from mmsearch.dedup.originals.contestant import Contestant, Sign
from mmsearch.dedup.originals.evidence import FileEvidence
from mmsearch.dedup.originals.registration_facts import Homography, inverse
from mmsearch.dedup.originals.requantised import unexplained_share
from mmsearch.dedup.originals.turns import same_place

# resaved: the finer one is the coarser one saved again. compressed: the other way round.
# unclear: one of these. apart: more than saving stands between them, or nothing can be said.
Saving: TypeAlias = Literal["resaved", "compressed", "unclear", "apart"]

_SOURCE: Final = 4.5
# Of qualities; below, the steps of both are too much alike.
_TELLING: Final = 5.0
# Measured: below 0.005 where one was saved from the other, 0.02 to 0.6 else, see docs/dedup.md.
_UNEXPLAINED: Final = 0.012
# Colour conversion, smoothing of edges: a little more than quantisation is usual.
_MOSTLY_EXPLAINED: Final = 0.1
# Editors save as they like: where more was done than saving, quality says less.
_UNCERTAIN: Final = 0.25
# A palette and other lossy formats than JPEG are seldom what a photograph began as.
_UNUSUAL: Final = 1.0


def saving_signs(
    first: Contestant, second: Contestant, matrix: Homography
) -> tuple[Saving, list[Sign]]:
    """What stands between the two, and the signs of it."""
    one, two = first.file, second.file
    signs = []
    if one.palette != two.palette:
        signs.append(Sign("palette", -4.0 if one.palette else 4.0))
    qualities = quality_of(one), quality_of(two)
    if None in qualities:
        unusual = [each is None for each in qualities]
        return "apart", [*signs, Sign("format", _UNUSUAL * (unusual[1] - unusual[0]))]
    difference = (qualities[0] or 0) - (qualities[1] or 0)
    # A lossless file loses nothing, of whatever quality its source was.
    finest = difference >= 0 if one.lossless == two.lossless else one.lossless
    if finest:
        saving, finer = _saving(first, second, matrix, abs(difference)), 1.0
    else:
        saving, finer = _saving(second, first, inverse(matrix), abs(difference)), -1.0
    if saving == "resaved":
        return saving, [*signs, Sign("source", -finer * _SOURCE)]
    gain = max(abs(difference) / 6, float(one.lossless != two.lossless))
    if saving == "compressed":
        return saving, [*signs, Sign("compression", finer * min(gain, 2.5))]
    weight = float(np.clip(difference / 6, -2.5, 2.5)) * _UNCERTAIN
    return saving, [*signs, Sign("compression", weight)]


def _saving(fine: Contestant, coarse: Contestant, matrix: Homography, difference: float) -> Saving:
    """matrix: from the coordinates of the finer to those of the coarser one.

    difference: of their qualities, at least 0.
    """
    back = inverse(matrix)
    resaved = same_place(coarse.candidate, fine.candidate, back)
    if resaved is None:
        return "apart"
    if fine.file.lossless and not coarse.file.lossless and np.array_equal(*resaved):
        return "resaved"
    table = coarse.file.table
    if table is None:
        return "apart"
    share = None
    if difference >= _TELLING:
        sideways = abs(back[0, 1]) > abs(back[0, 0])
        share = unexplained_share(*resaved, table.T if sideways else table, fine.file.table)
        if share is not None and share < _UNEXPLAINED:
            return "resaved"
    compressed = same_place(fine.candidate, coarse.candidate, matrix)
    if compressed is None:
        return "apart"
    loss = unexplained_share(*compressed, None, table)
    if loss is None or loss > _MOSTLY_EXPLAINED:
        return "apart"
    return "unclear" if share is None else "compressed"


def quality_of(file: FileEvidence) -> float | None:
    """On the scale of JPEG; None for other lossy formats."""
    if file.quality is not None:
        return file.quality
    # Photographs begin as JPEG or HEIC; a PNG of one is as likely made from it as its source.
    return 92.0 if file.lossless or file.format == "heic" else None
