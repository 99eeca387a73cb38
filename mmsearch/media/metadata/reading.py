"""Reads the metadata of an image: its embedded blocks, and the sidecar file beside it."""

import mmap
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from pathlib import Path

from mmsearch.errors import InputError
from mmsearch.media.bounds import read_bytes, shown_path
from mmsearch.media.decode import CODEC_FAULTS
from mmsearch.media.formats import SNIFF_BYTES, sniff
from mmsearch.media.metadata import values
from mmsearch.media.metadata.containers import Blocks, find_blocks
from mmsearch.media.metadata.exif import Buffer, read_exif, read_exif_of_tiff
from mmsearch.media.metadata.image_metadata import ImageMetadata, MetadataRequest
from mmsearch.media.metadata.iptc import read_iptc
from mmsearch.media.metadata.xmp import MAX_BYTES, read_xmp

SIDECAR_SUFFIX = ".xmp"
_FOLDERS_REMEMBERED = 256


def read_metadata(data: Buffer, request: MetadataRequest) -> ImageMetadata:
    """Reads the metadata in an image file's bytes (or mmap), and in its sidecar.

    The sidecar comes first: photo programs write there what they must not write into the image.
    A damaged block counts as empty.
    """
    beside = [] if request.sidecar is None else [_tried(partial(_read_sidecar, request.sidecar))]
    metadata = ImageMetadata.merged([*beside, *_embedded(data)])
    return metadata if request.position else metadata.without_position()


def read_metadata_of_file(path: Path, request: MetadataRequest) -> ImageMetadata:
    """Reads the metadata of an image file, without its pixels where the format allows.

    Raises InputError where the file cannot be read.
    """
    try:
        with (
            path.open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
        ):
            return read_metadata(data, request)
    except (OSError, ValueError) as error:
        # mmap raises ValueError for an empty file.
        raise InputError(f"{shown_path(path)}: cannot be read ({error}); check the file") from error


def sidecar_of(image: Path) -> Path | None:
    """Returns the XMP file beside an image, 'photo.jpg.xmp' or else 'photo.xmp'; None if none."""
    try:
        changed = image.parent.stat().st_mtime_ns
    except OSError:
        return None
    names = _sidecars(image.parent, changed)
    if not names:
        return None
    bases = (image.name.lower(), image.stem.lower())
    found = next((name for base in bases if (name := names.get(base + SIDECAR_SUFFIX))), None)
    return image.with_name(found) if found else None


@lru_cache(maxsize=_FOLDERS_REMEMBERED)
def _sidecars(folder: Path, changed: int) -> dict[str, str]:
    """Lists the XMP files of a folder as they were at its mtime `changed`, by lower-case name."""
    try:
        names = [path.name for path in folder.iterdir()]
    except OSError:
        return {}
    return {name.lower(): name for name in names if name.lower().endswith(SIDECAR_SUFFIX)}


def _embedded(data: Buffer) -> Iterator[ImageMetadata]:
    """Yields the metadata of each block, the most deliberate one first."""
    name = sniff(bytes(data[:SNIFF_BYTES])) or ""
    try:
        blocks = find_blocks(data, name)
    except CODEC_FAULTS:
        blocks = Blocks()
    if blocks.xmp:
        yield _tried(partial(read_xmp, blocks.xmp))
    if name == "tiff":
        yield _tried(partial(read_exif_of_tiff, data))
    elif blocks.exif:
        yield _tried(partial(read_exif, blocks.exif))
    if blocks.iptc:
        yield _tried(partial(read_iptc, blocks.iptc))
    if blocks.texts:
        yield _of_png_texts(blocks.texts)


def _of_png_texts(texts: dict[str, str]) -> ImageMetadata:
    return ImageMetadata(
        title=values.line(texts.get("Title")),
        description=values.line(texts.get("Description"), most=values.MAX_DESCRIPTION),
        creator=values.line(texts.get("Author")),
        taken=values.moment(texts.get("Creation Time")),
    )


def _read_sidecar(path: Path) -> ImageMetadata:
    return read_xmp(read_bytes(path, max_bytes=MAX_BYTES, setting="the limit"))


def _tried(read: Callable[[], ImageMetadata]) -> ImageMetadata:
    """Calls `read`; a block that is damaged is an empty one."""
    try:
        return read()
    except (*CODEC_FAULTS, InputError):
        return ImageMetadata()
