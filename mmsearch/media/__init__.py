"""Reads image and text files: detected by content, within bounds, decoded to upright sRGB.

Imports are light, so that worker processes can use it without torch, and every failure is an
MMSearchError with a clear message.
"""

from mmsearch.media.bounds import MediaBounds, content_hash
from mmsearch.media.content import ImageContent
from mmsearch.media.decode import (
    Decoded,
    Frame,
    decode,
    opened,
    read_content,
    read_frames,
)
from mmsearch.media.formats import FORMATS, SNIFF_BYTES, sniff
from mmsearch.media.image_input import ImageInput, image_from_array, load_image, require_image
from mmsearch.media.images import PreparedImage, read_image, thumbnail
from mmsearch.media.preprocess import Preprocessing, prepare
from mmsearch.media.raw import describe_raw, raw_format, raw_format_of
from mmsearch.media.text import read_text

__all__ = [
    "FORMATS",
    "SNIFF_BYTES",
    "Decoded",
    "Frame",
    "ImageContent",
    "ImageInput",
    "MediaBounds",
    "PreparedImage",
    "Preprocessing",
    "content_hash",
    "decode",
    "describe_raw",
    "image_from_array",
    "load_image",
    "opened",
    "prepare",
    "raw_format",
    "raw_format_of",
    "read_content",
    "read_frames",
    "read_image",
    "read_text",
    "require_image",
    "sniff",
    "thumbnail",
]
