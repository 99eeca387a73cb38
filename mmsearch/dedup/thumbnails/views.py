"""Descriptors of a thumbnail in eight orientations and many crops, compared by cosine.

A descriptor is the low-frequency DCT of a window of the thumbnail, as in pHash, but real-valued:
whitened, compressed and of unit norm. The eight orientations of an image are sign changes and a
transposition of its DCT, so they cost nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mmsearch.fusion import unit
from mmsearch.records import Floats, Ids, Pixels

_Level = TypeVar("_Level", bound=np.generic)

_FREQUENCIES = 8
DIM = _FREQUENCIES * _FREQUENCIES - 1


@dataclass(frozen=True, slots=True)
class Orientation:
    """An orientation of a square: transposed or not, then flipped vertically and horizontally."""

    transposed: bool
    upside_down: bool
    mirrored: bool

    @property
    def name(self) -> str:
        """Description for people."""
        return _NAMES[self.transposed, self.upside_down, self.mirrored]

    def turn(self, images: NDArray[_Level]) -> NDArray[_Level]:
        """Turns images of shape (…, side, side)."""
        turned = np.swapaxes(images, -1, -2) if self.transposed else images
        turned = turned[..., ::-1, :] if self.upside_down else turned
        return turned[..., ::-1] if self.mirrored else turned

    def turn_image(self, image: Image.Image) -> Image.Image:
        """Turns an image in the same way."""
        operation = _OPERATIONS.get((self.transposed, self.upside_down, self.mirrored))
        return image if operation is None else image.transpose(operation)

    @property
    def matrix(self) -> NDArray[np.float64]:
        """Map from coordinates of the turned image to those of the image, float64 (3, 3).

        Both are normalised, -1 to 1 from the centre.
        """
        across, down = 1 - 2 * self.mirrored, 1 - 2 * self.upside_down
        rows = [[across, 0, 0], [0, down, 0], [0, 0, 1]]
        if self.transposed:
            rows[:2] = rows[1::-1]
        return np.array(rows, np.float64)


_NAMES = {
    (False, False, False): "upright",
    (False, False, True): "mirrored",
    (False, True, False): "flipped top to bottom",
    (False, True, True): "turned by 180°",
    (True, False, False): "mirrored and turned by 90°",
    (True, False, True): "turned by 90° clockwise",
    (True, True, False): "turned by 90° counter-clockwise",
    (True, True, True): "mirrored and turned by 270°",
}
ORIENTATIONS = tuple(Orientation(*turn) for turn in _NAMES)
_OPERATIONS = {
    (False, False, True): Image.Transpose.FLIP_LEFT_RIGHT,
    (False, True, False): Image.Transpose.FLIP_TOP_BOTTOM,
    (False, True, True): Image.Transpose.ROTATE_180,
    (True, False, False): Image.Transpose.TRANSPOSE,
    (True, False, True): Image.Transpose.ROTATE_270,
    (True, True, False): Image.Transpose.ROTATE_90,
    (True, True, True): Image.Transpose.TRANSVERSE,
}


def _compositions() -> Ids:
    square = np.arange(4, dtype=np.uint8).reshape(2, 2)
    turned = [turn.turn(square).tobytes() for turn in ORIENTATIONS]
    return np.array(
        [
            [turned.index(second.turn(first.turn(square)).tobytes()) for second in ORIENTATIONS]
            for first in ORIENTATIONS
        ]
    )


# int64 (8, 8): the row's orientation followed by the column's.
COMPOSED = _compositions()
# int64 (8,): the inverse of each orientation.
INVERSE = COMPOSED.argmin(axis=1)


@dataclass(frozen=True, slots=True)
class Window:
    """A part of the image, as shares of its width and height from the top left."""

    left: float
    top: float
    right: float
    bottom: float


def _windows() -> tuple[Window, ...]:
    """The whole image and crops so dense that any crop of up to a quarter is near one of them."""
    windows = [Window(0, 0, 1, 1)]
    windows += [Window(cut, cut, 1 - cut, 1 - cut) for cut in (0.05, 0.1, 0.15)]
    windows += [Window(x, y, x + 0.9, y + 0.9) for x in (0, 0.1) for y in (0, 0.1)]
    edges = (0, 0.1, 0.2)
    windows += [
        Window(x, y, x + 0.8, y + 0.8) for x in edges for y in edges if (x, y) != (0.1, 0.1)
    ]
    return tuple(windows)


WINDOWS = _windows()
WHOLE = WINDOWS[:1]


def descriptors(
    thumbnails: Pixels,
    windows: Sequence[Window] = WHOLE,
    orientations: Sequence[Orientation] = ORIENTATIONS[:1],
) -> Floats:
    """Computes descriptors of windows of thumbnails in several orientations.

    thumbnails: uint8 (n, side, side).
    Returns float32 (n, windows, orientations, DIM), unit rows; rows of zeros for blank images,
    which are similar to nothing.
    """
    levels = thumbnails.astype(np.float32)
    spectra = np.stack([_spectrum(levels, window) for window in windows], axis=1)
    turned = np.stack([_turned(spectra, orientation) for orientation in orientations], axis=2)
    flat = turned.reshape(*turned.shape[:3], -1)[..., 1:]
    weighted = flat * _WHITENING
    compressed = np.sign(weighted) * np.sqrt(np.abs(weighted))
    compressed[np.abs(flat).max(axis=-1) < _LEAST_CONTRAST] = 0
    return unit(compressed.reshape(-1, DIM)).reshape(compressed.shape)


# Grey levels below which only rounding and compression noise is left.
_LEAST_CONTRAST = 0.5


def turnless(upright: Floats) -> Floats:
    """Computes descriptors that are invariant to orientation, float32 (n, DIM), unit rows.

    Mirroring changes signs and a quarter turn also transposes: what is invariant are the magnitudes
    of the sum and the difference of each pair of transposed frequencies.

    upright: descriptors, float32 (n, DIM).
    """
    size = np.abs(np.pad(upright, ((0, 0), (1, 0)))).reshape(-1, _FREQUENCIES, _FREQUENCIES)
    other = np.swapaxes(size, 1, 2)
    above = np.triu(np.ones((_FREQUENCIES, _FREQUENCIES), np.bool_))
    mixed = np.where(above, size + other, np.abs(size - other)).reshape(len(size), -1)[:, 1:]
    blank = ~upright.any(axis=1)
    mixed = mixed - mixed.mean(axis=1, keepdims=True)
    mixed[blank] = 0
    return unit(mixed)


def _spectrum(levels: Floats, window: Window) -> Floats:
    """DCT-II of a window of images, float32 (n, side, side), as float32 (n, 8, 8)."""
    rows = _basis(window.top, window.bottom, levels.shape[1])
    columns = _basis(window.left, window.right, levels.shape[2])
    spectrum: Floats = (rows @ levels @ columns.T).astype(np.float32, copy=False)
    return spectrum


def _basis(start: float, end: float, side: int) -> Floats:
    """Cosines over the pixels from start to end, shares of the side, float32 (8, side)."""
    edges = np.arange(side + 1) / side
    low, high = np.maximum(edges[:-1], start), np.minimum(edges[1:], end)
    inside = np.clip(high - low, 0, None)
    place = ((low + high) / 2 - start) / (end - start)
    waves = np.cos(np.pi * np.arange(_FREQUENCIES)[:, None] * place) * inside / (end - start)
    basis: Floats = waves.astype(np.float32)
    return basis


def _turned(spectra: Floats, orientation: Orientation) -> Floats:
    """Spectra of turned images from those of upright ones, float32 (…, 8, 8)."""
    signs = np.where(np.arange(_FREQUENCIES) % 2, -1, 1).astype(np.float32)
    down = signs if orientation.upside_down else np.ones_like(signs)
    across = signs if orientation.mirrored else np.ones_like(signs)
    turned = np.swapaxes(spectra, -1, -2) if orientation.transposed else spectra
    return (turned * down[:, None] * across).astype(np.float32, copy=False)


def _whitening() -> Floats:
    """Weights, float32 (DIM,), that flatten the spectrum of photographs."""
    across, down = np.meshgrid(np.arange(_FREQUENCIES), np.arange(_FREQUENCIES))
    return np.hypot(across, down).astype(np.float32).reshape(-1)[1:]


_WHITENING = _whitening()
