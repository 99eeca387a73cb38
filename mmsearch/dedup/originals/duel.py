"""Two files of one group against each other: each sign of being nearer to the source has a weight.

Weights are roughly natural logarithms of odds, so that they add up: content outweighs what follows
it unless that is certain.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from mmsearch.dedup.originals.colours import palette_of, tone_distance
from mmsearch.dedup.originals.content import marks, surroundings
from mmsearch.dedup.originals.detail import (
    fine_share,
    scale_between,
    shared_middle,
    true_enlargement,
)
from mmsearch.dedup.originals.evidence import Candidate, FileEvidence
from mmsearch.dedup.originals.frame import Layer
from mmsearch.dedup.originals.registration_facts import Homography, inverse, project
from mmsearch.dedup.originals.requantised import unexplained_share
from mmsearch.dedup.originals.turns import is_stretched, same_place

_USUAL_RATIOS: Final = (1.0, 5 / 4, 4 / 3, 3 / 2, 16 / 9)
# Sizes that differ by less count as equal.
SAME_SCALE: Final = 0.04
# Mean levels of chroma beyond what luminance predicts: grey and tinted pictures stay below.
_TINTED: Final = 1.6
# Mean difference of coarse colours, in levels, above which tones were changed.
_RETONED: Final = 3.0
_SOURCE: Final = 6.0
# Measured: below 0.005 where one was saved from the other, 0.02 to 0.6 else, see docs/dedup.md.
_UNEXPLAINED: Final = 0.012


@dataclass(frozen=True, slots=True)
class Sign:
    """weight: above 0 if it speaks for the first of two files. name: which kind of sign.

    amount: what the sign measured, for the text of the reason.
    """

    name: str
    weight: float
    amount: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Contestant:
    """A member with all that duels need. matrix: from the common frame to its coordinates."""

    candidate: Candidate
    matrix: Homography
    layer: Layer

    @property
    def file(self) -> FileEvidence:
        return self.candidate.file


def duel(first: Contestant, second: Contestant) -> list[Sign]:
    """All signs, those of no weight left out."""
    matrix = second.matrix @ inverse(first.matrix)
    signs = [
        *_content(first, second),
        *_colour(first, second),
        *_geometry(first, second, matrix),
        *_derivation(first, second, matrix),
        *_detail(first, second, matrix),
        *_compression(first, second),
        *_records(first.file, second.file),
    ]
    return [sign for sign in signs if sign.weight]


def _content(first: Contestant, second: Contestant) -> list[Sign]:
    more, less = (
        surroundings(first.layer, second.layer),
        surroundings(second.layer, first.layer),
    )
    marked = marks(first.layer, second.layer)
    signs = [
        Sign("shows more", _graded(more.scene, 0.02, 7.0), more.scene),
        Sign("shows more", -_graded(less.scene, 0.02, 7.0), less.scene),
        Sign("frame", -_graded(more.foreign, 0.02, 9.0), more.foreign),
        Sign("frame", _graded(less.foreign, 0.02, 9.0), less.foreign),
    ]
    if marked.area:
        lean = float(np.clip(6 * marked.leaning, -6, 6))
        signs.append(Sign("mark", -lean, marked.area))
    return signs


def _graded(share: float, least: float, weight: float) -> float:
    """0 below the least share, the whole weight from twice as much on."""
    return weight * float(np.clip(share / least - 0.5, 0, 1))


def _colour(first: Contestant, second: Contestant) -> list[Sign]:
    shared = first.layer.shown & second.layer.shown
    if shared.sum() < 400:
        return []
    one, two = (palette_of(each.layer, shared) for each in (first, second))
    signs = []
    less, more = sorted((one.own_colour, two.own_colour))
    if less < _TINTED and more > 2.5 * less + 1:
        signs.append(Sign("colour", 8.0 if one.own_colour == more else -8.0))
    if tone_distance(first.layer, second.layer, shared) > _RETONED:
        clipped = float(np.clip(60 * (two.clipped - one.clipped), -2, 2))
        signs.append(Sign("clipped", clipped if abs(clipped) > 0.3 else 0.0))
    return signs


def _geometry(first: Contestant, second: Contestant, matrix: Homography) -> list[Sign]:
    """Of two that differ by a stretch the one of a camera's proportions."""
    one, two = (_is_usual(each.file) for each in (first, second))
    if one == two or not is_stretched(first.candidate, second.candidate, matrix):
        return []
    return [Sign("proportions", 1.5 if one else -1.5)]


