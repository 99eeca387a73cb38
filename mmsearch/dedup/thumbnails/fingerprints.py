"""Fingerprint of an image: a small grey thumbnail, the input of all perceptual comparisons.

The thumbnail is resized to a square, so that rotating an image by 90° rotates its thumbnail.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mmsearch.dedup.thumbnails.backgrounds import visible_image
from mmsearch.media import MediaBounds, decode
from mmsearch.records import Pixels

# Distinguishes two shots of one shelf, and a million of them take 16 GB of disk.
SIDE = 128


@dataclass(frozen=True, slots=True)
class Print:
    """Fingerprint of an image file.

    thumbnail: uint8 (SIDE, SIDE), grey.
    width, height: of the upright original in pixels.
    sharpness: mean absolute second difference of grey levels; higher is sharper.
    frames: number of frames or pages of the file.
    transparent: whether any pixel is not opaque.
    content: digest of all decoded content, '' if not known yet.
    """

    thumbnail: Pixels
    width: int
    height: int
    sharpness: float
    frames: int = 1
    transparent: bool = False
    content: str = ""


def read_print(source: Path | bytes, bounds: MediaBounds) -> Print:
    """Reads the fingerprint of a file. Raises UnreadableMedia, MediaTooLarge.

    source: a path or the file's bytes.
    """
    # Draft scaling returns at least twice the requested size, here never less than SIDE.
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
    """Computes the fingerprint of a decoded image.

    image: RGB, upright, may be smaller than the original.
    width, height: of the original.
    covers: box of the content in pixels, None for all of the image.
    """
    size = (SIDE, SIDE)
    # Box averaging first: a Lanczos filter alone on a large image takes longer than decoding.
    measured = image.resize(size, Image.Resampling.BILINEAR, covers, reducing_gap=2.0)
    levels = quadrupled_levels(measured)
    thumbnail = ((levels + 2) >> 2).astype(np.uint8)
    return Print(thumbnail, width, height, _sharpness(levels) / 4)


def quadrupled_levels(image: Image.Image) -> NDArray[np.int16]:
    """Computes four times the grey level of an RGB image, int16 (h, w).

    Half luma, half the mean of the strongest and the weakest channel: a hue rotation changes only
    the first.
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
