"""Which of two pictures of one scene shows more of it, and which carries something foreign.

Works on two layers of one canvas. Around the shared area the surroundings of a crop continue what
is inside; those of a frame, a bar, a screenshot or a collage begin with a step.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mmsearch.dedup.originals.frame import Layer
from mmsearch.records import Floats

# Strips thinner than this share of the side are within the tolerance of registration.
_THIN: Final = 0.012
# From which step on surroundings count as foreign: in units of the change beside the border.
_STEP: Final = 3.0
_SAMPLES: Final = 48
# As many pixels tell the map between two pictures' colours.
_FITTED: Final = 5000
# Levels (of 255) below which nothing is told apart.
_FLAT: Final = 2.5
# Side of the squares in which both sides of a mark's border are seen, and the least of each.
_REACH: Final = 9
_BESIDE: Final = 0.15
# By how many levels a mark changes the mean of a place.
_SHIFT: Final = 8.0
# Below, on a place of 4 x 4 pixels, there is none.
_SHIFT_AT_ALL: Final = 5.0


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What one picture shows beyond another, as shares of the other's area.

    scene: continues the shared area. foreign: begins with a step. blank: plain, as is the edge of
    the shared area: more of a white background, of no weight. bounded: on how many sides something
    foreign lies; beside one only, an edge in the scene may look like it.
    """

    scene: float
    foreign: float
    blank: float
    bounded: int


def surroundings(larger: Layer, smaller: Layer) -> Surroundings:
    """What `larger` shows outside of `smaller`; each side of `smaller` is judged by itself."""
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
    """'scene', 'foreign', 'plain', 'blank'; '' where too little of the border is in the layer."""
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
    # Plain paper beside a picture whose edge is not plain.
    plain = np.mean(steps[3]) < 0.6 and outside < _FLAT and inside > 4 * _FLAT
    # What goes on beyond the border resembles what is before it; another picture does not.
    grey = values.mean(axis=2)
    unlike = _likeness(grey[2], grey[3]) < 0.3 and _likeness(grey[1], grey[2]) > 0.6
    step = across > _STEP * (beside + 1.0) or (unlike and across > 1.3 * beside)
    return "plain" if plain else "foreign" if step else "scene"


def _likeness(one: Floats, two: Floats) -> float:
    """Correlation of two rows of values, 1 where neither varies."""
    first, second = one - one.mean(), two - two.mean()
    size = float(np.linalg.norm(first) * np.linalg.norm(second))
    return float(first @ second) / size if size > 1 else 1.0


def _filled(layer: Layer) -> NDArray[np.bool_]:
    """Where the layer shows something, grown by a pixel: its edge is blended with nothing."""
    grown: NDArray[np.bool_] = ndimage.binary_dilation(layer.shown, iterations=2)
    return grown


def _area(corners: NDArray[np.float64]) -> float:
    x, y = corners.T
    return float(abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2)


@dataclass(frozen=True, slots=True)
class Marks:
    """Where two pictures differ, and who brought the difference in.

    area: share of the shared area. leaning: above 0 if the first one carries the mark (sticker,
    caption, logo), below 0 if the second; in units of the natural logarithm of a ratio of edges.
    """

    area: float
    leaning: float


def as_other(source: Floats, target: Floats, shared: NDArray[np.bool_]) -> Floats:
    """source, target: float32 (h, w, 3) → the source in the colours of the target.

    One map for the whole picture, affine with a bend for gamma. Fitted twice where both show
    something, without the worst fifth the second time, which marks may cover.
    """
    design = _terms(source)
    known, wanted = design[shared], target[shared]
    step = max(1, len(known) // _FITTED)
    known, wanted = known[::step].astype(np.float64), wanted[::step]
    kept = np.ones(len(known), bool)
    solution = np.zeros((5, 3))
    for _ in range(2):
        part = known[kept]
        # A little weight on 0 keeps grey pictures, whose channels are one, solvable.
        solution = np.linalg.solve(part.T @ part + np.eye(5), part.T @ wanted[kept])
        error = np.abs(known @ solution - wanted).mean(axis=1)
        kept = error <= np.quantile(error, 0.8)
    moved: Floats = design @ solution.astype(np.float32)
    return moved


def _terms(colours: Floats) -> Floats:
    """float32 (h, w, 5)."""
    grey = colours.mean(axis=2, keepdims=True)
    return np.concatenate([colours, grey**2 / 255, np.ones_like(grey)], axis=2)


def marks(first: Layer, second: Layer) -> Marks:
    """Looks for local differences on the area that both show."""
    shared = ndimage.binary_erosion(first.shown & second.shown, iterations=3)
    if shared.sum() < 400:
        return Marks(0.0, 0.0)
    one = as_other(first.colours, second.colours, shared)
    if np.abs(_block_means((one - second.colours) * shared[..., None])).max() < _SHIFT_AT_ALL:
        return Marks(0.0, 0.0)
    two = as_other(second.colours, first.colours, shared)
    difference = np.maximum(_beyond(one, second), _beyond(two, first)) * shared
    usual = float(np.median(difference[shared]))
    changed = ndimage.uniform_filter(difference, 5) > max(14.0, 5 * usual)
    # Blur and noise leave the mean of a place alone.
    shift = ndimage.uniform_filter(one - second.colours, (5, 5, 1))
    changed &= shared & (np.abs(shift).max(axis=2) > _SHIFT)
    labels, count = ndimage.label(changed)
    if not count:
        return Marks(0.0, 0.0)
    sizes = np.bincount(labels.ravel())[1:]
    large = np.flatnonzero(sizes >= max(12, 0.0012 * shared.sum())) + 1
    changed = np.isin(labels, large)
    if not changed.any():
        return Marks(0.0, 0.0)
    steps = [_step_along(changed, shared, colours) for colours in (one, second.colours)]
    leaning = float(np.log((steps[0] + _FLAT) / (steps[1] + _FLAT)))
    return Marks(float(changed.sum() / shared.sum()), leaning)


def _step_along(changed: NDArray[np.bool_], shared: NDArray[np.bool_], colours: Floats) -> float:
    """Mean difference in levels between what lies inside and outside of the border of a mark.

    Means of a few pixels on either side: the grain of the scene has no part in it.
    """
    inside, outside = (changed, shared & ~ndimage.binary_dilation(changed, iterations=2))
    means, weights = [], []
    for side in (inside, outside):
        weight = ndimage.uniform_filter(side.astype(np.float32), _REACH)
        summed = ndimage.uniform_filter(colours * side[..., None], (_REACH, _REACH, 1))
        means.append(summed / np.maximum(weight, 1e-6)[..., None])
        weights.append(weight)
    border = (weights[0] > _BESIDE) & (weights[1] > _BESIDE)
    if not border.any():
        return 0.0
    return float(np.abs(means[0] - means[1])[border].max(axis=1).mean())


def _block_means(values: Floats) -> Floats:
    """float32 (h, w, n) → float32 (h // 4, w // 4, n)."""
    height, width = (length // 4 for length in values.shape[:2])
    blocks = values[: height * 4, : width * 4].reshape(height, 4, width, 4, -1)
    means: Floats = blocks.mean(axis=(1, 3))
    return means


def _beyond(colours: Floats, layer: Layer) -> Floats:
    """float32 (h, w): by how much colours lie outside of what a layer shows within a pixel."""
    beyond: Floats = np.maximum(np.maximum(colours - layer.high, layer.low - colours), 0).max(
        axis=2
    )
    return beyond
