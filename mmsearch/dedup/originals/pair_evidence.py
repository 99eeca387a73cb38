"""Weighs two files of one group: all evidence that one of them is nearer to the source.

Content outweighs the rest unless that is certain.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from mmsearch.dedup.originals.candidate import Candidate, FileEvidence
from mmsearch.dedup.originals.content import Surroundings, surroundings
from mmsearch.dedup.originals.derivation import derivation_evidence
from mmsearch.dedup.originals.frame import AlignedCandidate, Layer
from mmsearch.dedup.originals.marks import marks
from mmsearch.dedup.originals.reasons import Evidence
from mmsearch.dedup.originals.registration import Homography, inverse, is_stretched, is_tilted
from mmsearch.media.colour import LUMA

# More than the combined weight of derivation and agreement.
_CERTAIN: Final = 12.0
_USUAL_RATIOS: Final = (1.0, 5 / 4, 4 / 3, 3 / 2, 16 / 9)
# Mean levels of chroma beyond the prediction by luminance; grey and tinted images are below.
_TINTED: Final = 1.6
# Share of the area from which surroundings count fully, and of the shared area for marks.
_STRIP: Final = 0.02
_WHOLE_MARK: Final = 0.004
# Minimum ratio of steps along the border of a mark; clipping causes as much.
_UNDECIDED: Final = 0.25
# Sampling step of rows and columns, which is enough for colours.
_EVERY: Final = 3
# Side of a wedge that a rotation leaves blank, as a share of the shorter side, its greatest
# deviation, and its least step to the image, in levels.
_WEDGE_SIDE: Final = 0.035
_PLAIN_WEDGE: Final = 2.5
_STEP_BESIDE: Final = 12.0


def weigh(first: AlignedCandidate, second: AlignedCandidate) -> list[Evidence]:
    """All evidence with a weight; derivation is not measured if the rest is certain."""
    matrix = second.matrix @ inverse(first.matrix)
    found = [
        *_content(first, second),
        *_colour(first, second),
        *_geometry(first, second, matrix),
        *_records(first.file, second.file),
    ]
    if abs(sum(each.weight for each in found)) < _CERTAIN:
        found += derivation_evidence(first, second, matrix)
    return [each for each in found if each.weight]


def _content(first: AlignedCandidate, second: AlignedCandidate) -> list[Evidence]:
    more, less = (
        surroundings(first.layer, second.layer),
        surroundings(second.layer, first.layer),
    )
    marked = marks(first.layer, second.layer)
    found = [
        Evidence("shows more", _graded(more.scene, _STRIP, 7.0), more.scene),
        Evidence("shows more", -_graded(less.scene, _STRIP, 7.0), less.scene),
        Evidence("frame", -_framed(more), more.foreign),
        Evidence("frame", _framed(less), less.foreign),
    ]
    lean = np.sign(marked.leaning) * max(0.0, abs(marked.leaning) - _UNDECIDED)
    weight = float(np.clip(10 * lean, -6, 6)) * min(1.0, marked.area / _WHOLE_MARK)
    return [*found, Evidence("mark", -weight, marked.area)]


def _framed(around: Surroundings) -> float:
    """Weight of a frame; next to mostly scene, a step is more likely an edge of the scene."""
    share = around.foreign / max(around.foreign + around.scene, 1e-9)
    weight = 9.0 if around.bounded > 1 else 4.0
    return _graded(around.foreign, _STRIP, weight) * float(np.clip(4 * share - 2, 0, 1))


def _graded(share: float, least: float, weight: float) -> float:
    """Weight that rises from 0 at the least share to its full value at twice the share."""
    return weight * float(np.clip(share / least - 0.5, 0, 1))


def _colour(first: AlignedCandidate, second: AlignedCandidate) -> list[Evidence]:
    shared = first.layer.shown & second.layer.shown
    one, two = (_own_colour(each.layer, shared) for each in (first, second))
    less, more = sorted((one, two))
    if less < _TINTED and more > 2.5 * less + 1:
        return [Evidence("colour", 8.0 if one == more else -8.0)]
    return []


def _own_colour(layer: Layer, shared: NDArray[np.bool_]) -> float:
    """Mean deviation of chroma, in levels, from its prediction by luminance.

    It is 0 for grey and tinted images (sepia, duotone).

    shared: bool (h, w), not empty.
    """
    every = (slice(None, None, _EVERY), slice(None, None, _EVERY))
    colours = layer.colours[every][shared[every]]
    if len(colours) == 0:
        return 0.0
    luminance = colours @ LUMA
    chroma = colours[:, [2, 0]] - luminance[:, None]
    # A polynomial, since tints are curved.
    scaled = luminance / 255 - 0.5
    design = np.stack([scaled**0, scaled, scaled**2, scaled**3], axis=1)
    normal = design.T @ design + 1e-3 * np.eye(4)
    solution = np.linalg.solve(normal, design.T @ chroma)
    return float(np.abs(chroma - design @ solution).mean())


def _geometry(
    first: AlignedCandidate, second: AlignedCandidate, matrix: Homography
) -> list[Evidence]:
    """Evidence from tilt and stretch.

    Of images that differ by a tilt it favours the one without blank corners, by a stretch the one
    with the proportions of a camera.
    """
    found = []
    if is_tilted(first.candidate, second.candidate, matrix):
        corners = _blank_corners(second.candidate) - _blank_corners(first.candidate)
        found.append(Evidence("corners", 3.0 * float(np.clip(corners, -2, 2))))
    one, two = (_is_usual(each.file) for each in (first, second))
    if one != two and is_stretched(first.candidate, second.candidate, matrix):
        found.append(Evidence("proportions", 1.5 if one else -1.5))
    return found


def _blank_corners(candidate: Candidate) -> int:
    """Number of corners with plain wedges and a step beside them, as rotation leaves."""
    pixels = candidate.overview.astype(np.float32)
    side = max(4, round(_WEDGE_SIDE * min(pixels.shape[:2])))
    down, across = np.mgrid[0 : 2 * side, 0 : 2 * side]
    # A small rotation leaves wedges as thin as this triangle.
    wedge = down + across < side // 2
    beside = (down + across >= side) & (down + across < 2 * side)
    levels, blank = [], []
    for turned in (pixels, pixels[:, ::-1], pixels[::-1], pixels[::-1, ::-1]):
        corner = turned[: 2 * side, : 2 * side]
        if corner.shape[:2] != wedge.shape:
            return 0
        level = corner[wedge].mean(axis=0)
        plain = float(corner[wedge].std(axis=0).max()) < _PLAIN_WEDGE
        step = float(np.abs(corner[beside].mean(axis=0) - level).max())
        levels.append(level)
        blank.append(plain and step > _STEP_BESIDE)
    found = np.array(blank)
    if not found.any():
        return 0
    # All wedges have one colour; a wall behind an object varies from corner to corner.
    alike = (
        np.abs(levels - np.median(np.array(levels)[found], axis=0)).max(axis=1) < 2 * _PLAIN_WEDGE
    )
    count = int((found & alike).sum())
    # A rotation leaves all four; a single plain corner is common in scenes.
    return count if count > 1 else 0


def _is_usual(file: FileEvidence) -> bool:
    ratio = max(file.width, file.height) / min(file.width, file.height)
    return any(abs(ratio / usual - 1) < 0.004 for usual in _USUAL_RATIOS)


def _records(one: FileEvidence, two: FileEvidence) -> list[Evidence]:
    camera = float(np.clip(2.2 * (one.camera - two.camera), -4.4, 4.4))
    found = [Evidence("camera", camera, max(one.camera, two.camera))]
    if not camera and one.exif != two.exif:
        found.append(Evidence("EXIF", 0.4 if one.exif else -0.4))
    if one.profile != two.profile:
        found.append(Evidence("profile", 1.5 if one.profile else -1.5))
    found.append(Evidence("name", float(np.clip(two.hints - one.hints, -3, 3))))
    if one.modified != two.modified:
        found.append(Evidence("older", 0.8 if one.modified < two.modified else -0.8))
    return found
