"""The forms in which a caller of the library may hand over an image, and how each is read."""

from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mmsearch.errors import BadQuery, MediaTooLarge, UnreadableMedia
from mmsearch.media.bounds import MediaBounds
from mmsearch.media.decode import DEFAULT_BOUNDS, Frame, decode
from mmsearch.media.formats import SNIFF_BYTES, sniff

ImageInput: TypeAlias = Path | str | bytes | Image.Image | NDArray[np.uint8]

_CHANNELS = (3, 4)


def load_image(
    source: ImageInput,
    *,
    bounds: MediaBounds = DEFAULT_BOUNDS,
    draft: tuple[int, int] | None = None,
) -> Image.Image:
    """Returns an image in mode RGB, upright, on white where it is transparent.

    source: the path of a file, its content as bytes, a Pillow image, or an array, see
    `image_from_array`. draft: of a file, as in `decode`. Raises UnreadableMedia, MediaTooLarge,
    BadQuery.
    """
    if isinstance(source, Path | str | bytes):
        encoded = source if isinstance(source, bytes) else Path(source)
        return decode(encoded, bounds=bounds, draft=draft).image
    image = image_from_array(source) if isinstance(source, np.ndarray) else source
    if not isinstance(image, Image.Image):
        raise BadQuery(
            "`image` must be a path, bytes, a Pillow image or an array, "
            f"got {type(source).__name__}"
        )
    if image.width * image.height > bounds.max_pixels:
        raise MediaTooLarge(
            f"`image`: {image.width} x {image.height} pixels, the bound is "
            f"{bounds.max_pixels:,} in all; raise max_pixels to use it"
        )
    try:
        return Frame(image, 0, 0).upright
    except (OSError, SyntaxError, ValueError) as fault:
        # Pillow reads the pixels of a file it opened only now.
        raise UnreadableMedia(f"`image`: its pixels cannot be read: {fault}") from fault


def require_image(source: ImageInput) -> None:
    """Raises UnreadableMedia for a path that is missing or does not begin like an image.

    The rest of the file is not read.
    """
    if not isinstance(source, Path | str):
        return
    try:
        with Path(source).open("rb") as file:
            begins_well = sniff(file.read(SNIFF_BYTES)) is not None
    except OSError:
        begins_well = False
    if not begins_well:
        # Decoding says what is wrong with it.
        load_image(source)


def image_from_array(array: NDArray[np.uint8]) -> Image.Image:
    """array: uint8 (height, width), grey, (height, width, 3), RGB, or (height, width, 4), RGBA.

    Raises BadQuery for any other shape or type.
    """
    known = array.ndim == 2 or (array.ndim == 3 and array.shape[2] in _CHANNELS)
    if array.dtype != np.uint8 or not known or not array.size:
        raise BadQuery(
            "`image`: an array must be uint8 of shape (height, width), (height, width, 3) or "
            f"(height, width, 4), got {array.dtype} of shape {array.shape}"
        )
    return Image.fromarray(np.ascontiguousarray(array))
