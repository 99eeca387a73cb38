"""Renders two images on one grid over the area that both show."""

from dataclasses import dataclass
from functools import lru_cache
from math import ceil, floor
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mmsearch.dedup.comparison.blocks import Mask
from mmsearch.dedup.comparison.examined import Box, Examined, Matrix
from mmsearch.dedup.thumbnails.views import ORIENTATIONS
from mmsearch.records import Pixels

# float64 (8, 3, 3), of each of ORIENTATIONS.
TURN_MATRICES = np.stack([orientation.matrix for orientation in ORIENTATIONS])
_PROBES = 48
# Tolerance in pixels of the grid for an axis-aligned map.
_STRAIGHT, _EXACTLY = 0.15, 1e-9


@dataclass(frozen=True, slots=True)
class Overlap:
    """The area that two images share, by a map from the first to the second.

    first_share, second_share: of each image's area.
    box: left, top, right, bottom of the shared area in the first image's normalised coordinates.
    """

    first_share: float
    second_share: float
    box: Box


def nearest_orientation(matrix: NDArray[np.floating[Any]]) -> int:
    """Index into ORIENTATIONS whose axes are nearest to those of the map."""
    axes = matrix[:2, :2] / np.linalg.norm(matrix[:2, :2], axis=0)
    return int((TURN_MATRICES[:, :2, :2] * axes).sum(axis=(1, 2)).argmax())


def overlap_of(matrix: Matrix) -> Overlap:
    """The overlap of two images; the shares are 0 if there is none."""
    straight = _straight_overlap(matrix)
    if straight is not None:
        return straight
    places = _probes()
    inside = _inside(mapped(matrix, places))
    back = _inside(mapped(np.linalg.inv(matrix).astype(np.float64), places))
    if not inside.any():
        return _NO_OVERLAP
    half = 1 / _PROBES
    left, top = places[:, inside].min(axis=1) - half
    right, bottom = places[:, inside].max(axis=1) + half
    box = (float(left), float(top), float(right), float(bottom))
    return Overlap(float(inside.mean()), float(back.mean()), box)


def _straight_overlap(matrix: Matrix) -> Overlap | None:
    """Overlap of two rectangles; None unless they are axis-aligned."""
    (a, b, x), (c, d, y), (g, h, _) = (matrix / matrix[2, 2]).tolist()
    if max(abs(g), abs(h), min(max(abs(b), abs(c)), max(abs(a), abs(d)))) > _EXACTLY:
        return None
    if abs(a) < abs(b):
        # A quarter turn: columns of the first image are rows of the second.
        a, d, x, y = c, b, y, x
    if min(abs(a), abs(d)) < _EXACTLY:
        return None
    spans = []
    for scale, offset in ((a, x), (d, y)):
        ends = sorted([(-1 - offset) / scale, (1 - offset) / scale])
        spans.append((max(ends[0], -1.0), min(ends[1], 1.0)))
    (left, right), (top, bottom) = spans
    if right <= left or bottom <= top:
        return _NO_OVERLAP
    share = (right - left) * (bottom - top) / 4
    return Overlap(share, min(share * abs(a * d), 1.0), (left, top, right, bottom))


