"""Registration of two images, as input for choosing the original."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Homography: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class RegistrationFacts:
    """How the second image of a pair is registered with the first.

    matrix: float64 (3, 3), from the first's to the second's normalised coordinates: -1 to 1 from
        the centre, x to the right, y down. It may mirror and rotate.
    first_shared, second_shared: share of each image's area that the other one shows.
    """

    matrix: Homography
    first_shared: float = 1.0
    second_shared: float = 1.0

    def reversed(self) -> "RegistrationFacts":
        """The same pair with the second image first."""
        return RegistrationFacts(inverse(self.matrix), self.second_shared, self.first_shared)


def inverse(matrix: Homography) -> Homography:
    """Inverse of a homography."""
    return np.linalg.inv(matrix).astype(np.float64)


def project(matrix: Homography, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Maps points, float64 (n, 2), by a homography."""
    mapped = points @ matrix[:, :2].T + matrix[:, 2]
    result: NDArray[np.float64] = mapped[:, :2] / mapped[:, 2:]
    return result
