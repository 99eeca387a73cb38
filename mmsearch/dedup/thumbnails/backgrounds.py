"""Transparent images blended on white or black, since on one of them nothing may be visible."""

from typing import Final

from PIL import Image, ImageChops, ImageOps, ImageStat

from mmsearch.media import Decoded

WHITE: Final = 255
BLACK: Final = 0
BACKGROUNDS: Final = (WHITE, BLACK)
# Standard deviation of grey levels on white from which an image is visible there.
_VISIBLE = 8.0
_PROBE_SIDE = 64


def blended_on(decoded: Decoded, background: int) -> Image.Image:
    """Blends an image on a WHITE or BLACK background, in mode RGB; opaque ones are unchanged."""
    if decoded.alpha is None or background == WHITE:
        return decoded.image
    # White contributes 255 - alpha to every channel.
    through = ImageOps.invert(decoded.alpha)
    return ImageChops.subtract(decoded.image, Image.merge("RGB", (through,) * 3))


def visible_image(decoded: Decoded) -> Image.Image:
    """Blends an image on white, or on black if hardly anything is visible on white."""
    if decoded.alpha is None:
        return decoded.image
    on_white = _contrast(decoded.image)
    if on_white >= _VISIBLE:
        return decoded.image
    on_black = blended_on(decoded, BLACK)
    return on_black if _contrast(on_black) > on_white else decoded.image


def _contrast(image: Image.Image) -> float:
    """Standard deviation of the grey levels, 0 to 128."""
    small = image.resize(
        (_PROBE_SIDE, _PROBE_SIDE), Image.Resampling.BOX, reducing_gap=None
    ).convert("L")
    return float(ImageStat.Stat(small).stddev[0])
