"""Decides which of two images of one scene shows more of it, and which has foreign surroundings.

Works on two layers of one canvas. The surroundings of a crop continue its content; those of a
frame, a bar, a screenshot or a collage begin with a step.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mmsearch.dedup.originals.frame import Layer
from mmsearch.records import Floats

# Strips thinner than this share of the side are within the tolerance of the registration.
_THIN: Final = 0.012
# Step from which surroundings are foreign, relative to the variation beside the border.
_STEP: Final = 3.0
_SAMPLES: Final = 48
# Levels (of 255) below which differences are ignored.
_FLAT: Final = 2.5


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What one image shows beyond another, as shares of the other's area.

    scene: continues the shared area.
    foreign: begins with a step.
    blank: plain, like the edge of the shared area: more of a white background, without weight.
    bounded: number of sides with something foreign; on a single side it may be an edge in the
        scene.
    """

    scene: float
    foreign: float
    blank: float
    bounded: int


def surroundings(larger: Layer, smaller: Layer) -> Surroundings:
    """Classifies what `larger` shows outside of `smaller`, for each side of `smaller`."""
    found = {"scene": 0.0, "foreign": 0.0, "blank": 0.0}
    if np.abs(larger.corners - smaller.corners).max() < _THIN * np.sqrt(_area(smaller.corners)):
        return Surroundings(0.0, 0.0, 0.0, 0)
    bounded = 0
    beyond = larger.shown & ~_filled(smaller)
    area = max(_area(smaller.corners), 1.0)
    centre = smaller.corners.mean(axis=0)
    height, width = beyond.shape
    y, x = np.mgrid[0:height, 0:width] + 0.5
    for one, two in zip(smaller.corners, np.roll(smaller.corners, -1, axis=0), strict=True):
        length = float(np.linalg.norm(two - one))
        if length < 8:
            continue
        normal = np.array([two[1] - one[1], one[0] - two[0]]) / length
        if normal @ (centre - one) > 0:
            normal = -normal
        outside = ((x - one[0]) * normal[0] + (y - one[1]) * normal[1]) > 0
        share = float((beyond & outside).sum()) / area
        if share * area / length < max(_THIN * np.sqrt(area), 2.0):
            continue
        kind = _kind_of_border(larger, one, two, normal)
        bounded += {"plain": 2, "foreign": 1}.get(kind, 0)
        kind = "foreign" if kind == "plain" else kind
        if kind:
            found[kind] += share
    return Surroundings(**found, bounded=bounded)


def _kind_of_border(
    layer: Layer,
    one: NDArray[np.float64],
    two: NDArray[np.float64],
    normal: NDArray[np.float64],
) -> str:
    """'scene', 'foreign', 'plain' or 'blank'; '' if too little of the border is in the layer."""
    along = np.linspace(0.04, 0.96, _SAMPLES)[:, None]
    border = one + (two - one) * along
    depths = np.array([-6.0, -3.5, -1.75, 1.75, 3.5, 6.0])
    places = border[None] + depths[:, None, None] * normal
    values = np.stack(
        [
            ndimage.map_coordinates(
                layer.colours[..., channel],
                [places[..., 1] - 0.5, places[..., 0] - 0.5],
                order=1,
                mode="nearest",
            )
            for channel in range(3)
        ],
        axis=-1,
    )
    height, width = layer.shown.shape
    rows = np.clip(places[..., 1].astype(int), 0, height - 1)
    columns = np.clip(places[..., 0].astype(int), 0, width - 1)
    within = (places >= 0).all(axis=-1) & (places[..., 0] < width) & (places[..., 1] < height)
    usable = (layer.shown[rows, columns] & within)[:5].all(axis=0)
    if usable.sum() < 6:
        return ""
    values = values[:, usable]
    steps = np.abs(np.diff(values, axis=0)).mean(axis=2)
    across = float(np.mean(steps[2]))
    beside = float(min(np.mean(steps[1]), np.mean(steps[3])))
    inside, outside = values[1:3].std(axis=1).mean(), values[3:5].std(axis=1).mean()
    if across < _FLAT and inside < 2 * _FLAT and outside < 2 * _FLAT:
        return "blank"
    # Plain paper beside an image whose edge is not plain.
    plain = np.mean(steps[3]) < 0.6 and outside < _FLAT and inside > 4 * _FLAT
    # Continued content correlates across the border; another image does not.
    grey = values.mean(axis=2)
    unlike = _likeness(grey[2], grey[3]) < 0.3 and _likeness(grey[1], grey[2]) > 0.6
    step = across > _STEP * (beside + 1.0) or (unlike and across > 1.3 * beside)
    return "plain" if plain else "foreign" if step else "scene"


def _likeness(one: Floats, two: Floats) -> float:
    """Correlation of two rows of values, 1 if neither varies."""
    first, second = one - one.mean(), two - two.mean()
    size = float(np.linalg.norm(first) * np.linalg.norm(second))
    return float(first @ second) / size if size > 1 else 1.0


def _filled(layer: Layer) -> NDArray[np.bool_]:
    """Where the layer has pixels, extended by one: its edge is blended with nothing."""
    grown: NDArray[np.bool_] = ndimage.binary_dilation(layer.shown, iterations=2)
    return grown


def _area(corners: NDArray[np.float64]) -> float:
    x, y = corners.T
    return float(abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2)
