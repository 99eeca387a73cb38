"""Two files of one group against each other: each sign of being nearer to the source has a weight.

Weights are roughly natural logarithms of odds, so that they add up: content outweighs what follows
it unless that is certain.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from mmsearch.dedup.originals.colours import Palette, palette_of, tone_distance
from mmsearch.dedup.originals.content import Surroundings, marks, surroundings
from mmsearch.dedup.originals.contestant import Contestant, Sign
from mmsearch.dedup.originals.detail import (
    fine_detail,
    scale_between,
    shared_middle,
    true_enlargement,
)
from mmsearch.dedup.originals.evidence import FileEvidence
from mmsearch.dedup.originals.registration_facts import Homography, inverse, project
from mmsearch.dedup.originals.saving import saving_signs
from mmsearch.dedup.originals.turns import blank_corners, is_stretched, is_tilted

_USUAL_RATIOS: Final = (1.0, 5 / 4, 4 / 3, 3 / 2, 16 / 9)
# Sizes that differ by less count as equal.
SAME_SCALE: Final = 0.04
# Mean levels of chroma beyond what luminance predicts: grey and tinted pictures stay below.
_TINTED: Final = 1.6
# Mean difference of coarse colours, in levels, above which tones were changed.
_RETONED: Final = 3.0
# Share of the area from which surroundings count fully, and of the shared one from which marks do.
_STRIP: Final = 0.02
_WHOLE_MARK: Final = 0.004


def duel(first: Contestant, second: Contestant) -> list[Sign]:
    """All signs, those of no weight left out."""
    matrix = second.matrix @ inverse(first.matrix)
    saving, saved = saving_signs(first, second, matrix)
    signs = [
        *_content(first, second),
        *_colour(first, second),
        *_geometry(first, second, matrix),
        *saved,
        *([] if saving in ("compressed", "unclear") else _detail(first, second, matrix)),
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
    return _graded(around.foreign, _STRIP, 9.0) * float(np.clip(4 * share - 2, 0, 1))


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
        signs.append(Sign("clipped", _clipped(one, two)))
    return signs


def _clipped(one: Palette, two: Palette) -> float:
    """Raised contrast or brightness cuts tones off at an end of the scale; lowered contrast keeps
    what was cut before, and leaves the ends of the scale empty.
    """
    weight = float(np.clip(60 * (two.clipped - one.clipped), -2, 2))
    cleaner = one if weight > 0 else two
    return weight if abs(weight) > 0.3 and cleaner.reaches_ends else 0.0


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


def _detail(first: Contestant, second: Contestant, matrix: Homography) -> list[Sign]:
    scale = scale_between(first.candidate, second.candidate, matrix)
    if abs(np.log(scale)) < SAME_SCALE:
        middle = shared_middle(matrix)
        one = fine_detail(first.candidate, middle[0])
        two = fine_detail(second.candidate, project(matrix, middle)[0])
        return [Sign("sharper", _sharper(one - two))]
    if scale > 1:
        gain = true_enlargement(first.candidate, second.candidate, matrix)
        return [_larger(-1.0, scale, gain)]
    gain = true_enlargement(second.candidate, first.candidate, inverse(matrix))
    return [_larger(1.0, 1 / scale, gain)]


def _sharper(difference: NDArray[np.float64]) -> float:
    """Who is nearer to the source of two of one size, of which one holds more fine detail.

    difference: float64 (3,), of the logarithms of power at middle, high and highest frequencies. A
    blur takes away ever more with the frequency, sharpening raises all alike by little, and noise
    adds most at the end.
    """
    side = 1.0 if difference[1] > 0 else -1.0
    middle, high, highest = side * difference
    if high < 0.6:
        return 0.0
    if 0.7 * high < middle < 1.1:
        return -1.5 * side
    return side * (-2.0 if middle < 0.2 * high or highest > 1.35 * high + 0.2 else 2.0)


def _larger(side: float, scale: float, gain: float) -> Sign:
    """side: 1 if the first is the larger one. gain: see `true_enlargement`."""
    weight = float(np.clip(1.6 * gain + 0.7, -5, 5))
    return Sign("detail" if weight > 0 else "enlarged", side * weight, scale**2)


def _records(one: FileEvidence, two: FileEvidence) -> list[Sign]:
    camera = float(np.clip(2.2 * (one.camera - two.camera), -4.4, 4.4))
    signs = [Sign("camera", camera, max(one.camera, two.camera))]
    if not camera and one.exif != two.exif:
        signs.append(Sign("EXIF", 0.4 if one.exif else -0.4))
    signs.append(Sign("name", float(np.clip(two.hints - one.hints, -3, 3))))
    if one.modified != two.modified:
        signs.append(Sign("older", 0.8 if one.modified < two.modified else -0.8))
    return signs
