"""Converts images of any mode to 8-bit sRGB: deep greys scaled, profiles applied, alpha on white.

The order matters: levels, then palette, then the profile on the colours alone, then the alpha.
"""

import io
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from mmsearch.records import Floats, Pixels

# Weights of red, green and blue in luminance, as in JPEG (BT.601), float32 (3,).
LUMA: Floats = np.array([0.299, 0.587, 0.114], np.float32)
DEEP_MODES = {"I", "I;16", "I;16L", "I;16B", "I;16N", "F"}
_PREMULTIPLIED = {"RGBa": "RGBA", "La": "LA"}
_PROFILE_SPACES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK", "Lab": "LAB"}
_WHITE = (255, 255, 255)


def to_rgb(image: Image.Image) -> Image.Image:
    """Converts a loaded image to sRGB in mode RGB, on white where transparent."""
    return on_white(*to_srgb_and_alpha(image))


def to_srgb_and_alpha(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """Returns the colours as sRGB in mode RGB, and the alpha in mode L if there is one."""
    colours, alpha = split_alpha(image)
    return _to_srgb(colours, image.info.get("icc_profile")), alpha


def on_white(colours: Image.Image, alpha: Image.Image | None) -> Image.Image:
    """Composites an image on white."""
    if alpha is None:
        return colours
    page = Image.new("RGB", colours.size, _WHITE)
    page.paste(colours, mask=alpha)
    return page


def grey_levels(values: NDArray[np.generic]) -> Pixels:
    """Scales deep grey levels to 8 bits: integers or floats (h, w) → uint8 (h, w).

    Integers: white is the smallest of 2^8-1, 2^12-1 and 2^16-1 that holds the brightest value,
    so that 12-bit data in 16-bit files are not too dark. Floats within [0, 1]: 1 is white.
    All other values are stretched from their minimum to their maximum. NaN counts as the
    minimum, infinities as the finite extremes.
    """
    if not np.issubdtype(values.dtype, np.integer):
        return _float_levels(values.astype(np.float32))
    low, high = int(values.min()), int(values.max())
    if low >= 0 and high <= 0xFFFF:
        white = next(top for top in (0xFF, 0xFFF, 0xFFFF) if high <= top)
        return _stretch(values.astype(np.float32), 0.0, float(white))
    return _stretch(values.astype(np.float64), float(low), float(high))


def _float_levels(values: NDArray[np.float32]) -> Pixels:
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    values = np.nan_to_num(values, nan=low, posinf=high, neginf=low)
    if low >= 0.0 and high <= 1.0:
        return _stretch(values, 0.0, 1.0)
    return _stretch(values.astype(np.float64), low, high)


def _stretch(values: NDArray[np.floating], low: float, high: float) -> Pixels:
    """Scales float (h, w) from low…high to uint8 0…255; all 0 if low equals high."""
    span = high - low or 1.0
    return ((values - low) * (255.0 / span) + 0.5).astype(np.uint8)


def split_alpha(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """Returns the colours in mode L, RGB, CMYK or LAB, and the alpha in mode L if there is one."""
    if image.mode in DEEP_MODES:
        return _split_deep(image)
    if image.mode in _PREMULTIPLIED:
        image = image.convert(_PREMULTIPLIED[image.mode])
    if image.has_transparency_data:
        image = image.convert("LA" if image.mode in ("1", "L", "LA") else "RGBA")
        return image.convert(image.mode.removesuffix("A")), image.getchannel("A")
    if image.mode in ("L", "RGB", "CMYK", "LAB"):
        return image, None
    return image.convert("L" if image.mode == "1" else "RGB"), None


def _split_deep(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    values = np.asarray(image)
    colours = Image.fromarray(grey_levels(values))
    transparent = image.info.get("transparency")
    if not isinstance(transparent, int):
        return colours, None
    return colours, Image.fromarray(np.where(values == transparent, 0, 255).astype(np.uint8))


def _to_srgb(colours: Image.Image, profile: bytes | None) -> Image.Image:
    """Applies the embedded profile; a damaged or unfitting one is ignored."""
    try:
        if profile or colours.mode == "LAB":
            mode, transform = _transform(profile, colours.mode)
            if transform is not None:
                converted = colours if colours.mode == mode else colours.convert(mode)
                return ImageCms.applyTransform(converted, transform) or converted
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        pass
    if colours.mode == "LAB":
        return _to_srgb(colours, None) if profile else colours.getchannel("L").convert("RGB")
    return colours.convert("RGB")


def srgb_transform(profile: bytes, mode: str) -> bool:
    """Whether the profile changes levels of that mode (L, RGB, CMYK or LAB) in sRGB."""
    try:
        return _transform(profile, mode)[1] is not None
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return False


@lru_cache(maxsize=16)
def _transform(profile: bytes | None, mode: str) -> tuple[str, ImageCms.ImageCmsTransform | None]:
    """Returns the profile's mode and its transform to sRGB; None where it would change nothing.

    Cached, since the images of a camera share a profile and building one takes milliseconds.
    """
    source = _lab() if profile is None else ImageCms.ImageCmsProfile(io.BytesIO(profile))
    space = _PROFILE_SPACES.get(source.profile.xcolor_space.strip(), "")
    # Grey images are often saved with the RGB profile that they had in colour.
    fits = space == mode or (space, mode) == ("RGB", "L")
    if not fits or _is_srgb(source):
        return mode, None
    target = ImageCms.createProfile("sRGB")
    return space, ImageCms.buildTransform(source, target, space, "RGB")


def _is_srgb(profile: ImageCms.ImageCmsProfile) -> bool:
    name = profile.profile.profile_description or ""
    return name.startswith("sRGB") and "linear" not in name.lower()


def _lab() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
