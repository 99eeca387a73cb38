"""Compares two images: registration, description of the edits and judgement."""

from collections.abc import Iterator
from dataclasses import astuple, dataclass, replace

import numpy as np

from mmsearch.dedup.comparison.blocks import PATCH
from mmsearch.dedup.comparison.colour import ColourChange
from mmsearch.dedup.comparison.cutouts import find_cutout, may_hold_cutout
from mmsearch.dedup.comparison.examined import Examined, Matrix
from mmsearch.dedup.comparison.judging import Judgement, hopeless, judge, tilt
from mmsearch.dedup.comparison.measuring import Measures, measure
from mmsearch.dedup.comparison.registering import Laid, lay_upright, register
from mmsearch.dedup.comparison.rendering import TURN_MATRICES, mapped, nearest_orientation
from mmsearch.dedup.keypoints import match
from mmsearch.dedup.results import Box
from mmsearch.dedup.thumbnails.views import INVERSE, ORIENTATIONS
from mmsearch.records import Floats

# Minimum correlation of coarse thumbnails for an orientation to be tried.
_LIKELY = 0.35
_ORIENTATIONS_TRIED = 2
_MATCHES_TRIED = 2
# Minimum similarity of a part that is shown beside other content.
_LEAST_CUTOUT = 0.82


@dataclass(frozen=True, slots=True)
class PairComparison:
    """Comparison of two images.

    judgement: what the two images are to each other.
    similarity: 0 to 1, how well the shared area fits.
    reason: why they are different, or what was edited, for people.
    matrix: float64 (3, 3), from the first's to the second's normalised coordinates.
    first_share, second_share: share of each image's area that the other one shows.
    orientation: index into ORIENTATIONS that turns the second image onto the first.
    changes: boxes of differences, in shares of the first image's sides.
    colours: the transform between their colours.
    """

    judgement: Judgement
    similarity: float
    reason: str
    matrix: Matrix
    first_share: float
    second_share: float
    orientation: int
    changes: tuple[Box, ...]
    colours: ColourChange
    grey_side: int

    def reversed(self) -> "PairComparison":
        """The same comparison with the second image first."""
        inverse = np.linalg.inv(self.matrix)
        return replace(
            self,
            matrix=inverse / inverse[2, 2],
            first_share=self.second_share,
            second_share=self.first_share,
            orientation=int(INVERSE[self.orientation]),
            changes=tuple(self._in_second(box) for box in self.changes),
            grey_side=(0, 2, 1)[self.grey_side],
        )

    def _in_second(self, box: Box) -> Box:
        """The box in shares of the second image's sides: the bounding box of its corners there."""
        sides = np.array([[box.left, box.right, box.left, box.right],
                          [box.top, box.top, box.bottom, box.bottom]])  # fmt: skip
        corners = self.matrix @ np.vstack([sides * 2 - 1, np.ones(4)])
        places = np.clip((corners[:2] / corners[2] + 1) / 2, 0, 1)
        (left, top), (right, bottom) = places.min(axis=1), places.max(axis=1)
        return Box(*(round(float(each), 4) for each in (left, top, right, bottom)))


def compare_examined(first: Examined, second: Examined) -> PairComparison:
    """Compares two images; the best judgement among the most likely registrations counts."""
    best: PairComparison | None = None
    for matrix in _hypotheses(first, second):
        laid = register(first, second, matrix)
        compared = None if laid is None else _compared(first, second, laid)
        if compared is None or compared.judgement == "different":
            starts = _starts(first, second, laid, matrix)
            cutouts = (_cut_out_of_either(first, second, start) for start in starts)
            compared = next((found for found in cutouts if found is not None), compared)
        if compared is None:
            continue
        if best is None or _rank(compared) > _rank(best):
            best = compared
        if compared.judgement != "different":
            break
    return best or unrelated("they cannot be aligned")


def _rank(compared: PairComparison) -> tuple[bool, float]:
    return compared.judgement != "different", compared.similarity


def unrelated(reason: str) -> PairComparison:
    """The comparison of different images that do not register."""
    return PairComparison("different", 0.0, reason, np.eye(3), 0.0, 0.0, 0, (), "other", 0)


