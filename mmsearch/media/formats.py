"""The supported image formats, detected by the first bytes of a file."""

import importlib
from types import MappingProxyType
from typing import Final

SNIFF_BYTES: Final = 64

# Our name → Pillow's name and the module that registers it; JPEG XL does not go through Pillow.
FORMATS: Final = MappingProxyType(
    {
        "jpeg": ("JPEG", "PIL.JpegImagePlugin"),
        "png": ("PNG", "PIL.PngImagePlugin"),
        "gif": ("GIF", "PIL.GifImagePlugin"),
        "webp": ("WEBP", "PIL.WebPImagePlugin"),
        "bmp": ("BMP", "PIL.BmpImagePlugin"),
        "tiff": ("TIFF", "PIL.TiffImagePlugin"),
        "avif": ("AVIF", "PIL.AvifImagePlugin"),
        "heic": ("HEIF", "pillow_heif"),
        "jxl": ("JXL", "imagecodecs"),
    }
)

_MAGIC = (
    (b"\xff\xd8\xff", "jpeg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    (b"II+\0", "tiff"),
    (b"MM\0+", "tiff"),
    (b"\xff\x0a", "jxl"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "jxl"),
)
_AVIF_BRANDS = {b"avif", b"avis"}
_HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}
_HEIF_BRANDS = {b"mif1", b"mif2", b"msf1"}
# Valid sizes of the second header of a BMP, since texts may begin with 'BM' too.
_BMP_HEADER_BYTES = {12, 16, 40, 52, 56, 64, 108, 124}
_REFUSED = (
    (b"%PDF", "a PDF document"),
    (b"%!PS", "PostScript"),
    (b"8BPS", "a Photoshop document"),
    (b"\0\0\1\0", "an icon"),
    (b"\0\0\0\x0cjP  \r\n", "a JPEG 2000 image"),
    (b"<svg", "an SVG drawing"),
    (b"<?xml", "XML or an SVG drawing"),
    (b"PK\3\4", "a ZIP archive"),
)


def sniff(head: bytes) -> str | None:
    """Detects the image format from a file's first SNIFF_BYTES; None if it is not an image."""
    for magic, name in _MAGIC:
        if head.startswith(magic):
            return name
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    if head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in _BMP_HEADER_BYTES:
        return "bmp"
    return _sniff_brands(head) if head[4:8] == b"ftyp" else None


def _sniff_brands(head: bytes) -> str | None:
    """Detects AVIF and HEIC by the brands of their container, which MP4 uses too."""
    end = min(int.from_bytes(head[:4], "big"), len(head), SNIFF_BYTES)
    brands = {head[8:12], *(head[at : at + 4] for at in range(16, end - 3, 4))}
    if brands & _AVIF_BRANDS:
        return "avif"
    if brands & _HEIC_BRANDS or head[8:12] in _HEIF_BRANDS:
        return "heic"
    return None


def describe(head: bytes) -> str:
    """Describes a file that is not an image, for messages."""
    for magic, name in _REFUSED:
        if head.lstrip().startswith(magic) or head.startswith(magic):
            return name
    return f"first bytes {head[:8].hex(' ')}"


def register(name: str) -> str:
    """Loads Pillow's plug-in for a format and returns its name in Pillow."""
    pillow_name, module = FORMATS[name]
    plugin = importlib.import_module(module)
    if name == "heic":
        # Previews, depth maps and gain maps inside the file are not used.
        plugin.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False)
    return pillow_name
