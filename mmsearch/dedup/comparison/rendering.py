"""Two pictures on one grid: the area that both show, sampled pixel by pixel."""

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mmsearch.dedup.comparison.examined import Examined
from mmsearch.records import Pixels

# float64 (3, 3): a homography between normalised coordinates, -1 to 1 from the centre (x, y).
Matrix: TypeAlias = NDArray[np.float64]
Mask: TypeAlias = NDArray[np.bool_]

_PROBES = 48


@dataclass(frozen=True, slots=True)
class Overlap:
    """What of two pictures shows the same area, by a map from the first to the second.

    first_share, second_share: of each picture's area. box: left, top, right, bottom of the shared
    area in the first picture's normalised coordinates.
    """

    first_share: float
    second_share: float
    box: tuple[float, float, float, float]


def overlap_of(matrix: Matrix) -> Overlap:
    """Shares are 0 where the two do not meet."""
    places = _probes().astype(np.float64)
    inside = _inside(mapped(matrix, places))
    inverse = np.linalg.inv(matrix).astype(np.float64)
    back = _inside(mapped(inverse, places))
    if not inside.any():
        return Overlap(0.0, 0.0, (-1.0, -1.0, 1.0, 1.0))
    half = 1 / _PROBES
    left, top = places[:, inside].min(axis=1) - half
    right, bottom = places[:, inside].max(axis=1) + half
    box = (float(left), float(top), float(right), float(bottom))
    return Overlap(float(inside.mean()), float(back.mean()), box)


def mapped(matrix: Matrix, places: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """places: (2, n) → (2, n); behind the camera of a wild homography they are far outside."""
    homogeneous = matrix @ np.vstack([places, np.ones(places.shape[1])])
    depth = np.where(homogeneous[2] > 1e-6, homogeneous[2], 1e-6)
    found: NDArray[np.float64] = homogeneous[:2] / depth
    return found


def _probes() -> NDArray[np.float64]:
    centres = (np.arange(_PROBES) + 0.5) * 2 / _PROBES - 1
    across, down = np.meshgrid(centres, centres)
    return np.stack([across.ravel(), down.ravel()])


def _inside(places: NDArray[np.float64]) -> Mask:
    inside: Mask = np.abs(places).max(axis=0) < 1
    return inside


@dataclass(frozen=True, slots=True)
class Grid:
    """width x height pixels over a box of the first picture (normalised coordinates)."""

    width: int
    height: int
    box: tuple[float, float, float, float]

    @classmethod
    def over(
        cls, first: Examined, box: tuple[float, float, float, float], side: int, multiple: int
    ) -> "Grid":
        """The longer side has `side` pixels; both are multiples of `multiple`."""
        left, top, right, bottom = box
        width, height = (right - left) * first.width, (bottom - top) * first.height
        longer = max(width, height)
        sides = (max(round(each / longer * side / multiple), 1) for each in (width, height))
        across, down = (each * multiple for each in sides)
        return cls(across, down, box)

    @property
    def to_first(self) -> Matrix:
        """From pixels of the grid to the first picture's normalised coordinates."""
        left, top, right, bottom = self.box
        return np.array(
            [
                [(right - left) / self.width, 0, left],
                [0, (bottom - top) / self.height, top],
                [0, 0, 1],
            ]
        )

    def render(self, picture: Examined, matrix: Matrix, *, grey: bool) -> Pixels:
        """The picture under every pixel of the grid, uint8 (h, w) or (h, w, 3).

        matrix: from the first picture's normalised coordinates to those of this picture.
        """
        to_picture = matrix @ self.to_first
        # How many grid pixels a unit of the picture's normalised width is shown by, at the centre.
        x, y = self.width / 2, self.height / 2
        steps = mapped(to_picture, np.array([[x, x + 1, x], [y, y, y + 1]]))
        moved = (steps[:, 1:] - steps[:, :1]) * [[picture.width], [picture.height]]
        pixels_a_step = max(float(np.sqrt(abs(np.linalg.det(moved)))), 1e-6)
        image, width, height = picture.level(picture.width / 2 / pixels_a_step, grey=grey)
        scale = np.array([[width / 2, 0, width / 2], [0, height / 2, height / 2], [0, 0, 1]])
        full = scale @ to_picture
        full = full / full[2, 2]
        size = (self.width, self.height)
        how = Image.Resampling.BILINEAR if grey else Image.Resampling.BICUBIC
        shown = image.transform(size, Image.Transform.PERSPECTIVE, full.ravel()[:8].tolist(), how)
        return np.asarray(shown)

    def inside(self, matrix: Matrix) -> Mask:
        """bool (height, width): where the second picture has pixels, by `matrix`."""
        right, bottom = self.width - 0.5, self.height - 0.5
        corners = np.array([[0.5, right, 0.5, right], [0.5, 0.5, bottom, bottom]])
        if _inside(mapped(matrix @ self.to_first, corners)).all():
            return np.ones((self.height, self.width), np.bool_)
        across, down = np.meshgrid(np.arange(self.width) + 0.5, np.arange(self.height) + 0.5)
        places = mapped(matrix @ self.to_first, np.stack([across.ravel(), down.ravel()]))
        return _inside(places).reshape(self.height, self.width)
