"""Typical edits of images, applied to a catalog's own images for calibration."""

import io
from collections.abc import Callable

from PIL import Image, ImageDraw, ImageEnhance, ImageOps

Edit = Callable[[Image.Image], Image.Image]


def _recompressed(image: Image.Image) -> Image.Image:
    data = io.BytesIO()
    image.save(data, "JPEG", quality=25)
    return Image.open(data).convert("RGB")


def _shrunk(image: Image.Image) -> Image.Image:
    return image.resize((max(image.width // 3, 1), max(image.height // 3, 1)))


def _cropped(image: Image.Image) -> Image.Image:
    across, down = image.width // 12, image.height // 16
    return image.crop((across, down, image.width - across // 3, image.height - down))


def _framed(image: Image.Image) -> Image.Image:
    return ImageOps.expand(image, max(min(image.size) // 20, 1), "white")


def _marked(image: Image.Image) -> Image.Image:
    marked = image.copy()
    place = (image.width // 20, image.height * 17 // 20)
    size = (image.width // 2, image.height // 9)
    ImageDraw.Draw(marked).rectangle((*place, place[0] + size[0], place[1] + size[1]), fill="navy")
    return marked


EDITS: tuple[Edit, ...] = (
    _recompressed,
    _shrunk,
    _cropped,
    _framed,
    _marked,
    ImageOps.mirror,
    lambda image: ImageEnhance.Brightness(image).enhance(1.3),
)
