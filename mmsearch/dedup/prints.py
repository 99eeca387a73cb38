"""A picture's fingerprint: a small grey thumbnail that everything perceptual is computed from.

The thumbnail is squashed to a square, so that turning a picture by 90° turns its thumbnail.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from mmsearch.media import MediaBounds, decode
from mmsearch.records import Floats, Pixels

# Large enough to tell two shots of one shelf apart, small enough for a million in 16 GB of disk.
SIDE = 128


@dataclass(frozen=True, slots=True)
class Print:
    """thumbnail: uint8 (SIDE, SIDE), grey. width, height: of the upright original in pixels.

    sharpness: mean absolute second difference of grey levels; higher is sharper.
    """

    thumbnail: Pixels
    width: int
    height: int
    sharpness: float


def read_print(path: Path, bounds: MediaBounds) -> Print:
    """Raises UnreadableMedia, MediaTooLarge."""
    # Draft scaling leaves at least twice what is asked for, here still a pixel for a pixel.
    decoded = decode(path, bounds=bounds, draft=(SIDE // 2, SIDE // 2))
    return make_print(decoded.image, decoded.width, decoded.height)


def make_print(image: Image.Image, width: int, height: int) -> Print:
    """image: RGB, upright, perhaps already smaller than the width x height of the original."""
    size = (SIDE, SIDE)
    # Box averaging first: a Lanczos filter alone over a large picture takes longer than decoding.
    measured = image.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
    grey = grey_levels(np.asarray(measured, dtype=np.float32))
    return Print(np.rint(grey).astype(np.uint8), width, height, _sharpness(grey))


def grey_levels(pixels: Floats) -> Floats:
    """pixels: float32 (…, 3), RGB in 0 to 255 → float32 (…), the same range.

    Half luma, half the mean of the strongest and weakest channel: a turned hue moves the first
    and leaves the second as it is.
    """
    # Planes side by side: numpy is slow along an axis of three.
    red, green, blue = np.moveaxis(pixels, -1, 0)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    strongest = np.maximum(np.maximum(red, green), blue)
    weakest = np.minimum(np.minimum(red, green), blue)
    grey: Floats = (luma / 2 + (strongest + weakest) / 4).astype(np.float32)
    return grey


def _sharpness(grey: Floats) -> float:
    down = np.abs(np.diff(grey, n=2, axis=0)).mean()
    across = np.abs(np.diff(grey, n=2, axis=1)).mean()
    return float(down + across)
