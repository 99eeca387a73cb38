"""Transparent pictures on more than one background, since on one of them nothing may be seen."""

from typing import Final

from PIL import Image, ImageChops, ImageOps, ImageStat

from mmsearch.media import Decoded

WHITE: Final = 255
BLACK: Final = 0
BACKGROUNDS: Final = (WHITE, BLACK)
# Grey levels (standard deviation) on white from which a picture is seen well enough there.
_VISIBLE = 8.0
_PROBE_SIDE = 64


def blended_on(picture: Decoded, background: int) -> Image.Image:
    """The picture on WHITE or BLACK, in mode RGB. An opaque one is the same on both."""
    if picture.alpha is None or background == WHITE:
        return picture.image
    # White shows through by 255 - alpha in every channel.
    through = ImageOps.invert(picture.alpha)
    return ImageChops.subtract(picture.image, Image.merge("RGB", (through,) * 3))


def visible_image(picture: Decoded) -> Image.Image:
    """The picture on white, or on black where next to nothing of it is seen on white."""
    if picture.alpha is None:
        return picture.image
    on_white = _contrast(picture.image)
    if on_white >= _VISIBLE:
        return picture.image
    on_black = blended_on(picture, BLACK)
    return on_black if _contrast(on_black) > on_white else picture.image


def _contrast(image: Image.Image) -> float:
    """Standard deviation of the grey levels, 0 to 128."""
    small = image.resize(
        (_PROBE_SIDE, _PROBE_SIDE), Image.Resampling.BOX, reducing_gap=None
    ).convert("L")
    return float(ImageStat.Stat(small).stddev[0])
