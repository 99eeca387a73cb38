"""Two files of one group against each other: each sign of being nearer to the source has a weight.

Weights are roughly natural logarithms of odds, so that they add up: content outweighs what follows
it unless that is certain.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from mmsearch.dedup.originals.colours import contrast_of, palette_of, tone_distance
from mmsearch.dedup.originals.content import marks, surroundings
from mmsearch.dedup.originals.detail import (
    fine_share,
    scale_between,
    shared_middle,
    true_enlargement,
)
from mmsearch.dedup.originals.evidence import Candidate, FileEvidence
from mmsearch.dedup.originals.frame import Layer
from mmsearch.dedup.originals.lattice import lattice_fit
from mmsearch.dedup.originals.registration_facts import Homography, inverse, project
from mmsearch.records import Floats

# Sizes that differ by less count as equal.
SAME_SCALE: Final = 0.04
_DERIVED: Final = 0.16


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
    coefficients: list[Floats]

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
        *_derivation(first, second),
        *_detail(first, second, matrix),
        *_compression(first.file, second.file),
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
    ratio = np.log((one.own_colour + 0.7) / (two.own_colour + 0.7))
    if abs(ratio) > 0.5:
        signs.append(Sign("colour", float(np.clip(7 * ratio, -9, 9))))
    if tone_distance(first.layer, second.layer, shared) > 3:
        clipped = float(np.clip(60 * (two.clipped - one.clipped), -3, 3))
        signs.append(Sign("clipped", clipped if abs(clipped) > 0.3 else 0.0))
    return signs


def _geometry(first: Contestant, second: Contestant, matrix: Homography) -> list[Sign]:
    """The one whose pixels were interpolated on a turned grid is softer; nothing else tells."""
    return []


def _derivation(first: Contestant, second: Contestant) -> list[Sign]:
    forward, backward = _descent(first, second), _descent(second, first)
    if max(forward, backward) < _DERIVED:
        return []
    weight = 10 * float(np.clip(2 * (forward - backward), -1, 1))
    return [Sign("source", weight, max(forward, backward))]


def _descent(source: Contestant, made: Contestant) -> float:
    """How well the one fits the lattice of the other."""
    table = source.file.table
    if table is None:
        return 0.0
    shared = source.layer.shown & made.layer.shown
    gain = contrast_of(source.layer, made.layer, shared) if shared.sum() > 400 else 1.0
    gains = [1.0] if abs(gain - 1) < 0.02 else [1.0, gain]
    axes = np.abs((made.matrix @ inverse(source.matrix))[:2, :2])
    sideways = axes[0, 1] > axes[0, 0]
    steps = table.T if sideways else table
    return max(
        lattice_fit(made.coefficients, steps, own_table=made.file.table, gain=each)
        for each in gains
    )


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
    weight = float(np.clip(2 * gain + 1, -6, 6))
    return Sign("detail" if weight > 0 else "enlarged", side * weight, scale**2)


def _compression(one: FileEvidence, two: FileEvidence) -> list[Sign]:
    signs = []
    if one.palette != two.palette:
        signs.append(Sign("palette", -4.0 if one.palette else 4.0))
    first, second = (_quality(each) for each in (one, two))
    signs.append(
        Sign("compression", float(np.clip((first - second) / 5, -3, 3)), max(first, second))
    )
    return signs


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
