"""One file's bytes become one upright RGB picture, or one clear error."""

import io
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from PIL import ExifTags, Image, UnidentifiedImageError

from mmsearch.errors import MediaTooLarge, MMSearchError, UnreadableMedia
from mmsearch.media.bounds import MediaBounds, one_line, read_bytes
from mmsearch.media.colour import to_rgb
from mmsearch.media.formats import SNIFF_BYTES, describe, register, sniff
from mmsearch.media.frames import count_frames, representative_frame
from mmsearch.media.guard import guarded
from mmsearch.media.jxl import decode_jxl, jxl_size

DEFAULT_BOUNDS: Final = MediaBounds()
# What codecs are known to raise on damaged bytes; fuzzing in the tests holds the list complete.
_CODEC_FAULTS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_MAX_REASON = 160


@dataclass(frozen=True, slots=True)
class Decoded:
    """image: mode RGB, sRGB, upright, opaque. width, height: of the upright original, in pixels.

    The image is smaller than that where draft scaling was asked for. format: a key of FORMATS.
    frames: frames of an animation or pages of a TIFF (counted up to 1000), else 1.
    """

    image: Image.Image
    width: int
    height: int
    format: str
    frames: int


def decode(
    source: Path | bytes,
    *,
    bounds: MediaBounds = DEFAULT_BOUNDS,
    draft: tuple[int, int] | None = None,
) -> Decoded:
    """Decodes a picture right or raises UnreadableMedia or MediaTooLarge.

    draft: width and height that the caller will scale down to; a JPEG is then decoded at 1/2,
    1/4 or 1/8 of its size where that leaves at least twice as much on both sides.
    """
    if isinstance(source, Path):
        data = read_bytes(source, max_bytes=bounds.max_bytes, setting="max_image_bytes")
        return decode_bytes(data, where=one_line(source), bounds=bounds, draft=draft)
    where = f"the picture given as {len(source):,} bytes"
    if len(source) > bounds.max_bytes:
        raise MediaTooLarge(f"{where}: the bound is {bounds.max_bytes:,}; raise max_image_bytes")
    return decode_bytes(source, where=where, bounds=bounds, draft=draft)


def decode_bytes(
    data: bytes, *, where: str, bounds: MediaBounds, draft: tuple[int, int] | None
) -> Decoded:
    """As `decode`; `where` opens the error message."""
    name = _format_of(data, where)
    with _clear_errors(name, where=where, bounds=bounds):
        return _decode(data, name, bounds, draft)


@contextmanager
def opened(path: Path, *, bounds: MediaBounds = DEFAULT_BOUNDS) -> Iterator[Image.Image]:
    """Opens an image file within the bounds and leaves its mode, size and orientation alone.

    For callers that need the alpha channel, or a draft size of their own; `decode` is for all
    others. Raises UnreadableMedia or MediaTooLarge, also for what Pillow raises inside the block.
    """
    where = one_line(path)
    data = read_bytes(path, max_bytes=bounds.max_bytes, setting="max_image_bytes")
    name = _format_of(data, where)
    with _clear_errors(name, where=where, bounds=bounds):
        if name == "jxl":
            _check_size(*jxl_size(data), bounds)
            yield decode_jxl(data)
            return
        _let_pillow_open(bounds.max_pixels)
        with Image.open(io.BytesIO(data), formats=[register(name)]) as image:
            _check_size(*image.size, bounds)
            yield image


def _format_of(data: bytes, where: str) -> str:
    name = sniff(data[:SNIFF_BYTES])
    if name is None:
        raise UnreadableMedia(
            f"{where}: not a picture that mmsearch opens ({describe(data[:SNIFF_BYTES])}); "
            "convert it to PNG or JPEG, or exclude it"
        )
    return name


@contextmanager
def _clear_errors(name: str, *, where: str, bounds: MediaBounds) -> Iterator[None]:
    """Turns whatever a codec raises into an MMSearchError that names the file."""
    try:
        with guarded(name):
            yield
    except MMSearchError as fault:
        raise type(fault)(f"{where}: {fault}") from fault
    except Image.DecompressionBombError as fault:
        raise MediaTooLarge(
            f"{where}: more pixels than the bound of {bounds.max_pixels:,}; raise max_pixels"
        ) from fault
    except MemoryError as fault:
        raise MediaTooLarge(
            f"{where}: decoding needs more memory than there is; lower max_pixels to refuse such "
            "pictures early"
        ) from fault
    except _CODEC_FAULTS as fault:
        raise UnreadableMedia(
            f"{where}: damaged or cut short ({name}: {_reason(fault)}); replace the file"
        ) from fault


def _decode(data: bytes, name: str, bounds: MediaBounds, draft: tuple[int, int] | None) -> Decoded:
    if name == "jxl":
        _check_size(*jxl_size(data), bounds)
        image = to_rgb(decode_jxl(data))
        return Decoded(image, *image.size, name, frames=1)
    _let_pillow_open(bounds.max_pixels)
    with Image.open(io.BytesIO(data), formats=[register(name)]) as image:
        _check_size(*image.size, bounds)
        if name == "jpeg":
            return _decode_jpeg(image, draft)
        frames = count_frames(image, name)
        frame = representative_frame(
            image,
            frames,
            reach=bounds.max_pixels // (image.width * image.height),
            check=lambda shown: _check_size(*shown.size, bounds),
        )
        # Read only now: a PNG may tell it after its pixels, and TIFF frames come upright.
        upright = _turn(to_rgb(frame), _orientation(frame))
        return Decoded(upright, *upright.size, name, frames)


def _decode_jpeg(image: Image.Image, draft: tuple[int, int] | None) -> Decoded:
    orientation = _orientation(image)
    sideways = orientation in (5, 6, 7, 8)
    width, height = image.size[::-1] if sideways else image.size
    if draft is not None:
        wanted = draft[::-1] if sideways else draft
        image.draft(None, (2 * wanted[0], 2 * wanted[1]))
    image.load()
    return Decoded(_turn(to_rgb(image), orientation), width, height, "jpeg", frames=1)


def _check_size(width: int, height: int, bounds: MediaBounds) -> None:
    if width < 1 or height < 1:
        raise UnreadableMedia(f"its header says {width} x {height} pixels; replace the file")
    if width * height > bounds.max_pixels:
        raise MediaTooLarge(
            f"{width} x {height} pixels, the bound is {bounds.max_pixels:,} in all; "
            "raise max_pixels to read it"
        )


def _let_pillow_open(max_pixels: int) -> None:
    """Pillow refuses at twice its limit, for the whole process: only ever raised, never lowered."""
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and 2 * limit < max_pixels:
        Image.MAX_IMAGE_PIXELS = (max_pixels + 1) // 2


def _orientation(image: Image.Image) -> int:
    """EXIF or XMP orientation, 1 to 8; 1 (upright) where there is none or it is damaged."""
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    except _CODEC_FAULTS:
        return 1
    return orientation if isinstance(orientation, int) else 1


def _turn(image: Image.Image, orientation: int) -> Image.Image:
    return image.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else image


def _reason(fault: BaseException) -> str:
    if isinstance(fault, UnidentifiedImageError):
        return "its header makes no sense"
    return " ".join(str(fault).split())[:_MAX_REASON] or type(fault).__name__
