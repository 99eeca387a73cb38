"""Detects camera raw photos by content, so that their small preview is not indexed instead.

Most raw formats are TIFF files whose first image is a preview and whose sensor data lies in a
sub-image. Ordinary TIFFs, also with pages, tiles or reduced-resolution copies, are not raw.
"""

import io
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

_PLAIN_MAGIC = (
    (b"FUJIFILMCCD-RAW", "RAF"),
    (b"IIRO", "ORF"),
    (b"IIRS", "ORF"),
    (b"MMOR", "ORF"),
    (b"IIU\0", "RW2"),
    (b"FOVb", "X3F"),
    (b"\0MRM", "MRW"),
)
_CR2_MARK = b"CR\x02\0"
_IIQ_MARKS = (b"IIII", b"MMMM")
_CR3_BRAND = b"crx "
_TIFF_BYTE_ORDERS = {b"II*\0": "<", b"II+\0": "<", b"MM\0*": ">", b"MM\0+": ">"}
# By the maker's name in the file, since TIFF-based raw formats hardly differ otherwise.
_MAKERS = (
    ("NIKON", "NEF"),
    ("SONY", "ARW"),
    ("PENTAX", "PEF"),
    ("RICOH", "PEF"),
    ("SAMSUNG", "SRW"),
    ("HASSELBLAD", "3FR"),
    ("PHASE ONE", "IIQ"),
    ("LEAF", "MOS"),
    ("MAMIYA", "MEF"),
    ("SEIKO EPSON", "ERF"),
    ("EASTMAN KODAK", "DCR"),
    ("KODAK", "DCR"),
    ("CANON", "CR2"),
)
# Tags of TIFF 6.0, TIFF/EP and DNG.
_SUBFILE_TYPE, _PHOTOMETRIC, _MAKE, _SUB_IFDS, _DNG_VERSION = 254, 262, 271, 330, 50706
_SENSOR_DATA = {32803, 34892}  # colour filter array, linear raw
_REDUCED = 1
_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 9: 4, 13: 4, 16: 8, 18: 8}
_UNPACKED = {1: "B", 3: "H", 4: "I", 9: "i", 13: "I", 16: "Q", 18: "Q"}
_NEEDED = {_SUBFILE_TYPE, _PHOTOMETRIC, _MAKE, _SUB_IFDS, _DNG_VERSION}
# A directory of a real file has some dozens of entries; a crafted one claims millions.
_MAX_ENTRIES, _MAX_SUB_IFDS, _MAX_VALUE_BYTES = 1024, 32, 256


def raw_format(source: BinaryIO | bytes) -> str | None:
    """Detects a camera raw format ('NEF', 'DNG'; 'raw' if unknown); None for other files.

    source: the file's content, or the file opened in binary mode. Raises OSError.
    """
    file = io.BytesIO(source) if isinstance(source, bytes) else source
    file.seek(0)
    head = file.read(16)
    for magic, name in _PLAIN_MAGIC:
        if head.startswith(magic):
            return name
    if head[4:12] == b"ftyp" + _CR3_BRAND:
        return "CR3"
    if head[:4] not in _TIFF_BYTE_ORDERS:
        return None
    if head[8:12] == _CR2_MARK:
        return "CR2"
    if head[8:12] in _IIQ_MARKS:
        return "IIQ"
    try:
        return _tiff_raw(_Directories(file, head))
    except struct.error:
        # Truncated: the TIFF decoder will report it.
        return None


def raw_format_of(path: Path | str) -> str | None:
    """Detects a camera raw format in a file; None for a file that cannot be read."""
    try:
        with Path(path).open("rb") as file:
            return raw_format(file)
    except (OSError, ValueError):
        return None


def describe_raw(name: str) -> str:
    """Describes a raw format for messages: 'a camera raw photo (NEF)'."""
    return "a camera raw photo" if name == "raw" else f"a camera raw photo ({name})"


def _tiff_raw(directories: "_Directories") -> str | None:
    first = directories.read(directories.start)
    if _DNG_VERSION in first:
        return "DNG"
    subs = [directories.read(at) for at in _numbers(first, _SUB_IFDS)[:_MAX_SUB_IFDS]]
    sensor = any(_SENSOR_DATA & {*_numbers(each, _PHOTOMETRIC)} for each in (first, *subs))
    # A raw photo of reduced size has no sensor data; an image pyramid begins with its full image.
    preview = _is_reduced(first) and any(not _is_reduced(each) for each in subs)
    if not sensor and not preview:
        return None
    maker = first.get(_MAKE, (b"",))[0]
    text = maker.decode("latin-1").strip("\0 ").upper() if isinstance(maker, bytes) else ""
    return next((name for start, name in _MAKERS if text.startswith(start)), "raw")


_Values = tuple[int, ...] | tuple[bytes]


def _numbers(directory: Mapping[int, _Values], tag: int) -> tuple[int, ...]:
    return tuple(value for value in directory.get(tag, ()) if isinstance(value, int))


def _is_reduced(directory: Mapping[int, _Values]) -> bool:
    return any(value & _REDUCED for value in _numbers(directory, _SUBFILE_TYPE)[:1])


class _Directories:
    """Reads the image file directories of a TIFF or BigTIFF file."""

    def __init__(self, file: BinaryIO, head: bytes) -> None:
        self._file = file
        self._order = _TIFF_BYTE_ORDERS[head[:4]]
        self._big = b"+" in head[:4]
        place = "Q" if self._big else "I"
        at = 8 if self._big else 4
        (self.start,) = struct.unpack_from(self._order + place, head, at)

    def read(self, at: int) -> dict[int, _Values]:
        """Returns the values of the needed tags of the directory at a byte offset."""
        count_format = "Q" if self._big else "H"
        (count,) = self._unpack(at, count_format)
        size = 20 if self._big else 12
        start = at + struct.calcsize(f"={count_format}")
        self._file.seek(start)
        block = self._file.read(min(count, _MAX_ENTRIES) * size)
        return dict(self._entries(block, size))

    def _entries(self, block: bytes, size: int) -> Iterator[tuple[int, _Values]]:
        layout = self._order + ("HHQ" if self._big else "HHI")
        inline = 8 if self._big else 4
        for at in range(0, len(block) - size + 1, size):
            tag, kind, count = struct.unpack_from(layout, block, at)
            if tag not in _NEEDED or kind not in _TYPE_BYTES:
                continue
            length = _TYPE_BYTES[kind] * count
            raw = block[at + size - inline : at + size]
            if length > inline:
                (place,) = struct.unpack(self._order + ("Q" if self._big else "I"), raw)
                self._seek(place)
                raw = self._file.read(min(length, _MAX_VALUE_BYTES))
            raw = raw[:length]
            if kind == 2:
                yield tag, (raw,)
                continue
            whole = len(raw) // _TYPE_BYTES[kind]
            layout_of_values = f"{self._order}{whole}{_UNPACKED[kind]}"
            yield tag, struct.unpack_from(layout_of_values, raw)

    def _unpack(self, at: int, layout: str) -> tuple[int, ...]:
        self._seek(at)
        return struct.unpack(self._order + layout, self._file.read(struct.calcsize(f"={layout}")))

    def _seek(self, at: int) -> None:
        if at > 2**62:
            raise struct.error("no such place")
        self._file.seek(at)
