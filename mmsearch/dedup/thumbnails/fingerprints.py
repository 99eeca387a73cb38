"""A picture's fingerprint: a small grey thumbnail that everything perceptual is computed from.

The thumbnail is squashed to a square, so that turning a picture by 90° turns its thumbnail.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mmsearch.dedup.thumbnails.backgrounds import visible_image
from mmsearch.media import MediaBounds, decode
from mmsearch.records import Pixels

# Large enough to tell two shots of one shelf apart, small enough for a million in 16 GB of disk.
SIDE = 128


@dataclass(frozen=True, slots=True)
class Print:
    """thumbnail: uint8 (SIDE, SIDE), grey. width, height: of the upright original in pixels.

    sharpness: mean absolute second difference of grey levels; higher is sharper. frames: frames or
    pages of the file. transparent: whether any pixel is not opaque. content: the digest of all that
    the file shows, '' where it is not known yet.
    """

    thumbnail: Pixels
    width: int
    height: int
    sharpness: float
    frames: int = 1
    transparent: bool = False
    content: str = ""


def read_print(source: Path | bytes, bounds: MediaBounds) -> Print:
    """source: a file or what it holds. Raises UnreadableMedia, MediaTooLarge."""
    # Draft scaling leaves at least twice what is asked for, here still a pixel for a pixel.
    decoded = decode(source, bounds=bounds, draft=(SIDE // 2, SIDE // 2), content=True)
    made = make_print(visible_image(decoded), decoded.width, decoded.height, covers=decoded.covers)
    return replace(
        made,
        frames=decoded.frames,
        transparent=decoded.alpha is not None,
        content=decoded.content.digest if decoded.content else "",
    )


def make_print(
    image: Image.Image,
    width: int,
    height: int,
    *,
    covers: tuple[float, float, float, float] | None = None,
) -> Print:
    """image: RGB, upright, perhaps already smaller than the width x height of the original.

    covers: the box of the image that is the picture, all of it if None.
    """
    size = (SIDE, SIDE)
    # Box averaging first: a Lanczos filter alone over a large picture takes longer than decoding.
    measured = image.resize(size, Image.Resampling.BILINEAR, covers, reducing_gap=2.0)
    levels = quadrupled_levels(measured)
    thumbnail = ((levels + 2) >> 2).astype(np.uint8)
    return Print(thumbnail, width, height, _sharpness(levels) / 4)


def quadrupled_levels(image: Image.Image) -> NDArray[np.int16]:
    """image: RGB → int16 (h, w), four times the grey level.

    Half luma, half the mean of the strongest and weakest channel: a turned hue moves the first
    and leaves the second as it is.
    """
    red, green, blue = (np.asarray(channel) for channel in image.split())
    levels: NDArray[np.int16] = np.maximum(np.maximum(red, green), blue).astype(np.int16)
    levels += np.minimum(np.minimum(red, green), blue)
    luma = np.asarray(image.convert("L"))
    levels += luma
    levels += luma
    return levels


def _sharpness(levels: NDArray[np.int16]) -> float:
    down = np.abs(levels[2:] - 2 * levels[1:-1] + levels[:-2]).mean()
    across = np.abs(levels[:, 2:] - 2 * levels[:, 1:-1] + levels[:, :-2]).mean()
    return float(down + across)
