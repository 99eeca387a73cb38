"""Pictures as the trunk sees them: decoded, set on a background, cropped and normalised.

View 0 is what the finished model will see (shortest side to size, centre crop, white behind
transparency); the others are random: backgrounds, placement, crops, mirror, colours.
"""

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageFilter

from mmsearch.extras import require
from mmsearch.media import opened
from mmsearch.pretraining.pictures.data import Picture

WHITE = (255, 255, 255)
# Larger pictures are shrunk once, before their views are made.
DECODED_PIXELS = 640
# Random views need no more: they are crops of at least half the side.
ROUGH_PIXELS = 360
# SVG bodies are drawn at this size, above every view's.
SVG_PIXELS = 288


def decode(picture: Picture) -> Image.Image:
    """Returns the image as RGBA, scaled down if it is large.

    Raises UnreadableMedia or MediaTooLarge.
    """
    if picture.svg is not None:
        return Image.open(io.BytesIO(_draw_svg(picture.svg))).convert("RGBA")
    assert picture.path is not None
    with opened(picture.path) as image:
        image.draft("RGB", (448, 448))
        rgba = image.convert("RGBA")
    rgba.thumbnail((DECODED_PIXELS, DECODED_PIXELS), reducing_gap=2.0)
    return rgba


def _draw_svg(svg: str) -> bytes:
    require("resvg_py", extra="train", purpose="drawing SVG")
    import resvg_py

    return bytes(resvg_py.svg_to_bytes(svg_string=svg, width=SVG_PIXELS, height=SVG_PIXELS))


def plain_view(image: Image.Image, size: int) -> NDArray[np.float32]:
    """float32 (3, size, size) in [-1, 1], as open_clip's validation transform gives it."""
    flat = on_background(image, Image.new("RGB", image.size, WHITE))
    scale = size / min(flat.size)
    # torchvision's Resize truncates the longer side.
    sides = [max(size, int(side * scale)) for side in flat.size]
    flat = flat.resize((sides[0], sides[1]), Image.Resampling.BICUBIC)
    left, top = round((flat.width - size) / 2), round((flat.height - size) / 2)
    return to_array(flat.crop((left, top, left + size, top + size)))


def to_array(image: Image.Image) -> NDArray[np.float32]:
    """RGB → float32 (3, h, w) in [-1, 1]: mean and deviation 0.5."""
    pixels = np.asarray(image, dtype=np.float32).transpose(2, 0, 1)
    return np.ascontiguousarray(pixels / 127.5 - 1.0)


def on_background(image: Image.Image, background: Image.Image) -> Image.Image:
    background.paste(image, (0, 0), image)
    return background


class RandomView:
    """Random views of drawings and photos; `backdrops` are photo files set behind cut-outs."""

    def __init__(self, size: int, backdrops: list[Path]) -> None:
        self._size = size
        self._backdrops = backdrops

    def __call__(self, image: Image.Image, rng: np.random.Generator) -> NDArray[np.float32]:
        """float32 (3, size, size) in [-1, 1]."""
        image = image.copy()
        image.thumbnail((ROUGH_PIXELS, ROUGH_PIXELS), reducing_gap=2.0)
        cut_out = np.asarray(image.getchannel("A")).min() < 128
        framed = self._place(image, rng) if cut_out else _crop(image.convert("RGB"), rng)
        framed = framed.resize((self._size, self._size), Image.Resampling.BICUBIC)
        return to_array(_recolour(_mirror(framed, rng), rng))

    def _place(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        """Sets a cut-out on a square canvas, somewhat larger or smaller than it."""
        side = int(max(image.size) * rng.uniform(0.8, 1.6))
        canvas = self._background(side, rng)
        room_x, room_y = side - image.width, side - image.height
        at = (int(room_x * rng.uniform(0.2, 0.8)), int(room_y * rng.uniform(0.2, 0.8)))
        canvas.paste(image, at, image)
        return canvas

    def _background(self, side: int, rng: np.random.Generator) -> Image.Image:
        draw = rng.random()
        if draw < 0.45 or not self._backdrops:
            return Image.new("RGB", (side, side), WHITE)
        if draw < 0.7:
            red, green, blue = (int(v) for v in rng.integers(0, 256, 3))
            return Image.new("RGB", (side, side), (red, green, blue))
        with opened(self._backdrops[int(rng.integers(len(self._backdrops)))]) as photo:
            photo.draft("RGB", (256, 256))
            return _crop(photo.convert("RGB"), rng).resize((side, side))


def _crop(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    area = rng.uniform(0.25, 1.0) * image.width * image.height
    ratio = float(np.exp(rng.uniform(-0.29, 0.29)))
    width = min(image.width, max(8, int((area * ratio) ** 0.5)))
    height = min(image.height, max(8, int((area / ratio) ** 0.5)))
    left = int(rng.integers(0, image.width - width + 1))
    top = int(rng.integers(0, image.height - height + 1))
    return image.crop((left, top, left + width, top + height))


def _mirror(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    if rng.random() < 0.5:
        return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return image


def _recolour(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    # Captions name colours, so hue stays.
    image = ImageEnhance.Brightness(image).enhance(rng.uniform(0.75, 1.25))
    image = ImageEnhance.Contrast(image).enhance(rng.uniform(0.75, 1.25))
    image = ImageEnhance.Color(image).enhance(rng.uniform(0.7, 1.3))
    if rng.random() < 0.15:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1.5)))
    return image
