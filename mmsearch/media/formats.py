"""Which images are opened, told by their first bytes and never by their names."""

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
# Sizes of the header that follows the 14 bytes 'BM…': many texts begin with those two letters.
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
    """The image format that a file's first SNIFF_BYTES announce, or None if it is no image."""
    for magic, name in _MAGIC:
        if head.startswith(magic):
            return name
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    if head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in _BMP_HEADER_BYTES:
        return "bmp"
    return _sniff_brands(head) if head[4:8] == b"ftyp" else None


def _sniff_brands(head: bytes) -> str | None:
    """AVIF, HEIC and MP4 share a container: its list of brands tells them apart."""
    end = min(int.from_bytes(head[:4], "big"), len(head), SNIFF_BYTES)
    brands = {head[8:12], *(head[at : at + 4] for at in range(16, end - 3, 4))}
    if brands & _AVIF_BRANDS:
        return "avif"
    if brands & _HEIC_BRANDS or head[8:12] in _HEIF_BRANDS:
        return "heic"
    return None


def describe(head: bytes) -> str:
    """What a file that is no image seems to be, for a message."""
    for magic, name in _REFUSED:
        if head.lstrip().startswith(magic) or head.startswith(magic):
            return name
    return f"first bytes {head[:8].hex(' ')}"


def register(name: str) -> str:
    """Loads the plug-in of format `name` and returns Pillow's name for it."""
    pillow_name, module = FORMATS[name]
    plugin = importlib.import_module(module)
    if name == "heic":
        # Previews, depth maps and gain maps inside the file are never looked at.
        plugin.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False)
    return pillow_name
