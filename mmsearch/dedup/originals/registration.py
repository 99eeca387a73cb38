"""How two images are registered, and what that says of their geometry: scale, stretch and tilt."""

from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mmsearch.dedup.originals.candidate import Candidate

Homography: TypeAlias = NDArray[np.float64]

# Ratio of the scales of both directions, and degrees, beyond the error of a registration.
_STRETCH: Final = 0.03
_TILT: Final = 0.8


@dataclass(frozen=True, slots=True)
class Registration:
    """How the second image of a pair is registered with the first.

    matrix: float64 (3, 3), from the first's to the second's normalised coordinates: -1 to 1 from
        the centre, x to the right, y down. It may mirror and rotate.
    first_shared, second_shared: share of each image's area that the other one shows.
    """

    matrix: Homography
    first_shared: float = 1.0
    second_shared: float = 1.0

    def reversed(self) -> "Registration":
        """The same pair with the second image first."""
        return Registration(inverse(self.matrix), self.second_shared, self.first_shared)


def inverse(matrix: Homography) -> Homography:
    """Inverse of a homography."""
    return np.linalg.inv(matrix).astype(np.float64)


def project(matrix: Homography, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Maps points, float64 (n, 2), by a homography."""
    mapped = points @ matrix[:, :2].T + matrix[:, 2]
    result: NDArray[np.float64] = mapped[:, :2] / mapped[:, 2:]
    return result


def is_stretched(one: Candidate, two: Candidate, matrix: Homography) -> bool:
    """Whether the scales of both directions differ by more than the registration error."""
    larger, smaller = np.linalg.svd(_in_pixels(one, two, matrix), compute_uv=False)
    return bool(larger > (1 + _STRETCH) * smaller)


def is_tilted(one: Candidate, two: Candidate, matrix: Homography) -> bool:
    """Whether the rotation is neither a quarter turn nor within the registration error."""
    smaller, larger = np.sort(np.abs(_in_pixels(one, two, matrix)[:, 0]))
    return bool(smaller > np.tan(np.radians(_TILT)) * larger)


def _in_pixels(one: Candidate, two: Candidate, matrix: Homography) -> NDArray[np.float64]:
    """Linear part of a registration in pixels, float64 (2, 2)."""
    linear: NDArray[np.float64] = (
        matrix[:2, :2] / matrix[2, 2] * _sides(two)[:, None] / _sides(one)[None]
    )
    return linear


def scale_between(one: Candidate, two: Candidate, matrix: Homography) -> float:
    """Pixels of `two` per pixel of `one` along a side, in the middle of the shared area.

    matrix: from the normalised coordinates of `one` to those of `two`.
    """
    middle = _shared_middle(matrix)
    step = 1e-3
    points = project(matrix, middle + np.array([[0, 0], [step, 0], [0, step]]))
    across, down = (points[1] - points[0]) / step, (points[2] - points[0]) / step
    jacobian = np.stack([across, down], axis=1) * _sides(two)[:, None] / _sides(one)[None]
    return float(np.sqrt(abs(np.linalg.det(jacobian))))


def _sides(candidate: Candidate) -> NDArray[np.float64]:
    return np.array([candidate.file.width, candidate.file.height], np.float64)


def _shared_middle(matrix: Homography) -> NDArray[np.float64]:
    """A point well inside of both images, float64 (1, 2)."""
    grid = np.linspace(-0.9, 0.9, 13)
    x, y = np.meshgrid(grid, grid)
    points = np.stack([x.ravel(), y.ravel()], axis=1)
    inside = (np.abs(project(matrix, points)) < 0.95).all(axis=1)
    middle: NDArray[np.float64] = points[inside].mean(axis=0) if inside.any() else np.zeros(2)
    return middle[None]
