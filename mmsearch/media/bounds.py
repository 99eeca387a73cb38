"""Bounds on the bytes and pixels of files, and bounded reading and hashing."""

import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from mmsearch.digests import digest_of_bytes, digest_of_file
from mmsearch.errors import ConfigError, MediaTooLarge, UnreadableMedia
from mmsearch.records import printable_path
from mmsearch.text import visible

if TYPE_CHECKING:
    from mmsearch.config import Settings


@dataclass(frozen=True, slots=True)
class MediaBounds:
    """The limits beyond which a file is refused before it is decoded.

    max_pixels: width x height. The default is where Pillow refuses too; an image of
        that size takes about 0.7 GB while it is decoded. A higher setting raises Pillow's own
        limit in this process.
    max_bytes: of an image's file. max_text_bytes: of a text file; encoders read only its start.
    """

    max_pixels: int = 178_956_970
    max_bytes: int = 256 * 2**20
    max_text_bytes: int = 4 * 2**20

    def __post_init__(self) -> None:
        faults = [
            f"{name} must be 1 or more, got {getattr(self, name)}"
            for name in ("max_pixels", "max_bytes", "max_text_bytes")
            if getattr(self, name) < 1
        ]
        if faults:
            raise ConfigError("; ".join(faults))

    @classmethod
    def of(cls, settings: "Settings") -> Self:
        """Returns the bounds in the settings."""
        return cls(
            max_pixels=settings.max_pixels,
            max_bytes=settings.max_image_bytes,
            max_text_bytes=settings.max_text_bytes,
        )


def read_bytes(path: Path, *, max_bytes: int, setting: str) -> bytes:
    """Reads a whole file. Raises UnreadableMedia, or MediaTooLarge that names `setting`."""
    where = shown_path(path)
    try:
        # Opening a pipe would block until it has a writer.
        if stat.S_ISREG(path.stat().st_mode):
            with path.open("rb") as file:
                data = file.read(max_bytes + 1)
        else:
            raise UnreadableMedia(f"{where}: {_kind(path)}, not a file; give a file's path")
    except (OSError, ValueError) as fault:
        raise _unreadable(path, fault) from fault
    if len(data) > max_bytes:
        size = max(path.stat().st_size, len(data))
        raise MediaTooLarge(
            f"{where}: {size:,} bytes, the limit is {max_bytes:,}; raise {setting} to read it"
        )
    if not data:
        raise UnreadableMedia(f"{where}: the file is empty (0 bytes); fetch it again or remove it")
    return data


def content_hash(source: Path | bytes) -> str:
    """Returns the BLAKE2b-128 of bytes or of a file, read in chunks, as 32 hex digits.

    Raises UnreadableMedia.
    """
    if isinstance(source, bytes):
        return digest_of_bytes(source)
    try:
        if not stat.S_ISREG(source.stat().st_mode):
            raise UnreadableMedia(f"{shown_path(source)}: {_kind(source)}, not a file")
        return digest_of_file(source)
    except (OSError, ValueError) as fault:
        raise _unreadable(source, fault) from fault


def shown_path(path: Path | str) -> str:
    """Returns a path for messages: valid UTF-8 without line breaks and control characters."""
    return visible(printable_path(path))


def _kind(path: Path) -> str:
    return "a folder" if path.is_dir() else "a device or pipe"


def _unreadable(path: Path, fault: OSError | ValueError) -> UnreadableMedia:
    if isinstance(fault, UnreadableMedia):
        return fault
    if isinstance(fault, FileNotFoundError | NotADirectoryError):
        what = "no such file; check the path, or that its drive is mounted"
    elif isinstance(fault, PermissionError):
        what = "no permission to read it; allow it for this user, or exclude the file"
    else:
        reason = fault.strerror if isinstance(fault, OSError) else None
        what = f"cannot be read ({reason or fault}); check the drive and the name"
    return UnreadableMedia(f"{shown_path(path)}: {what}")
