"""Digests of the content of image files: every frame with its duration and transparency.

Two files have equal digests if and only if they show the same: container, metadata and the hidden
colours of transparent pixels do not count, colours beyond 8-bit sRGB do.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mmsearch.media.colour import DEEP_MODES, split_alpha, srgb_transform
from mmsearch.media.orientation import orientation_of, upright
from mmsearch.records import Pixels

_DIGEST_BYTES = 16
_SIXTEEN_BITS = 257  # 8-bit levels in 16 bits are multiples of this
_PNG_DEPTH_AT = 24
_BITS_PER_SAMPLE = 258


@dataclass(frozen=True, slots=True)
class ImageContent:
    """The content of an image file.

    frames: the number of frames or pages, repeated frames counted once. durations: of each in ms, 0
    for pages. digest: 32 hex digits, equal for equal sizes, pixels, transparency, frames and
    durations.
    """

    frames: int
    durations: tuple[int, ...]
    digest: str


class ContentDigest:
    """Computes the digest of a file from its frames; a repeated frame prolongs the one before."""

    def __init__(self, data: bytes, name: str) -> None:
        """Starts a digest. data: the whole file. name: a key of FORMATS."""
        self._data, self._name = data, name
        self._frames: list[bytes] = []
        self._durations: list[int] = []

    def add(self, frame: Image.Image, *, duration: float = 0, deep: bool | None = None) -> None:
        """Adds a frame, loaded but not yet upright.

        duration: ms. deep: whether it has more than 8 bits per channel; detected if None.
        """
        if deep is None:
            deep = _is_deep(frame, self._name, self._data)
        digest = self._digest(frame, deep=deep)
        milliseconds = round(duration)
        if milliseconds and self._frames and self._frames[-1] == digest:
            self._durations[-1] += milliseconds
            return
        self._frames.append(digest)
        self._durations.append(milliseconds)

    def finish(self) -> ImageContent:
        """Returns the content of the frames added."""
        # A single frame has no duration, whatever its container says.
        durations = tuple(self._durations) if len(self._frames) > 1 else (0,)
        whole = hashlib.blake2b(digest_size=_DIGEST_BYTES)
        for frame, duration in zip(self._frames, durations, strict=True):
            whole.update(frame + duration.to_bytes(8, "little"))
        return ImageContent(len(self._frames), durations, whole.hexdigest())

    def _digest(self, frame: Image.Image, *, deep: bool) -> bytes:
        turn = orientation_of(frame)
        digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
        if deep and frame.mode not in DEEP_MODES:
            # Pillow reduced it to 8 bits: only equal bytes are certainly equal content.
            digest.update(b"deep" + self._data)
        levels, alpha = _native(frame, turn)
        digest.update(repr((levels.dtype.kind, levels.shape)).encode())
        digest.update(_foreign_profile(frame))
        if alpha is not None and int(alpha.min()) < 255:
            levels = np.where(alpha[..., None] == 0, 0, levels).astype(levels.dtype)
            digest.update(b"alpha" + alpha.tobytes())
        digest.update(levels.tobytes())
        return digest.digest()


def _native(frame: Image.Image, turn: int) -> tuple[NDArray[np.generic], Pixels | None]:
    """Returns levels (h, w, channels), as RGB where that is lossless, and alpha uint8 (h, w)."""
    colours, mask = split_alpha(frame)
    alpha = None if mask is None else np.asarray(upright(mask, turn))
    if frame.mode in DEEP_MODES:
        values = np.asarray(upright(frame, turn))
        if not np.issubdtype(values.dtype, np.integer):
            return values.astype("<f4")[..., None], alpha
        if not _is_eight_bit(values):
            return values.astype("<i4")[..., None], alpha
        grey = (values // _SIXTEEN_BITS).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2), alpha
    if colours.mode == "LAB":
        # As many channels as RGB, but other colours.
        return np.asarray(upright(colours, turn)).astype(np.int8), alpha
    native = colours if colours.mode == "CMYK" else colours.convert("RGB")
    return np.asarray(upright(native, turn)), alpha


def _is_eight_bit(values: NDArray[np.integer]) -> bool:
    """Whether 16-bit levels are scaled 8-bit ones; dark ones could be 12-bit data."""
    return int(values.max()) > 0xFFF and int(values.min()) >= 0 and not (values % 257).any()


def _foreign_profile(frame: Image.Image) -> bytes:
    """Returns the ICC profile where it gives other colours than sRGB, else nothing."""
    profile = frame.info.get("icc_profile")
    if not profile:
        return b""
    grey = frame.mode in ("1", "L", "LA", "La", *DEEP_MODES)
    mode = "L" if grey else frame.mode if frame.mode in ("CMYK", "LAB") else "RGB"
    return b"profile" + bytes(profile) if srgb_transform(profile, mode) else b""


def _is_deep(frame: Image.Image, name: str, data: bytes) -> bool:
    """Whether the file has more than 8 bits per channel."""
    if name == "png":
        return data[_PNG_DEPTH_AT] > 8
    if name == "tiff":
        depths: Sequence[int] | int = getattr(frame, "tag_v2", {}).get(_BITS_PER_SAMPLE, 8)
        return max(depths if isinstance(depths, tuple) else (depths,), default=8) > 8
    if name == "heic":
        return int(frame.info.get("bit_depth", 8)) > 8
    if name == "avif":
        # av1C (AV1 in ISO BMFF): the third byte of the record has the flag high_bitdepth.
        at = data.find(b"av1C")
        return at >= 0 and len(data) > at + 6 and bool(data[at + 6] & 0x40)
    return False
