"""Applies EXIF and XMP orientation."""

import struct

from PIL import ExifTags, Image

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_TRANSPOSED, _REST_AT_LEFT, _REST_AT_TOP = (5, 6, 7, 8), (2, 3, 6, 7), (3, 4, 7, 8)
# What Pillow raises on damaged EXIF blocks; the fuzzing tests keep the list complete.
_EXIF_FAULTS = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
)


def orientation_of(image: Image.Image) -> int:
    """Returns the EXIF orientation, 1 to 8; 1 (upright) where it is missing or damaged."""
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    except _EXIF_FAULTS:
        return 1
    return orientation if isinstance(orientation, int) else 1


def upright(image: Image.Image, orientation: int) -> Image.Image:
    """Turns an image upright."""
    return image.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else image


def covered_box(
    scaled: tuple[int, int], size: tuple[int, int], orientation: int
) -> tuple[float, float, float, float]:
    """Returns the box that the original covers in its scaled, upright image.

    scaled: size divided by a whole number, rounded up; the excess is at the right and the bottom,
    and turned with the image. Returns left, top, right, bottom, in pixels of the upright image.
    """
    scale = round(size[0] / scaled[0]) if size[0] >= size[1] else round(size[1] / scaled[1])
    width, height = (side / max(scale, 1) for side in size)
    spare_across, spare_down = scaled[0] - width, scaled[1] - height
    if orientation in _TRANSPOSED:
        width, height, spare_across, spare_down = height, width, spare_down, spare_across
    left = spare_across if orientation in _REST_AT_LEFT else 0.0
    top = spare_down if orientation in _REST_AT_TOP else 0.0
    return left, top, left + width, top + height
