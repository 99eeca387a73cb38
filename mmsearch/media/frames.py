"""An animation or a stack of pages becomes the one frame that says most for its cost."""

from collections.abc import Callable

from PIL import Image, ImageStat

from mmsearch.media.colour import to_rgb

# Grey levels (standard deviation): fades, blank pages and black first frames lie below.
_BLANK_CONTRAST = 3.0
_PROBE_SIDE = 32
# Each page of a TIFF must be walked to be counted; a crafted file holds millions.
_MAX_PAGES = 1000
_ANIMATED = {"gif", "png", "webp", "avif", "tiff"}


def count_frames(image: Image.Image, name: str) -> int:
    """Frames or pages; 1 for formats whose further pictures belong to the first one."""
    if name not in _ANIMATED:
        return 1
    if name != "tiff":
        return int(getattr(image, "n_frames", 1))
    pages = 1
    try:
        while pages < _MAX_PAGES:
            image.seek(pages)
            pages += 1
    except EOFError:
        pass
    image.seek(0)
    return pages


def representative_frame(
    image: Image.Image, frames: int, *, reach: int, check: Callable[[Image.Image], None]
) -> Image.Image:
    """The first frame that is not blank, out of five spread over the first `reach`, loaded.

    If all are blank, the one of most contrast. `check` sees each frame before it is decoded.
    """
    if frames == 1:
        check(image)
        image.load()
        return image
    last = max(min(frames, reach), 1)
    best, best_contrast = image, -1.0
    for index in sorted({0, last // 8, last // 4, last // 2, 3 * last // 4}):
        image.seek(index)
        check(image)
        image.load()
        contrast = _contrast(image)
        if contrast > best_contrast:
            best, best_contrast = image.copy(), contrast
        if contrast >= _BLANK_CONTRAST:
            break
    return best


def _contrast(image: Image.Image) -> float:
    """Standard deviation of the grey levels (0 to 128) over a coarse grid of the frame."""
    probe = image.resize((_PROBE_SIDE, _PROBE_SIDE), Image.Resampling.NEAREST)
    return float(ImageStat.Stat(to_rgb(probe).convert("L")).stddev[0])
