"""Decodes JPEG XL with imagecodecs, and reads the size from the header beforehand.

The bits are as in ISO/IEC 18181-1 (SizeHeader), the boxes as in 18181-2.
"""

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mmsearch.errors import UnreadableMedia
from mmsearch.records import Pixels

_BARE = b"\xff\x0a"
_RATIOS = tuple(
    Fraction(*pair) for pair in ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))
)
_SIZE_BITS = (9, 13, 18, 30)


def decode_jxl(data: bytes) -> tuple[Image.Image, bool]:
    """Decodes the first frame, upright, in mode L, LA, RGB or RGBA.

    Also returns whether the file holds more: further frames, or more than 8 bits per channel.
    """
    try:
        import imagecodecs
    except ImportError as fault:
        raise UnreadableMedia(
            "JPEG XL needs a codec that is not installed; run: pip install 'mmsearch[jxl]'"
        ) from fault
    values = imagecodecs.jpegxl_decode(data, index=0, numthreads=1)
    more = values.dtype != np.uint8 or jxl_is_animated(data)
    return Image.fromarray(_eight_bits(values)), more


def jxl_size(data: bytes) -> tuple[int, int]:
    """Returns width and height in the header, before any rotation. Raises ValueError."""
    return _size(_header(data))


def jxl_is_animated(data: bytes) -> bool:
    """Whether the header declares an animation, or has a preview, behind which it is not read."""
    bits = _header(data)
    _size(bits)
    all_default = bits.take(1)
    if all_default or not bits.take(1):
        return False
    bits.take(3)  # orientation
    if bits.take(1):  # intrinsic size
        _size(bits)
    has_preview = bits.take(1)
    return bool(has_preview or bits.take(1))


def _header(data: bytes) -> "_Bits":
    codestream = data if data.startswith(_BARE) else _codestream(data)
    # Two sizes take at most 2 x 68 bits after the 2 bytes of signature, with 7 flags beside them.
    return _Bits(int.from_bytes(codestream[2:20], "little"))


def _size(bits: "_Bits") -> tuple[int, int]:
    small = bits.take(1)
    height = _side(bits, small)
    ratio = bits.take(3)
    return (int(height * _RATIOS[ratio - 1]) if ratio else _side(bits, small)), height


class _Bits:
    """Reads a bit stream, least significant bit first."""

    def __init__(self, value: int) -> None:
        self._value = value

    def take(self, count: int) -> int:
        taken = self._value & ((1 << count) - 1)
        self._value >>= count
        return taken


def _side(bits: _Bits, small: int) -> int:
    if small:
        return (bits.take(5) + 1) * 8
    return bits.take(_SIZE_BITS[bits.take(2)]) + 1


def _codestream(data: bytes) -> bytes:
    """Returns the start of the codestream inside the container's boxes."""
    at = 0
    while at + 16 <= len(data):
        size, kind, body = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8], at + 8
        if size == 1:
            size, body = int.from_bytes(data[at + 8 : at + 16], "big"), at + 16
        if kind in (b"jxlc", b"jxlp"):
            # A partial box begins with its number.
            return data[body + (4 if kind == b"jxlp" else 0) :][:32]
        if size < 8:
            break
        at += size
    raise ValueError("no codestream")


def _eight_bits(values: NDArray[np.generic]) -> Pixels:
    """Converts uint8, uint16 or float (h, w) or (h, w, 2 to 4) to uint8 of the same shape."""
    if values.dtype == np.uint8:
        return values.astype(np.uint8, copy=False)
    white = 65535.0 if values.dtype == np.uint16 else 1.0
    levels: NDArray[np.float32] = np.nan_to_num(values.astype(np.float32)) * (255.0 / white)
    return (levels.clip(0.0, 255.0) + 0.5).astype(np.uint8)
