"""Two files of one group against each other: each sign of being nearer to the source has a weight.

Weights are roughly natural logarithms of odds, so that they add up: content outweighs what follows
it unless that is certain.
"""

from typing import Final

import numpy as np

from mmsearch.dedup.originals.colours import own_colour
from mmsearch.dedup.originals.content import Surroundings, marks, surroundings
from mmsearch.dedup.originals.contestant import Contestant, Sign
from mmsearch.dedup.originals.derivation import derivation_signs
from mmsearch.dedup.originals.evidence import FileEvidence
from mmsearch.dedup.originals.registration_facts import Homography, inverse
from mmsearch.dedup.originals.turns import blank_corners, is_stretched, is_tilted

_USUAL_RATIOS: Final = (1.0, 5 / 4, 4 / 3, 3 / 2, 16 / 9)
# Mean levels of chroma beyond what luminance predicts: grey and tinted pictures stay below.
_TINTED: Final = 1.6
# Share of the area from which surroundings count fully, and of the shared one from which marks do.
_STRIP: Final = 0.02
_WHOLE_MARK: Final = 0.004


def duel(first: Contestant, second: Contestant) -> list[Sign]:
    """All signs, those of no weight left out."""
    matrix = second.matrix @ inverse(first.matrix)
    signs = [
        *_content(first, second),
        *_colour(first, second),
        *_geometry(first, second, matrix),
        *derivation_signs(first, second, matrix),
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
        Sign("shows more", _graded(more.scene, _STRIP, 7.0), more.scene),
        Sign("shows more", -_graded(less.scene, _STRIP, 7.0), less.scene),
        Sign("frame", -_framed(more), more.foreign),
        Sign("frame", _framed(less), less.foreign),
    ]
    lean = float(np.clip(6 * marked.leaning, -6, 6)) * min(1.0, marked.area / _WHOLE_MARK)
    return [*signs, Sign("mark", -lean, marked.area)]


def _framed(around: Surroundings) -> float:
    """Where most of the surroundings are scene, a step beside them is more likely an edge in it."""
    share = around.foreign / max(around.foreign + around.scene, 1e-9)
    weight = 9.0 if around.bounded > 1 else 4.0
    return _graded(around.foreign, _STRIP, weight) * float(np.clip(4 * share - 2, 0, 1))


def _graded(share: float, least: float, weight: float) -> float:
    """0 below the least share, the whole weight from twice as much on."""
    return weight * float(np.clip(share / least - 0.5, 0, 1))


def _colour(first: Contestant, second: Contestant) -> list[Sign]:
    shared = first.layer.shown & second.layer.shown
    one, two = (own_colour(each.layer, shared) for each in (first, second))
    less, more = sorted((one, two))
    if less < _TINTED and more > 2.5 * less + 1:
        return [Sign("colour", 8.0 if one == more else -8.0)]
    return []


def _geometry(first: Contestant, second: Contestant, matrix: Homography) -> list[Sign]:
    """Of two that differ by a tilt the one without blank corners, by a stretch the one of a
    camera's proportions.
    """
    signs = []
    if is_tilted(first.candidate, second.candidate, matrix):
        corners = blank_corners(second.candidate) - blank_corners(first.candidate)
        signs.append(Sign("corners", 3.0 * float(np.clip(corners, -2, 2))))
    one, two = (_is_usual(each.file) for each in (first, second))
    if one != two and is_stretched(first.candidate, second.candidate, matrix):
        signs.append(Sign("proportions", 1.5 if one else -1.5))
    return signs


def _is_usual(file: FileEvidence) -> bool:
    ratio = max(file.width, file.height) / min(file.width, file.height)
    return any(abs(ratio / usual - 1) < 0.004 for usual in _USUAL_RATIOS)


def _records(one: FileEvidence, two: FileEvidence) -> list[Sign]:
    camera = float(np.clip(2.2 * (one.camera - two.camera), -4.4, 4.4))
    signs = [Sign("camera", camera, max(one.camera, two.camera))]
    if not camera and one.exif != two.exif:
        signs.append(Sign("EXIF", 0.4 if one.exif else -0.4))
    signs.append(Sign("name", float(np.clip(two.hints - one.hints, -3, 3))))
    if one.modified != two.modified:
        signs.append(Sign("older", 0.8 if one.modified < two.modified else -0.8))
    return signs
