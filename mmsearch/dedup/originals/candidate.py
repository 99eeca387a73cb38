"""Evidence from one file: header, metadata, name and the pixels needed for comparing."""

import io
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps

from mmsearch.dedup.originals.names import copy_hints
from mmsearch.media import MediaBounds, decode
from mmsearch.media.formats import SNIFF_BYTES, register, sniff
from mmsearch.records import Pixels

OVERVIEW_SIDE: Final = 768
CLOSE_SIDE: Final = 768
_LOSSLESS = frozenset({"png", "bmp", "gif", "tiff", "ppm", "tga", "pcx"})
_CAMERA_TAGS = (ExifTags.Base.Make, ExifTags.Base.Model)
_SHOT_TAGS = (ExifTags.Base.ExposureTime, ExifTags.Base.FNumber, ExifTags.Base.DateTimeOriginal)
_EDITORS = ("photoshop", "gimp", "snapseed", "lightroom", "picsart", "canva", "paint", "affinity",
            "pixelmator", "vsco", "darktable", "imagemagick", "facetune", "instagram")  # fmt: skip
# Annex K of the JPEG standard: luminance at quality 50, in row-major order.
_ANNEX_K: Final = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61], [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56], [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77], [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101], [72, 92, 95, 98, 112, 100, 103, 99],
    ],
    np.float64,
)  # fmt: skip

QuantTable = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class FileEvidence:
    """Evidence from a file's bytes, name and time.

    width, height: of the upright image, in pixels.
    lossless: whether the format stores pixels exactly (GIF counts, see `palette`).
    quality: of a JPEG, 1 to 100, estimated from its luminance table; None for other formats.
    table: int64 (8, 8), its luminance quantisation steps, of the upright image; None likewise.
    palette: whether pixels are indices into at most 256 colours.
    camera: 0 without camera metadata, 1 with its maker or model, 2 with exposure or time of the
        shot as well, 1 less if an editor is named.
    orientation: of EXIF, 1 to 8; 1 if there is none.
    profile: whether it has a colour profile.
    modified: in ns since the epoch.
    hints: signs of a copy in the path (see `copy_hints`).
    """

    path: str
    width: int
    height: int
    format: str
    lossless: bool
    quality: float | None
    table: QuantTable | None
    palette: bool
    camera: float
    exif: bool
    profile: bool
    orientation: int
    bytes: int
    modified: int
    hints: int


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A file of a group with the pixels needed to choose the original.

    overview: uint8 (h, w, 3), the whole image, its longer side at most OVERVIEW_SIDE.
    close: uint8 (h, w, 3), the middle at full size as stored, sides at most CLOSE_SIDE.
    corner: x and y of its top left pixel in the image, a corner of the JPEG's block grid.
    """

    file: FileEvidence
    overview: Pixels
    close: Pixels
    corner: tuple[int, int]


def read_candidate(data: bytes, *, path: str, modified: int, bounds: MediaBounds) -> Candidate:
    """Reads a file for `choose`. Raises UnreadableMedia or MediaTooLarge."""
    image = decode(data, bounds=bounds).image
    file = read_evidence(data, path, modified, size=image.size)
    return candidate_of(image, file, stored=_stored(data) if file.profile else None)


def _stored(data: bytes) -> Image.Image | None:
    """Pixels before a colour profile is applied, upright, RGB; None if unreadable."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            return ImageOps.exif_transpose(image).convert("RGB")
    except (OSError, ValueError, SyntaxError):
        return None


def candidate_of(
    image: Image.Image, file: FileEvidence, *, stored: Image.Image | None = None
) -> Candidate:
    """Creates a candidate from a decoded image, upright, RGB, at full size.

    stored: before a colour profile was applied, since most programs that save a copy drop the
        profile and keep the pixels.
    """
    held = stored if stored is not None and stored.size == image.size else image
    overview = held
    if max(image.size) > OVERVIEW_SIDE:
        overview = held.copy()
        overview.thumbnail((OVERVIEW_SIDE, OVERVIEW_SIDE), Image.Resampling.BOX, reducing_gap=None)
    left, top = (
        start + max(0, (side - CLOSE_SIDE) // 2 - start) // 8 * 8
        for side, start in zip(image.size, _grid_start(file), strict=True)
    )
    close = held.crop((left, top, min(image.width, left + CLOSE_SIDE),
                       min(image.height, top + CLOSE_SIDE)))  # fmt: skip
    return Candidate(
        file, np.asarray(overview.convert("RGB")), np.asarray(close.convert("RGB")), (left, top)
    )


def _grid_start(file: FileEvidence) -> tuple[int, int]:
    """Corner of the first whole block: EXIF may have rotated the grid with the image."""
    across = file.width % 8 if file.orientation in (2, 3, 6, 7) else 0
    down = file.height % 8 if file.orientation in (3, 4, 7, 8) else 0
    return across, down


def read_evidence(data: bytes, path: str, modified: int, *, size: tuple[int, int]) -> FileEvidence:
    """Reads evidence from the header. size: width and height of the upright image."""
    name = sniff(data[:SNIFF_BYTES]) or ""
    table, mode, camera, orientation, exif, profile = None, "RGB", 0.0, 1, False, False
    if name and name != "jxl":
        with Image.open(io.BytesIO(data), formats=[register(name)]) as image:
            mode = image.mode
            tables = getattr(image, "quantization", None) or {}
            if 0 in tables:
                table = np.array(tables[0], np.int64).reshape(8, 8)
            profile = bool(image.info.get("icc_profile"))
            camera, orientation, exif = _metadata(image)
    if table is not None and orientation >= 5:
        table = table.T
    lossless = name in _LOSSLESS or (name == "webp" and b"VP8L" in data[:64])
    return FileEvidence(
        path=path,
        width=size[0],
        height=size[1],
        format=name,
        lossless=lossless,
        quality=None if table is None else estimate_quality(table),
        table=table,
        palette=mode in ("P", "PA", "1") or name == "gif",
        camera=camera,
        exif=exif,
        profile=profile,
        orientation=orientation,
        bytes=len(data),
        modified=modified,
        hints=copy_hints(path),
    )


def estimate_quality(table: QuantTable) -> float:
    """Quality on libjpeg's scale of 1 to 100 whose table is nearest on average."""
    # Steps of 1 are capped and carry little information; libjpeg scales by the mean ratio.
    scale = float(100 * table.sum() / _ANNEX_K.sum())
    quality = (200 - scale) / 2 if scale <= 100 else 5000 / scale
    return float(np.clip(quality, 1, 100))


def _metadata(image: Image.Image) -> tuple[float, int, bool]:
    """Camera score of the metadata, orientation, and whether there is any EXIF."""
    try:
        exif = image.getexif()
        inner = exif.get_ifd(ExifTags.IFD.Exif)
    except (ValueError, OSError, SyntaxError, TypeError, LookupError, ArithmeticError):
        return 0.0, 1, False
    camera = float(any(exif.get(tag) for tag in _CAMERA_TAGS))
    camera += any(inner.get(tag) or exif.get(tag) for tag in _SHOT_TAGS)
    software = str(exif.get(ExifTags.Base.Software, "")).lower()
    if camera and any(name in software for name in _EDITORS):
        camera -= 1
    orientation = exif.get(ExifTags.Base.Orientation, 1)
    known = isinstance(orientation, int) and 1 <= orientation <= 8
    others = [tag for tag in exif if tag != ExifTags.Base.Orientation]
    return camera, orientation if known else 1, bool(others)
