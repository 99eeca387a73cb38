"""Compares two files of one group by weighted evidence of being nearer to the source.

Weights are roughly log odds, so that they add up: content outweighs the rest unless that is
certain.
"""

from typing import Final

import numpy as np

from mmsearch.dedup.originals.colours import own_colour
from mmsearch.dedup.originals.content import Surroundings, surroundings
from mmsearch.dedup.originals.contestant import Contestant, Sign
from mmsearch.dedup.originals.derivation import derivation_signs
from mmsearch.dedup.originals.evidence import FileEvidence
from mmsearch.dedup.originals.marks import marks
from mmsearch.dedup.originals.registration_facts import Homography, inverse
from mmsearch.dedup.originals.turns import blank_corners, is_stretched, is_tilted

# More than the combined weight of derivation and majority.
_CERTAIN: Final = 12.0
_USUAL_RATIOS: Final = (1.0, 5 / 4, 4 / 3, 3 / 2, 16 / 9)
# Mean levels of chroma beyond the prediction by luminance; grey and tinted images are below.
_TINTED: Final = 1.6
# Share of the area from which surroundings count fully, and of the shared area for marks.
_STRIP: Final = 0.02
_WHOLE_MARK: Final = 0.004
# Minimum ratio of steps along the border of a mark; clipping causes as much.
_UNDECIDED: Final = 0.25


def duel(first: Contestant, second: Contestant) -> list[Sign]:
    """All evidence with a weight; pixels are not read if the rest is certain."""
    matrix = second.matrix @ inverse(first.matrix)
    signs = [
        *_content(first, second),
        *_colour(first, second),
        *_geometry(first, second, matrix),
        *_records(first.file, second.file),
    ]
    if abs(sum(sign.weight for sign in signs)) < _CERTAIN:
        signs += derivation_signs(first, second, matrix)
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
    lean = np.sign(marked.leaning) * max(0.0, abs(marked.leaning) - _UNDECIDED)
    weight = float(np.clip(10 * lean, -6, 6)) * min(1.0, marked.area / _WHOLE_MARK)
    return [*signs, Sign("mark", -weight, marked.area)]


def _framed(around: Surroundings) -> float:
    """Weight of a frame; next to mostly scene, a step is more likely an edge of the scene."""
    share = around.foreign / max(around.foreign + around.scene, 1e-9)
    weight = 9.0 if around.bounded > 1 else 4.0
    return _graded(around.foreign, _STRIP, weight) * float(np.clip(4 * share - 2, 0, 1))


def _graded(share: float, least: float, weight: float) -> float:
    """Weight that rises from 0 at the least share to its full value at twice the share."""
    return weight * float(np.clip(share / least - 0.5, 0, 1))


def _colour(first: Contestant, second: Contestant) -> list[Sign]:
    shared = first.layer.shown & second.layer.shown
    one, two = (own_colour(each.layer, shared) for each in (first, second))
    less, more = sorted((one, two))
    if less < _TINTED and more > 2.5 * less + 1:
        return [Sign("colour", 8.0 if one == more else -8.0)]
    return []


def _geometry(first: Contestant, second: Contestant, matrix: Homography) -> list[Sign]:
    """Evidence from tilt and stretch.

    Of images that differ by a tilt it favours the one without blank corners, by a stretch the one
    with the proportions of a camera.
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
    if one.profile != two.profile:
        signs.append(Sign("profile", 1.5 if one.profile else -1.5))
    signs.append(Sign("name", float(np.clip(two.hints - one.hints, -3, 3))))
    if one.modified != two.modified:
        signs.append(Sign("older", 0.8 if one.modified < two.modified else -0.8))
    return signs
