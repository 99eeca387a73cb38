"""Inline images for pages: small WebP files in data URIs, within a bound on their size."""

import base64
import io
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from mmsearch.errors import InputError
from mmsearch.media import decode, thumbnail
from mmsearch.records import Pixels

# Bytes of WebP per page, 4/3 of that in Base64; such a page opens in about a second.
_PAGE_BYTES = 18 * 2**20
# The longer edge in pixels for up to this many images.
_EDGES = ((100, 640), (300, 448))
_SMALL_EDGE = 320
_SMALLEST_EDGE = 64
# A frame is plain where this share of its pixels is within this many levels of their median.
_PLAIN_SHARE = 0.9
_PLAIN_LEVELS = 14
# From 2:3 to 3:2 an image may fill a square tile, which crops it.
_NEAR_SQUARE = 1.5


@dataclass(frozen=True, slots=True)
class InlineImage:
    """An image for a page.

    source: a data URI. width, height: pixels. mat: '#rrggbb', continues the image's frame.

    fit: how a square tile shows it. 'inset': a cut-out on a plain ground, with room around it;
    'cover': a photo that may lose a little at its sides; 'contain': a long one, shown whole.
    """

    source: str
    width: int
    height: int
    mat: str
    fit: Literal["inset", "cover", "contain"]


def inline_images(
    paths: Sequence[Path | None], *, max_bytes: int = _PAGE_BYTES, edge: int | None = None
) -> list[InlineImage | None]:
    """Returns an inline image per path, None where it cannot be read; at most `max_bytes` in all.

    edge: the longer side in pixels; None: the fewer images, the larger.
    """
    count = sum(path is not None for path in paths)
    pixels = edge or next((pixels for most, pixels in _EDGES if count <= most), _SMALL_EDGE)
    share = max_bytes // max(count, 1)
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as threads:
        return list(threads.map(lambda path: path and inline_image(path, pixels, share), paths))


def inline_image(path: Path, edge: int, max_bytes: int) -> InlineImage | None:
    """Returns an image of at most edge x edge pixels and `max_bytes`, None if it cannot be read."""
    try:
        image = decode(path, draft=(edge, edge)).image
    except InputError:
        # A document, or a file that no longer exists: the page shows the hit without an image.
        return None
    while edge >= _SMALLEST_EDGE:
        data = thumbnail(image, edge)
        if len(data) <= max_bytes:
            return _inline(data)
        edge = edge * 3 // 4
    return None


def _inline(webp: bytes) -> InlineImage:
    source = "data:image/webp;base64," + base64.b64encode(webp).decode("ascii")
    with Image.open(io.BytesIO(webp)) as image:
        mat, plain = frame_colour(np.asarray(image.convert("RGB")))
        fit: Literal["inset", "cover", "contain"] = "contain" if is_long(image.size) else "cover"
        return InlineImage(source, *image.size, mat, "inset" if plain else fit)


def is_long(size: tuple[int, int]) -> bool:
    """Whether a square tile would crop more than a third. size: width, height."""
    return max(size) > _NEAR_SQUARE * min(size)


def frame_colour(pixels: Pixels) -> tuple[str, bool]:
    """Returns the median colour of the outermost pixels, and whether nearly all have it.

    pixels: uint8 (height, width, 3).
    """
    frame = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    median = np.median(frame, axis=0).astype(np.uint8)
    near = np.abs(frame.astype(np.int16) - median).max(axis=1) <= _PLAIN_LEVELS
    return f"#{median.tobytes().hex()}", bool(near.mean() >= _PLAIN_SHARE)