def _is_usual(file: FileEvidence) -> bool:
    ratio = max(file.width, file.height) / min(file.width, file.height)
    return any(abs(ratio / usual - 1) < 0.004 for usual in _USUAL_RATIOS)


def _derivation(first: Contestant, second: Contestant, matrix: Homography) -> list[Sign]:
    """Of two pictures of the same pixels, as they lie or turned: which one was saved from which."""
    forward = _made_from(first, second, matrix)
    backward = _made_from(second, first, inverse(matrix))
    if forward == backward:
        return []
    return [Sign("source", _SOURCE if forward else -_SOURCE)]


def _made_from(source: Contestant, made: Contestant, matrix: Homography) -> bool:
    """Whether nothing but its own, finer quantisation tells `made` from `source`."""
    table = source.file.table
    if table is None or not (made.file.lossless or made.file.table is not None):
        return False
    both = same_place(source.candidate, made.candidate, matrix)
    if both is None:
        return False
    if made.file.lossless and np.array_equal(*both):
        return True
    sideways = abs(matrix[0, 1]) > abs(matrix[0, 0])
    share = unexplained_share(*both, table.T if sideways else table, made.file.table)
    return share is not None and share < _UNEXPLAINED


def _detail(first: Contestant, second: Contestant, matrix: Homography) -> list[Sign]:
    scale = scale_between(first.candidate, second.candidate, matrix)
    if abs(np.log(scale)) < SAME_SCALE:
        middle = shared_middle(matrix)
        one = fine_share(first.candidate, middle[0])
        two = fine_share(second.candidate, project(matrix, middle)[0])
        difference = one - two
        weight = float(np.clip(difference, -3, 3)) if abs(difference) > 0.7 else 0.0
        return [Sign("sharper", weight)]
    if scale > 1:
        gain = true_enlargement(first.candidate, second.candidate, matrix)
        return [_larger(-1.0, scale, gain)]
    gain = true_enlargement(second.candidate, first.candidate, inverse(matrix))
    return [_larger(1.0, 1 / scale, gain)]


def _larger(side: float, scale: float, gain: float) -> Sign:
    """side: 1 if the first is the larger one. gain: see `true_enlargement`."""
    weight = float(np.clip(1.6 * gain + 0.7, -5, 5))
    return Sign("detail" if weight > 0 else "enlarged", side * weight, scale**2)


def _compression(first: Contestant, second: Contestant) -> list[Sign]:
    one, two = first.file, second.file
    signs = []
    if one.palette != two.palette:
        signs.append(Sign("palette", -4.0 if one.palette else 4.0))
    qualities = _quality(one), _quality(two)
    # Editors save as they like: among edits quality says less.
    shared = first.layer.shown & second.layer.shown
    edited = tone_distance(first.layer, second.layer, shared) > _RETONED
    weight = float(np.clip((qualities[0] - qualities[1]) / 6, -2.5, 2.5)) * (0.4 if edited else 1)
    return [*signs, Sign("compression", weight, max(qualities))]


def _quality(file: FileEvidence) -> float:
    """On the scale of JPEG; other lossy formats count as a middling one, for nothing tells it."""
    if file.quality is not None:
        return file.quality
    # Photographs begin as JPEG or HEIC; a PNG of one is as likely made from it as its source.
    return 92.0 if file.lossless or file.format == "heic" else 75.0


def _records(one: FileEvidence, two: FileEvidence) -> list[Sign]:
    camera = float(np.clip(1.5 * (one.camera - two.camera), -3, 3))
    signs = [Sign("camera", camera, max(one.camera, two.camera))]
    if not camera and one.exif != two.exif:
        signs.append(Sign("EXIF", 0.4 if one.exif else -0.4))
    signs.append(Sign("name", float(np.clip(two.hints - one.hints, -2, 2))))
    if one.modified != two.modified:
        signs.append(Sign("older", 0.8 if one.modified < two.modified else -0.8))
    return signs
