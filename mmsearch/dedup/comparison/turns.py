"""The eight orientations as maps between normalised coordinates, -1 to 1 from the centre."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mmsearch.dedup.thumbnails.views import ORIENTATIONS, Orientation

_OPERATIONS = {
    (False, False, True): Image.Transpose.FLIP_LEFT_RIGHT,
    (False, True, False): Image.Transpose.FLIP_TOP_BOTTOM,
    (False, True, True): Image.Transpose.ROTATE_180,
    (True, False, False): Image.Transpose.TRANSPOSE,
    (True, False, True): Image.Transpose.ROTATE_270,
    (True, True, False): Image.Transpose.ROTATE_90,
    (True, True, True): Image.Transpose.TRANSVERSE,
}


def turned(image: Image.Image, orientation: Orientation) -> Image.Image:
    """Turns an image as `Orientation.turn` turns arrays."""
    operation = _OPERATIONS.get(
        (orientation.transposed, orientation.upside_down, orientation.mirrored)
    )
    return image if operation is None else image.transpose(operation)


def turn_matrix(orientation: Orientation) -> NDArray[np.float64]:
    """Map from coordinates of the turned image to those of the image, float64 (3, 3)."""
    matrix = np.eye(3)
    if orientation.mirrored:
        matrix = np.diag([-1.0, 1.0, 1.0]) @ matrix
    if orientation.upside_down:
        matrix = np.diag([1.0, -1.0, 1.0]) @ matrix
    if orientation.transposed:
        matrix = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]) @ matrix
    return matrix


# float64 (8, 3, 3): `turn_matrix` of each of ORIENTATIONS.
TURN_MATRICES = np.stack([turn_matrix(orientation) for orientation in ORIENTATIONS])


def nearest_orientation(matrix: NDArray[np.floating[Any]]) -> int:
    """Index into ORIENTATIONS whose axes are nearest to those of the map."""
    axes = matrix[:2, :2] / np.linalg.norm(matrix[:2, :2], axis=0)
    return int((TURN_MATRICES[:, :2, :2] * axes).sum(axis=(1, 2)).argmax())
