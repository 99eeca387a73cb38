"""Views of an image as the trunk's input: one plain, the others random.

The plain view is what the finished model will see, white behind transparency. Random views vary
background, placement, crop, mirroring and colours.
"""

import io
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mmsearch.extras import require
from mmsearch.media import Preprocessing, opened, prepare
from mmsearch.pretraining.images.captioned import CaptionedImage
from mmsearch.training.augment import AugmentOptions, augmented

Floats = NDArray[np.float32]

WHITE = (255, 255, 255)
# Pixels of the longer side: larger images are scaled down once, before their views are made.
DECODED_SIDE = 640
# Random views need fewer: they are crops of at least half the side.
RANDOM_VIEW_SIDE = 360
# SVG documents are drawn at this size, above every view's.
SVG_SIDE = 288
# Shares of the backgrounds behind cut-outs; the rest are crops of photographs.
WHITE_SHARE, COLOUR_SHARE = 0.45, 0.25
# Captions name colours, so hues are kept.
CROPPED = AugmentOptions(
    least_area=0.25, brightness=0.25, contrast=0.25, saturation=0.3, hue=0, blur=0.15, grey=0
)
UNCROPPED = replace(CROPPED, least_area=1, most_stretch=1)
BACKDROP = replace(CROPPED, brightness=0, contrast=0, saturation=0, blur=0)


def view_loader(
    images: Sequence[CaptionedImage], *, size: int, views: int, seed: int
) -> Callable[[int], Floats]:
    """Returns a function from an image's number to its views.

    They are float32 (views, 3, size, size) in [-1, 1], the plain one first; the random ones depend
    on the seed and the number alone.
    """
    backdrops = [image.path for image in images if image.photo and image.path is not None]
    random_view = RandomView(size, backdrops)

    def load(number: int) -> Floats:
        rng = np.random.default_rng([seed, number])
        rgba = decode_rgba(images[number])
        return np.stack(
            [plain_view(rgba, size), *(random_view(rgba, rng) for _ in range(views - 1))]
        )

    return load


def decode_rgba(image: CaptionedImage) -> Image.Image:
    """Decodes or draws an image in mode RGBA, scaled down if it is large.

    Raises UnreadableMedia or MediaTooLarge; MissingDependency for SVG without resvg.
    """
    if image.svg is not None:
        require("resvg_py", extra="train", purpose="drawing SVG")
        import resvg_py

        drawn = resvg_py.svg_to_bytes(svg_string=image.svg, width=SVG_SIDE, height=SVG_SIDE)
        return Image.open(io.BytesIO(bytes(drawn))).convert("RGBA")
    assert image.path is not None
    with opened(image.path) as file:
        file.draft("RGB", (448, 448))
        rgba = file.convert("RGBA")
    rgba.thumbnail((DECODED_SIDE, DECODED_SIDE), reducing_gap=2.0)
    return rgba


def plain_view(rgba: Image.Image, size: int) -> Floats:
    """Makes the view of open_clip's validation transform: float32 (3, size, size) in [-1, 1]."""
    flat = Image.new("RGB", rgba.size, WHITE)
    flat.paste(rgba, (0, 0), rgba)
    return normalised(prepare(flat, Preprocessing(size)))


def normalised(pixels: NDArray[np.uint8]) -> Floats:
    """Scales uint8 (h, w, 3) to float32 (3, h, w) in [-1, 1]: mean and deviation 0.5."""
    return np.ascontiguousarray(pixels.astype(np.float32).transpose(2, 0, 1) / 127.5 - 1.0)


class RandomView:
    """Makes random views: photographs are cropped, cut-outs are placed on a background.

    backdrops: photographs that serve as backgrounds.
    """

    def __init__(self, size: int, backdrops: list[Path]) -> None:
        self._spec = Preprocessing(size)
        self._backdrops = backdrops

    def __call__(self, rgba: Image.Image, rng: np.random.Generator) -> Floats:
        """Makes one view: float32 (3, size, size) in [-1, 1]."""
        rgba = rgba.copy()
        rgba.thumbnail((RANDOM_VIEW_SIDE, RANDOM_VIEW_SIDE), reducing_gap=2.0)
        if np.asarray(rgba.getchannel("A")).min() < 128:
            return normalised(augmented(self._place(rgba, rng), self._spec, UNCROPPED, rng))
        return normalised(augmented(rgba.convert("RGB"), self._spec, CROPPED, rng))

    def _place(self, rgba: Image.Image, rng: np.random.Generator) -> Image.Image:
        """Puts a cut-out on a square of 0.8 to 1.6 times its longer side."""
        side = int(max(rgba.size) * rng.uniform(0.8, 1.6))
        canvas = self._background(side, rng)
        room_x, room_y = side - rgba.width, side - rgba.height
        place = (int(room_x * rng.uniform(0.2, 0.8)), int(room_y * rng.uniform(0.2, 0.8)))
        canvas.paste(rgba, place, rgba)
        return canvas

    def _background(self, side: int, rng: np.random.Generator) -> Image.Image:
        draw = rng.random()
        if draw < WHITE_SHARE or not self._backdrops:
            return Image.new("RGB", (side, side), WHITE)
        if draw < WHITE_SHARE + COLOUR_SHARE:
            red, green, blue = (int(v) for v in rng.integers(0, 256, 3))
            return Image.new("RGB", (side, side), (red, green, blue))
        with opened(self._backdrops[int(rng.integers(len(self._backdrops)))]) as photo:
            photo.draft("RGB", (256, 256))
            rgb = photo.convert("RGB")
        return Image.fromarray(augmented(rgb, Preprocessing(side), BACKDROP, rng))
