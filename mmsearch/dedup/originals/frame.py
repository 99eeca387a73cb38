"""The pictures of a group in one frame of reference, laid over each other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from mmsearch.dedup.originals.evidence import Candidate
from mmsearch.dedup.originals.registration_facts import (
    Homography,
    RegistrationFacts,
    inverse,
    project,
)
from mmsearch.records import Floats

PairsOf: TypeAlias = Mapping[tuple[int, int], RegistrationFacts]
CANVAS_SIDE: Final = 256
# Of the sides of what most members show, what is drawn around it on each side.
_MOST_AROUND: Final = 0.4
# By how much longer a way is, in pairs, for each whole that two pictures do not share.
_DETOUR: Final = 20.0
SQUARE: Final = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)], np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """A frame of reference: the normalised coordinates of one member.

    matrices: from the frame to each member's normalised coordinates; None for members that no pair
        connects with the reference.
    """

    matrices: tuple[Homography | None, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """A member as it lies on the canvas.

    colours: float32 (h, w, 3). shown: bool (h, w), where it has pixels.
    low, high: float32 (h, w, 3), the range of colours within a pixel of each.
    corners: float64 (4, 2), its corners in canvas pixels.
    coarse: float32 (h // 8, w // 8, 3), means of 8 x 8 pixels.
    coarse_shown: bool (h // 8, w // 8), where all of these are shown.
    """

    colours: Floats
    shown: NDArray[np.bool_]
    low: Floats
    high: Floats
    corners: NDArray[np.float64]
    coarse: Floats
    coarse_shown: NDArray[np.bool_]


def common_frame(count: int, pairs: PairsOf) -> Frame:
    """Chains the registrations of pairs from the member that has most of them.

    Where one of two pictures does not lie in the other, the registration is seldom exact: other
    ways are preferred.
    """
    steps: dict[int, dict[int, tuple[float, Homography]]] = {place: {} for place in range(count)}
    for (one, two), facts in pairs.items():
        length = 1 + _DETOUR * (1 - max(facts.first_shared, facts.second_shared))
        steps[one][two] = length, facts.matrix
        steps[two][one] = length, inverse(facts.matrix)
    reference = max(range(count), key=lambda place: (len(steps[place]), -place))
    found: dict[int, Homography] = {}
    waiting: list[tuple[float, int, Homography]] = [(0.0, reference, np.eye(3))]
    while waiting:
        nearest = min(waiting, key=lambda way: way[:2])
        waiting = [way for way in waiting if way[1] != nearest[1]]
        distance, place, matrix = nearest
        found[place] = matrix
        waiting += [
            (distance + length, other, step @ matrix)
            for other, (length, step) in steps[place].items()
            if other not in found
        ]
    return Frame(tuple(found.get(place) for place in range(count)))


def lay_out(members: Sequence[Candidate], matrices: Sequence[Homography]) -> list[Layer]:
    """All members on one canvas, its longer side CANVAS_SIDE.

    It holds what most of them show and as much around it as frames and bars take: a screenshot or a
    collage would leave few pixels for all others.
    """
    first = members[0].file
    aspect = np.array([first.width, first.height], np.float64) / max(first.width, first.height)
    corners = [project(inverse(matrix), SQUARE) for matrix in matrices]
    lowest, highest = (np.stack([of(each, axis=0) for each in corners]) for of in (np.min, np.max))
    usual = np.median(lowest, axis=0), np.median(highest, axis=0)
    around = _MOST_AROUND * (usual[1] - usual[0])
    low = np.maximum(lowest.min(axis=0), usual[0] - around)
    high = np.minimum(highest.max(axis=0), usual[1] + around)
    # Pixels of a canvas are square where those of the first member are.
    scale = CANVAS_SIDE / max((high - low) * aspect) * aspect
    size = tuple(max(16, round(float(length))) for length in (high - low) * scale)
    to_frame = np.array([[1 / scale[0], 0, low[0]], [0, 1 / scale[1], low[1]], [0, 0, 1]])
    return [
        _layer(member, matrix @ to_frame, (size[0], size[1]), (corner - low) * scale)
        for member, matrix, corner in zip(members, matrices, corners, strict=True)
    ]


def _layer(
    member: Candidate, matrix: Homography, size: tuple[int, int], corners: NDArray[np.float64]
) -> Layer:
    """matrix: from canvas pixels to the member's normalised coordinates. size: width, height."""
    image = Image.fromarray(member.overview)
    across = np.linalg.norm(corners[1] - corners[0]) + np.linalg.norm(corners[2] - corners[3])
    down = np.linalg.norm(corners[3] - corners[0]) + np.linalg.norm(corners[2] - corners[1])
    # Averaged first, since the transform itself samples points.
    fitting = tuple(
        max(4, min(side, round(float(length) / 2)))
        for side, length in zip(image.size, (across, down), strict=True)
    )
    if fitting != image.size:
        image = image.resize((fitting[0], fitting[1]), Image.Resampling.BOX)
    to_pixels = np.array(
        [[image.width / 2, 0, image.width / 2], [0, image.height / 2, image.height / 2], [0, 0, 1]]
    )
    whole = to_pixels @ matrix
    whole /= whole[2, 2]
    data = tuple(float(value) for value in whole.ravel()[:8])
    drawn = image.transform(size, Image.Transform.PERSPECTIVE, data, Image.Resampling.BILINEAR)
    x, y = np.meshgrid(np.arange(size[0]) + 0.5, np.arange(size[1]) + 0.5)
    places = project(matrix, np.stack([x.ravel(), y.ravel()], axis=1))
    margin = 1 - 1 / np.array(image.size)
    shown = (np.abs(places) <= margin).all(axis=1).reshape(size[1], size[0])
    pixels = np.asarray(drawn)
    low, high = (
        of(pixels, size=(3, 3, 1)).astype(np.float32)
        for of in (ndimage.minimum_filter, ndimage.maximum_filter)
    )
    colours = pixels.astype(np.float32)
    coarse, coarse_shown = (
        _coarse(each) for each in (colours, shown[..., None].astype(np.float32))
    )
    return Layer(colours, shown, low, high, corners, coarse, coarse_shown[..., 0] == 1)


def _coarse(values: Floats) -> Floats:
    """Means of 8 x 8 pixels, float32 (h // 8, w // 8, n)."""
    height, width = (length // 8 for length in values.shape[:2])
    blocks = values[: height * 8, : width * 8].reshape(height, 8, width, 8, -1)
    means: Floats = blocks.mean(axis=(1, 3))
    return means