def _compared(first: Examined, second: Examined, laid: Laid) -> PairComparison:
    if reason := hopeless(first, second, laid):
        return unrelated(reason)
    found = measure(first, second, laid)
    judgement, reason = judge(first, second, laid, found)
    orientation = nearest_orientation(laid.matrix)
    to_first = laid.grid.to_first @ np.diag([PATCH, PATCH, 1.0])
    return PairComparison(
        judgement,
        round(max(found.agreement, 0.0), 4),
        reason or _description(laid, found, orientation),
        laid.matrix,
        laid.overlap.first_share,
        laid.overlap.second_share,
        orientation,
        tuple(_boxed(to_first, change.edges) for change in found.changes),
        found.colours.change,
        found.colours.lost_by,
    )


def _starts(first: Examined, second: Examined, laid: Laid | None, matrix: Matrix) -> Iterator[Laid]:
    """Yields the registration, then an upright one, which other content does not disturb."""
    if laid is not None:
        yield laid
    if (upright := lay_upright(first, second, matrix)) is not None:
        yield upright


def _cut_out_of_either(first: Examined, second: Examined, laid: Laid) -> PairComparison | None:
    """As `_compared_cutout`, on the grid of either image: edges are more exact on a finer one."""
    if not may_hold_cutout(laid):
        return None
    found = _compared_cutout(first, second, laid)
    if found is not None:
        return found
    swapped = register(second, first, np.linalg.inv(laid.matrix).astype(np.float64))
    found = None if swapped is None else _compared_cutout(second, first, swapped)
    return None if found is None else found.reversed()


def _compared_cutout(first: Examined, second: Examined, laid: Laid) -> PairComparison | None:
    """The comparison of the part that both show beside other content; None if there is none."""
    cutout = find_cutout(first, second, laid)
    if cutout is None:
        return None
    found = _compared(cutout.part, second, cutout.laid)
    if found.judgement == "different" or found.similarity < _LEAST_CUTOUT:
        return None
    matrix = found.matrix @ np.linalg.inv(cutout.to_first)
    to_first = cutout.to_first @ np.array([[2, 0, -1], [0, 2, -1], [0, 0, 1.0]])
    share = max(cutout.first_share, cutout.second_share)
    return replace(
        found,
        judgement="edited version",
        reason=f"{share:.0%} of one is beside other content, {found.reason}",
        matrix=matrix / matrix[2, 2],
        first_share=cutout.first_share,
        second_share=cutout.second_share,
        changes=tuple(_boxed(to_first, astuple(box)) for box in found.changes),
    )


def _boxed(matrix: Matrix, edges: tuple[float, ...]) -> Box:
    """Maps a box by an axis-aligned matrix to normalised coordinates, and these to shares.

    edges: left, top, right, bottom.
    """
    corners = np.array([edges[::2], edges[1::2]])
    (left, right), (top, bottom) = ((mapped(matrix, corners) + 1) / 2).round(4).tolist()
    return Box(left, top, right, bottom)


def _description(laid: Laid, found: Measures, orientation: int) -> str:
    """Describes the edits in conventional order."""
    said = []
    if orientation:
        said.append(ORIENTATIONS[orientation].name)
    angle = tilt(laid.matrix)
    if abs(angle) >= 1:
        said.append(f"tilted by {abs(angle):.0f}°")
    smaller, larger = sorted([laid.overlap.first_share, laid.overlap.second_share])
    if smaller < 0.98 and larger >= smaller + 0.01:
        said.append(f"one shows {smaller:.0%} of the other")
    if found.colours.change in ("grey", "hue", "tone"):
        words = {"grey": "without colour", "hue": "other hue", "tone": "other brightness"}
        said.append(words[found.colours.change])
    if found.changes:
        changed = f"{found.changed:.0%}" if found.changed >= 0.005 else "less than 1%"
        said.append(f"{changed} drawn over or replaced")
    said.append(f"fits to {found.agreement:.2f}")
    return ", ".join(said)


def _hypotheses(first: Examined, second: Examined) -> Iterator[Matrix]:
    """Yields initial maps from the first to the second image: whole images, then keypoints."""
    likeness = _orientation_likeness(first, second)
    for number in np.argsort(-likeness)[:_ORIENTATIONS_TRIED].tolist():
        if likeness[number] >= _LIKELY:
            yield TURN_MATRICES[number]
    for found in match(first.keypoints, second.keypoints)[:_MATCHES_TRIED]:
        yield np.vstack([found.map.astype(np.float64), [0.0, 0.0, 1.0]])


def _orientation_likeness(first: Examined, second: Examined) -> Floats:
    """Correlation of coarse thumbnails in each orientation of the second, float32 (8,)."""
    one, two = first.coarse, second.coarse
    return np.array([float((one * turn.turn(two)).sum()) for turn in ORIENTATIONS], np.float32)
