"""Decodes image files to upright RGB images, or raises one clear error."""

import io
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, TypeVar

from PIL import Image, UnidentifiedImageError

from mmsearch.errors import MediaTooLarge, MMSearchError, UnreadableMedia
from mmsearch.media.bounds import MediaBounds, read_bytes, shown_path
from mmsearch.media.colour import on_white, to_rgb, to_srgb_and_alpha
from mmsearch.media.content import ContentDigest, ImageContent
from mmsearch.media.formats import SNIFF_BYTES, describe, register, sniff
from mmsearch.media.frames import list_frames, representative_frame
from mmsearch.media.guard import guarded, let_pillow_open
from mmsearch.media.jxl import decode_jxl, jxl_is_animated, jxl_size
from mmsearch.media.orientation import covered_box, orientation_of, upright
from mmsearch.media.raw import describe_raw, raw_format

DEFAULT_BOUNDS: Final = MediaBounds()
# What codecs are known to raise on damaged bytes; the fuzzing tests keep the list complete.
CODEC_FAULTS = (
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
_MAX_REASON = 160
# Pixels up to which all frames of an animation are digested during decoding.
_FEW_PIXELS = 2**24
# All frames of a file together may have this many times max_pixels.
_MANY_IMAGES = 4
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Decoded:
    """A decoded image.

    image: mode RGB, sRGB, upright, opaque; smaller than the original after draft scaling. width,
    height: of the upright original, in pixels. format: a key of FORMATS. frames: frames of an
    animation or pages of a TIFF (counted up to 1000), else 1. alpha: mode L, of the image's size,
    None where every pixel is opaque. content: None where it was not requested or would need another
    decoding. covers: the box of `image` that the original covers (left, top, right, bottom in its
    pixels); draft scaling rounds up, so that the last pixels extend beyond it.
    """

    image: Image.Image
    width: int
    height: int
    format: str
    frames: int
    alpha: Image.Image | None = None
    content: ImageContent | None = None
    covers: tuple[float, float, float, float] | None = None


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame or page, loaded but not upright.

    place: counted from 0. duration: ms, 0 for pages. more: whether the file holds more of it than
    was decoded, such as more bits per channel.
    """

    image: Image.Image
    place: int
    duration: float
    more: bool | None = None

    @property
    def upright(self) -> Image.Image:
        """The frame upright in mode RGB, on white where transparent."""
        return upright(to_rgb(self.image), orientation_of(self.image))


def decode(
    source: Path | bytes,
    *,
    bounds: MediaBounds = DEFAULT_BOUNDS,
    draft: tuple[int, int] | None = None,
    content: bool = False,
) -> Decoded:
    """Decodes an image. Raises UnreadableMedia, MediaTooLarge.

    draft: width and height that the caller will scale down to; a JPEG is then decoded at 1/2, 1/4
    or 1/8 of its size where that leaves at least twice as much on both sides. content: digest the
    content too, where that needs no second decoding nor many frames; see `read_content`.
    """
    data, where = _bytes_of(source, bounds)
    return decode_bytes(data, where=where, bounds=bounds, draft=draft, content=content)


def read_content(source: Path | bytes, *, bounds: MediaBounds = DEFAULT_BOUNDS) -> ImageContent:
    """Digests all frames or pages at full size. Raises UnreadableMedia, MediaTooLarge."""
    data, where = _bytes_of(source, bounds)
    digest: ContentDigest | None = None

    def see(frame: Frame, name: str) -> None:
        nonlocal digest
        digest = digest or ContentDigest(data, name)
        digest.add(frame.image, duration=frame.duration, deep=frame.more)

    read_frames(data, see, where=where, bounds=bounds)
    if digest is None:
        raise UnreadableMedia(f"{where}: holds no frames; replace the file")
    return digest.finish()


def read_frames(
    source: Path | bytes,
    see: Callable[[Frame, str], None],
    *,
    where: str = "",
    bounds: MediaBounds = DEFAULT_BOUNDS,
) -> None:
    """Calls `see` with every frame or page in order, and the name of the file's format.

    Raises UnreadableMedia, and MediaTooLarge where all frames together have too many pixels.
    """
    data, place = _bytes_of(source, bounds)

    def walk(name: str) -> None:
        if name == "jxl":
            _check_size(*jxl_size(data), bounds)
            image, more = decode_jxl(data)
            see(Frame(image, 0, 0, more or None), name)
            return
        let_pillow_open(bounds.max_pixels)
        with Image.open(io.BytesIO(data), formats=[register(name)]) as image:
            for frame in _walk(image, list_frames(image, name), bounds):
                see(frame, name)

    _named_faults(data, walk, where=where or place, bounds=bounds)


def decode_bytes(
    data: bytes,
    *,
    where: str,
    bounds: MediaBounds,
    draft: tuple[int, int] | None,
    content: bool = False,
) -> Decoded:
    """Decodes the bytes of a file as `decode` does; `where` names it in messages."""
    return _named_faults(
        data,
        lambda name: _decode(data, name, bounds, draft, content=content),
        where=where,
        bounds=bounds,
    )


def _bytes_of(source: Path | bytes, bounds: MediaBounds) -> tuple[bytes, str]:
    """Returns the bytes, and their name for messages."""
    if isinstance(source, Path):
        data = read_bytes(source, max_bytes=bounds.max_bytes, setting="max_image_bytes")
        return data, shown_path(source)
    where = f"the picture given as {len(source):,} bytes"
    if len(source) > bounds.max_bytes:
        raise MediaTooLarge(f"{where}: the limit is {bounds.max_bytes:,}; raise max_image_bytes")
    return source, where


def _named_faults(
    data: bytes, use: Callable[[str], _Result], *, where: str, bounds: MediaBounds
) -> _Result:
    """Calls `use` with the file's format; errors of codecs become UnreadableMedia."""
    name = _format_of(data, where)
    with _clear_errors(name, where=where, bounds=bounds):
        return use(name)


@contextmanager
def opened(path: Path, *, bounds: MediaBounds = DEFAULT_BOUNDS) -> Iterator[Image.Image]:
    """Opens an image file within the bounds, with its own mode, size and orientation.

    For callers that need the alpha channel, or a draft size of their own; others use `decode`.
    Raises UnreadableMedia, MediaTooLarge, also for what Pillow raises inside the block.
    """
    where = shown_path(path)
    data = read_bytes(path, max_bytes=bounds.max_bytes, setting="max_image_bytes")
    name = _format_of(data, where)
    with _clear_errors(name, where=where, bounds=bounds):
        if name == "jxl":
            _check_size(*jxl_size(data), bounds)
            yield decode_jxl(data)[0]
            return
        let_pillow_open(bounds.max_pixels)
        with Image.open(io.BytesIO(data), formats=[register(name)]) as image:
            _check_size(*image.size, bounds)
            yield image


def _format_of(data: bytes, where: str) -> str:
    name = sniff(data[:SNIFF_BYTES])
    raw = raw_format(data) if name in (None, "tiff") else None
    if raw is not None:
        raise UnreadableMedia(
            f"{where}: {describe_raw(raw)}, which mmsearch does not read; use the JPEG beside it, "
            "or convert it to TIFF or JPEG"
        )
    if name is None:
        raise UnreadableMedia(
            f"{where}: not a picture that mmsearch opens ({describe(data[:SNIFF_BYTES])}); "
            "convert it to PNG or JPEG, or exclude it"
        )
    return name


@contextmanager
def _clear_errors(name: str, *, where: str, bounds: MediaBounds) -> Iterator[None]:
    """Converts the errors of codecs to an MMSearchError that names the file."""
    try:
        with guarded(name):
            yield
    except MMSearchError as fault:
        raise type(fault)(f"{where}: {fault}") from fault
    except Image.DecompressionBombError as fault:
        raise MediaTooLarge(
            f"{where}: more pixels than the limit of {bounds.max_pixels:,}; raise max_pixels"
        ) from fault
    except MemoryError as fault:
        raise MediaTooLarge(
            f"{where}: not enough memory to decode it; lower max_pixels to refuse such pictures "
            "early"
        ) from fault
    except CODEC_FAULTS as fault:
        raise UnreadableMedia(
            f"{where}: damaged or cut short ({name}: {_reason(fault)}); replace the file"
        ) from fault


def _decode(
    data: bytes,
    name: str,
    bounds: MediaBounds,
    draft: tuple[int, int] | None,
    *,
    content: bool,
) -> Decoded:
    if name == "jxl":
        _check_size(*jxl_size(data), bounds)
        image, more = decode_jxl(data)
        whole = _content([Frame(image, 0, 0, more or None)], data, name) if content else None
        return _decoded(image, name, 2 if jxl_is_animated(data) else 1, whole)
    let_pillow_open(bounds.max_pixels)
    with Image.open(io.BytesIO(data), formats=[register(name)]) as image:
        _check_size(*image.size, bounds)
        if name == "jpeg":
            return _decode_jpeg(image, data, draft, content=content)
        frames = list_frames(image, name)
        shown = representative_frame(
            image,
            frames,
            reach=bounds.max_pixels // (image.width * image.height),
            check=lambda shown: _check_size(*shown.size, bounds),
        )
        decoded = _decoded(shown, name, len(frames), None)
        pixels = image.width * image.height * len(frames)
        if not content or (len(frames) > 1 and pixels > _FEW_PIXELS):
            return decoded
        every = [Frame(shown, 0, 0)] if len(frames) == 1 else _walk(image, frames, bounds)
        return replace(decoded, content=_content(every, data, name))


def _decode_jpeg(
    image: Image.Image, data: bytes, draft: tuple[int, int] | None, *, content: bool
) -> Decoded:
    sideways = orientation_of(image) in (5, 6, 7, 8)
    size = image.size
    if draft is not None:
        target = draft[::-1] if sideways else draft
        image.draft(None, (2 * target[0], 2 * target[1]))
    image.load()
    whole = _content([Frame(image, 0, 0)], data, "jpeg") if content and image.size == size else None
    width, height = size[::-1] if sideways else size
    covers = covered_box(image.size, size, orientation_of(image)) if image.size != size else None
    return replace(_decoded(image, "jpeg", 1, whole), width=width, height=height, covers=covers)


def _decoded(frame: Image.Image, name: str, frames: int, content: ImageContent | None) -> Decoded:
    # Read only now: a PNG may state it after its pixels, and TIFF frames come upright.
    orientation = orientation_of(frame)
    colours, alpha = to_srgb_and_alpha(frame)
    image = upright(on_white(colours, alpha), orientation)
    translucent = alpha is not None and alpha.getextrema()[0] != 255
    return Decoded(
        image,
        *image.size,
        name,
        frames,
        alpha=upright(alpha, orientation) if alpha is not None and translucent else None,
        content=content,
    )


def _content(frames: Iterable[Frame], data: bytes, name: str) -> ImageContent:
    digest = ContentDigest(data, name)
    for frame in frames:
        digest.add(frame.image, duration=frame.duration, deep=frame.more)
    return digest.finish()


def _walk(image: Image.Image, frames: Sequence[int], bounds: MediaBounds) -> Iterator[Frame]:
    pixels = 0
    for number, place in enumerate(frames):
        if len(frames) > 1:
            image.seek(place)
        _check_size(*image.size, bounds)
        pixels += image.width * image.height
        if pixels > _MANY_IMAGES * bounds.max_pixels:
            raise MediaTooLarge(
                f"its {len(frames):,} frames or pages have more than {_MANY_IMAGES} times the "
                f"{bounds.max_pixels:,} pixels that one may have; raise max_pixels to compare them"
            )
        image.load()
        duration = image.info.get("duration", 0) if len(frames) > 1 else 0
        yield Frame(image, number, duration if isinstance(duration, int | float) else 0)


def _check_size(width: int, height: int, bounds: MediaBounds) -> None:
    if width < 1 or height < 1:
        raise UnreadableMedia(
            f"invalid size of {width} x {height} pixels in its header; replace the file"
        )
    if width * height > bounds.max_pixels:
        raise MediaTooLarge(
            f"{width} x {height} pixels, the limit is {bounds.max_pixels:,} in all; "
            "raise max_pixels to read it"
        )


def _reason(fault: BaseException) -> str:
    if isinstance(fault, UnidentifiedImageError):
        return "invalid header"
    return " ".join(str(fault).split())[:_MAX_REASON] or type(fault).__name__
