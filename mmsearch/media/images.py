"""What workers do with one image file: read once, hash, decode, prepare; and thumbnails."""

import io
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from mmsearch.media.bounds import MediaBounds, content_hash, one_line, read_bytes
from mmsearch.media.decode import DEFAULT_BOUNDS, decode_bytes
from mmsearch.media.preprocess import Preprocessing, prepare
from mmsearch.records import Pixels

# WebP at this quality: a 256-pixel thumbnail of a photo takes about 8 kB.
_THUMBNAIL_QUALITY = 80


@dataclass(frozen=True, slots=True)
class PreparedImage:
    """pixels: uint8 (size, size, 3). content_hash: of the file. bytes: the file's length.

    width, height: of the upright original in pixels. format: a key of FORMATS. frames: frames or
    pages of the file, of which one became the pixels.
    """

    pixels: Pixels
    content_hash: str
    width: int
    height: int
    format: str
    bytes: int
    frames: int = 1


def read_image(
    path: Path, *, bounds: MediaBounds = DEFAULT_BOUNDS, spec: Preprocessing
) -> PreparedImage:
    """Reads the file once; raises UnreadableMedia or MediaTooLarge, which pickle as they are."""
    data = read_bytes(path, max_bytes=bounds.max_bytes, setting="max_image_bytes")
    decoded = decode_bytes(data, where=one_line(path), bounds=bounds, draft=(spec.size, spec.size))
    return PreparedImage(
        pixels=prepare(decoded.image, spec),
        content_hash=content_hash(data),
        width=decoded.width,
        height=decoded.height,
        format=decoded.format,
        bytes=len(data),
        frames=decoded.frames,
    )


def thumbnail(image: Image.Image, size: int) -> bytes:
    """image: RGB → a WebP file that fits into size x size pixels, never enlarged."""
    small = image.copy()
    small.thumbnail((size, size), Image.Resampling.LANCZOS, reducing_gap=2.0)
    file = io.BytesIO()
    small.save(file, "WEBP", quality=_THUMBNAIL_QUALITY, method=4)
    return file.getvalue()
