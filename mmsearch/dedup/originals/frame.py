"""Aligns the candidates of a group in one frame of reference, and renders them on one canvas."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mmsearch.dedup.originals.candidate import Candidate, FileEvidence
from mmsearch.dedup.originals.registration import Homography, Registration, inverse, project
from mmsearch.records import Floats, Pixels

Registrations: TypeAlias = Mapping[tuple[int, int], Registration]
CANVAS_SIDE: Final = 256
CELL: Final = 8
# Margin around what most candidates show, as a share of its sides.
_MOST_AROUND: Final = 0.4
# Path length in pairs added for each unshared share of 1.
_DETOUR: Final = 20.0
SQUARE: Final = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)], np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """A candidate rendered on the canvas.

    colours: float32 (h, w, 3).
    shown: bool (h, w), where it has pixels.
    low, high: float32 (h, w, 3), range of colours within a pixel of each.
    corners: float64 (4, 2), its corners in canvas pixels.
    coarse: float32 (h // CELL, w // CELL, 3), means of cells.
    coarse_shown: bool (h // CELL, w // CELL), where all of a cell is shown.
    """

    colours: Floats
    shown: NDArray[np.bool_]
    low: Floats
    high: Floats
    corners: NDArray[np.float64]
    coarse: Floats
    coarse_shown: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class AlignedCandidate:
    """A candidate with its place in the common frame.

    matrix: from the common frame to its normalised coordinates.
    layer: its pixels on the canvas.
    """

    candidate: Candidate
    matrix: Homography
    layer: Layer

    @property
    def file(self) -> FileEvidence:
        """Evidence of the file itself."""
        return self.candidate.file


def common_frame(count: int, pairs: Registrations) -> list[Homography | None]:
    """Chains the registrations of pairs, starting from the image with most of them.

    Returns the maps from the normalised coordinates of that image to those of each one; None for
    images that no pair connects with it. Paths prefer pairs where one image lies within the other,
    since other registrations are less exact.
    """
    steps: dict[int, dict[int, tuple[float, Homography]]] = {place: {} for place in range(count)}
    for (one, two), pair in pairs.items():
        length = 1 + _DETOUR * (1 - max(pair.first_shared, pair.second_shared))
        steps[one][two] = length, pair.matrix
        steps[two][one] = length, inverse(pair.matrix)
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
    return [found.get(place) for place in range(count)]


def align(
    candidates: Sequence[Candidate], matrices: Sequence[Homography]
) -> list[AlignedCandidate]:
    """Renders all candidates on one canvas, its longer side CANVAS_SIDE.

    matrices: from the common frame to their normalised coordinates.

    It covers what most of them show plus a margin for frames and bars: a screenshot or a collage
    would leave few pixels for the others.
    """
    first = candidates[0].file
    aspect = np.array([first.width, first.height], np.float64) / max(first.width, first.height)
    corners = [project(inverse(matrix), SQUARE) for matrix in matrices]
    lowest, highest = (np.stack([of(each, axis=0) for each in corners]) for of in (np.min, np.max))
    usual = np.median(lowest, axis=0), np.median(highest, axis=0)
    around = _MOST_AROUND * (usual[1] - usual[0])
    low = np.maximum(lowest.min(axis=0), usual[0] - around)
    high = np.minimum(highest.max(axis=0), usual[1] + around)
    # Canvas pixels are square in the pixels of the first candidate.
    scale = CANVAS_SIDE / max((high - low) * aspect) * aspect
    size = tuple(max(16, round(float(length))) for length in (high - low) * scale)
    to_frame = np.array([[1 / scale[0], 0, low[0]], [0, 1 / scale[1], low[1]], [0, 0, 1]])
    return [
        AlignedCandidate(
            each,
            matrix,
            _layer(each, matrix @ to_frame, (size[0], size[1]), (corner - low) * scale),
        )
        for each, matrix, corner in zip(candidates, matrices, corners, strict=True)
    ]


def _layer(
    candidate: Candidate, matrix: Homography, size: tuple[int, int], corners: NDArray[np.float64]
) -> Layer:
    """Renders a candidate.

    matrix: from canvas pixels to its normalised coordinates.
    size: width, height.
    """
    image = Image.fromarray(candidate.overview)
    across = np.linalg.norm(corners[1] - corners[0]) + np.linalg.norm(corners[2] - corners[3])
    down = np.linalg.norm(corners[3] - corners[0]) + np.linalg.norm(corners[2] - corners[1])
    # Downscaled first, since the transform itself samples points.
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
    inside = Image.new("L", image.size, 0)
    inside.paste(255, (1, 1, image.width - 1, image.height - 1))
    shown = np.asarray(inside.transform(size, Image.Transform.PERSPECTIVE, data)) > 0
    pixels = np.asarray(drawn)
    colours = pixels.astype(np.float32)
    low, high = (_extreme(pixels, of).astype(np.float32) for of in (np.minimum, np.maximum))
    coarse, coarse_shown = (
        _coarse(each) for each in (colours, shown[..., None].astype(np.float32))
    )
    return Layer(colours, shown, low, high, corners, coarse, coarse_shown[..., 0] == 1)


def _extreme(pixels: Pixels, of: np.ufunc) -> Pixels:
    """Minimum or maximum over 3 x 3 pixels."""
    found = pixels.copy()
    found[1:] = of(found[1:], pixels[:-1])
    found[:-1] = of(found[:-1], pixels[1:])
    both: Pixels = found.copy()
    both[:, 1:] = of(both[:, 1:], found[:, :-1])
    both[:, :-1] = of(both[:, :-1], found[:, 1:])
    return both


def _coarse(values: Floats) -> Floats:
    """Means of cells of CELL pixels, float32 (h // CELL, w // CELL, n)."""
    height, width = (length // CELL for length in values.shape[:2])
    rows = values[: height * CELL, : width * CELL].reshape(height, CELL, -1).sum(axis=1)
    means: Floats = rows.reshape(height, width, CELL, -1).sum(axis=2) / CELL**2
    return means