def mapped(matrix: Matrix, places: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Maps points, (2, n); points behind the camera of a degenerate homography are far outside."""
    homogeneous = matrix[:, :2] @ places + matrix[:, 2:]
    found: NDArray[np.float64] = homogeneous[:2] / np.maximum(homogeneous[2], 1e-6)
    return found


@lru_cache
def _probes() -> NDArray[np.float64]:
    centres = (np.arange(_PROBES) + 0.5) * 2 / _PROBES - 1
    across, down = np.meshgrid(centres, centres)
    return np.stack([across.ravel(), down.ravel()])


def _inside(places: NDArray[np.float64]) -> Mask:
    inside: Mask = np.abs(places).max(axis=0) < 1
    return inside


_NO_OVERLAP = Overlap(0.0, 0.0, (-1.0, -1.0, 1.0, 1.0))


@dataclass(frozen=True, slots=True)
class Straight:
    """An axis-aligned position of a grid on an image.

    orientation: index into ORIENTATIONS.
    box: left, top, right, bottom of the grid in the turned image's normalised coordinates.
    """

    orientation: int
    box: Box


@dataclass(frozen=True, slots=True)
class Grid:
    """A grid of width x height pixels over a box of the first image (normalised coordinates)."""

    width: int
    height: int
    box: Box

    @classmethod
    def over(
        cls, first: Examined, box: tuple[float, float, float, float], side: int, multiple: int
    ) -> "Grid":
        """A grid whose longer side has `side` pixels; both sides are multiples of `multiple`."""
        left, top, right, bottom = box
        width, height = (right - left) * first.width, (bottom - top) * first.height
        longer = max(width, height)
        sides = (max(round(each / longer * side / multiple), 1) for each in (width, height))
        across, down = (each * multiple for each in sides)
        return cls(across, down, box)

    @property
    def to_first(self) -> Matrix:
        """Map from pixels of the grid to the first image's normalised coordinates."""
        left, top, right, bottom = self.box
        return np.array(
            [
                [(right - left) / self.width, 0, left],
                [0, (bottom - top) / self.height, top],
                [0, 0, 1],
            ]
        )

    def straight(self, matrix: Matrix, most: float = _STRAIGHT) -> "Straight | None":
        """Axis-aligned position of the grid on the second image; None if it is not axis-aligned.

        most: tolerance of the corners in pixels of the grid.
        """
        number = nearest_orientation(matrix)
        to_turned = np.linalg.inv(TURN_MATRICES[number]) @ matrix @ self.to_first
        corners = mapped(to_turned, self._corners).reshape(2, 2, 2)
        (left, right), (top, bottom) = corners[0].mean(axis=0), corners[1].mean(axis=1)
        if right <= left or bottom <= top:
            return None
        across = np.ptp(corners[0], axis=0).max() / (right - left) * self.width
        down = np.ptp(corners[1], axis=1).max() / (bottom - top) * self.height
        if max(across, down) > 2 * most:
            return None
        return Straight(number, (float(left), float(top), float(right), float(bottom)))

    def straightened(self, matrix: Matrix) -> Matrix:
        """The nearest axis-aligned map, in its orientation."""
        turn = TURN_MATRICES[nearest_orientation(matrix)]
        steps = np.linspace(0.0, 1.0, 5)
        across, down = np.meshgrid(steps * self.width, steps * self.height)
        places = np.stack([across.ravel(), down.ravel()])
        there = mapped(np.linalg.inv(turn) @ matrix @ self.to_first, places)
        (scale_x, left), (scale_y, top) = (
            np.polyfit(one, other, 1) for one, other in zip(places, there, strict=True)
        )
        to_turned = np.array([[scale_x, 0, left], [0, scale_y, top], [0, 0, 1]])
        level: Matrix = turn @ to_turned @ np.linalg.inv(self.to_first)
        return level

    def render(
        self, image: Examined, matrix: Matrix, straight: "Straight | None", *, grey: bool
    ) -> Pixels:
        """Samples an image at every pixel of the grid, uint8 (h, w) or (h, w, 3).

        matrix: from the first image's normalised coordinates to those of this image.
        straight: its axis-aligned position, None for both images unless both are axis-aligned: they
            must be sampled alike to be compared.
        """
        to_image = matrix @ self.to_first
        # Grid pixels per unit of the image's normalised width, at the centre.
        x, y = self.width / 2, self.height / 2
        steps = mapped(to_image, np.array([[x, x + 1, x], [y, y, y + 1]]))
        moved = (steps[:, 1:] - steps[:, :1]) * [[image.width], [image.height]]
        pixels_a_step = max(float(np.sqrt(abs(np.linalg.det(moved)))), 1e-6)
        level, width, height = image.level(image.width / 2 / pixels_a_step, grey=grey)
        # Colours are used to detect ink on paper, which has to stay crisp.
        how = Image.Resampling.BILINEAR if grey else Image.Resampling.BICUBIC
        if straight is not None:
            return self._resized(level, width, height, straight, how=how)
        scale = np.array([[width / 2, 0, width / 2], [0, height / 2, height / 2], [0, 0, 1]])
        full = scale @ to_image
        full = full / full[2, 2]
        size = (self.width, self.height)
        places = full.ravel()[:8].tolist()
        return np.asarray(level.transform(size, Image.Transform.PERSPECTIVE, places, how))

    def _resized(
        self,
        image: Image.Image,
        width: float,
        height: float,
        straight: "Straight",
        *,
        how: Image.Resampling,
    ) -> Pixels:
        """Samples an axis-aligned image; beyond its border the nearest pixels are repeated."""
        orientation = ORIENTATIONS[straight.orientation]
        if orientation.transposed:
            width, height = height, width
        image = orientation.turn_image(image)
        left, top, right, bottom = ((place + 1) / 2 for place in straight.box)
        # A mirrored image that was halved to a fraction begins with its last, partial pixel.
        before = (image.width - width) * orientation.mirrored
        above = (image.height - height) * orientation.upside_down
        across = _Span(left * width, right * width, self.width, width, before)
        down = _Span(top * height, bottom * height, self.height, height, above)
        (first, end), (upper, lower) = across.inside, down.inside
        shown = np.asarray(
            image.resize(
                (end - first, lower - upper),
                how,
                box=(across.place(first), down.place(upper), across.place(end), down.place(lower)),
            )
        )
        beyond = [(upper, self.height - lower), (first, self.width - end)]
        if not any(map(any, beyond)):
            return shown
        return np.pad(shown, beyond + [(0, 0)] * (shown.ndim - 2), mode="edge")

    @property
    def _corners(self) -> NDArray[np.float64]:
        """Upper left, upper right, lower left, lower right corner, float64 (2, 4)."""
        right, bottom = float(self.width), float(self.height)
        return np.array([[0, right, 0, right], [0, 0, bottom, bottom]])

    @property
    def as_straight(self) -> Straight:
        """Position of the grid on the first image."""
        return Straight(0, self.box)

    def seen(self, matrix: Matrix, patch: int) -> Mask:
        """Patches wholly inside the second image, bool (rows, columns)."""
        # Its outline is convex, so testing the corners of a patch suffices.
        rows, columns = self.height // patch, self.width // patch
        across, down = (
            (np.arange(count)[:, None] * patch + [0.5, patch - 0.5]).ravel()
            for count in (columns, rows)
        )
        places = np.stack(np.meshgrid(across, down)).reshape(2, -1)
        inside = _inside(mapped(matrix @ self.to_first, places))
        seen: Mask = np.asarray(inside.reshape(rows, 2, columns, 2).all(axis=(1, 3)))
        return seen


@dataclass(frozen=True, slots=True)
class _Span:
    """One axis of an axis-aligned grid: `count` pixels from `start` to `end` of `length` pixels.

    These begin at the fractional pixel `offset` of an image.
    """

    start: float
    end: float
    count: int
    length: float
    offset: float

    @property
    def inside(self) -> tuple[int, int]:
        """Range of the grid's pixels inside of the image."""
        step = (self.end - self.start) / self.count
        first = max(ceil(-self.start / step - 1e-6), 0)
        end = min(floor((self.length - self.start) / step + 1e-6), self.count)
        return min(first, self.count - 1), max(end, first + 1)

    def place(self, pixel: int) -> float:
        """Position of a pixel of the grid in the image."""
        place = self.start + (self.end - self.start) * pixel / self.count
        return min(max(place, 0.0), self.length) + self.offset
