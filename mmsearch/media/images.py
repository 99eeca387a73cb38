"""Reads image files for encoding: reads once, hashes, decodes and prepares; makes thumbnails."""

import io
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from mmsearch.media.bounds import MediaBounds, content_hash, read_bytes, shown_path
from mmsearch.media.decode import DEFAULT_BOUNDS, decode_bytes
from mmsearch.media.metadata import ImageMetadata, MetadataRequest, read_metadata
from mmsearch.media.preprocess import Preprocessing, prepare
from mmsearch.records import Pixels

# WebP at this quality: a 256-pixel thumbnail of a photo takes about 8 kB.
_THUMBNAIL_QUALITY = 80


@dataclass(frozen=True, slots=True)
class PreparedImage:
    """An image file ready for an encoder.

    pixels: uint8 (size, size, 3). content_hash: of the file. width, height: of the upright original
    in pixels. format: a key of FORMATS. bytes: the length of the file. frames: frames or pages of
    the file, one of which became the pixels. metadata: None where it was not requested.
    """

    pixels: Pixels
    content_hash: str
    width: int
    height: int
    format: str
    bytes: int
    frames: int = 1
    metadata: ImageMetadata | None = None


def read_image(
    path: Path,
    *,
    bounds: MediaBounds = DEFAULT_BOUNDS,
    spec: Preprocessing,
    metadata: MetadataRequest | None = None,
) -> PreparedImage:
    """Reads and prepares an image file, with the metadata requested.

    Raises UnreadableMedia, MediaTooLarge.
    """
    data = read_bytes(path, max_bytes=bounds.max_bytes, setting="max_image_bytes")
    decoded = decode_bytes(
        data, where=shown_path(path), bounds=bounds, draft=(spec.size, spec.size)
    )
    return PreparedImage(
        pixels=prepare(decoded.image, spec),
        content_hash=content_hash(data),
        width=decoded.width,
        height=decoded.height,
        format=decoded.format,
        bytes=len(data),
        frames=decoded.frames,
        metadata=read_metadata(data, metadata) if metadata is not None else None,
    )


def thumbnail(image: Image.Image, size: int) -> bytes:
    """Encodes an RGB image as a WebP file of at most size x size pixels, never enlarged."""
    small = image.copy()
    small.thumbnail((size, size), Image.Resampling.LANCZOS, reducing_gap=2.0)
    file = io.BytesIO()
    small.save(file, "WEBP", quality=_THUMBNAIL_QUALITY, method=4)
    return file.getvalue()
