"""Frames of animations and pages: lists them and chooses a representative one."""

from collections.abc import Callable, Sequence

from PIL import Image, ImageStat

from mmsearch.media.colour import to_rgb

# Grey levels (standard deviation): fades, blank pages and black first frames lie below.
_BLANK_CONTRAST = 3.0
_PROBE_SIDE = 32
# Counting the pages of a TIFF reads each of them, and a crafted file may have millions.
_MAX_PAGES = 1000
_ANIMATED = {"gif", "png", "webp", "avif", "tiff"}
# NewSubfileType of TIFF 6.0 and its bits for reduced-resolution copies and masks.
_SUBFILE_TYPE, _REDUCED_OR_MASK = 254, 1 | 4


def list_frames(image: Image.Image, name: str) -> tuple[int, ...]:
    """Returns the positions to seek to of all frames or pages.

    Reduced-resolution copies and masks in a TIFF are not pages.
    """
    if name not in _ANIMATED:
        return (0,)
    if name != "tiff":
        return tuple(range(int(getattr(image, "n_frames", 1))))
    pages = [0]
    try:
        for place in range(1, _MAX_PAGES):
            image.seek(place)
            if not _belongs_to_another(image):
                pages.append(place)
    except EOFError:
        pass
    image.seek(0)
    return tuple(pages)


def _belongs_to_another(image: Image.Image) -> bool:
    kind = getattr(image, "tag_v2", {}).get(_SUBFILE_TYPE, 0)
    return isinstance(kind, int) and bool(kind & _REDUCED_OR_MASK)


def representative_frame(
    image: Image.Image,
    frames: Sequence[int],
    *,
    reach: int,
    check: Callable[[Image.Image], None],
) -> Image.Image:
    """Returns the first frame that is not blank, loaded, out of five among the first `reach`.

    frames: as `list_frames` returns them. If all are blank, returns the one of highest contrast.
    check: is called with each frame before it is decoded.
    """
    if len(frames) == 1:
        check(image)
        image.load()
        return image
    last = max(min(len(frames), reach), 1)
    best, best_contrast = image, -1.0
    for index in sorted({0, last // 8, last // 4, last // 2, 3 * last // 4}):
        image.seek(frames[index])
        check(image)
        image.load()
        contrast = _contrast(image)
        if contrast > best_contrast:
            best, best_contrast = image.copy(), contrast
        if contrast >= _BLANK_CONTRAST:
            break
    return best


def _contrast(image: Image.Image) -> float:
    """Returns the standard deviation of the grey levels over a coarse grid of the frame."""
    probe = image.resize((_PROBE_SIDE, _PROBE_SIDE), Image.Resampling.NEAREST)
    return float(ImageStat.Stat(to_rgb(probe).convert("L")).stddev[0])
