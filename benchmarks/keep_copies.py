"""Originals and their copies as they lie in people's folders: names, folders, times, metadata."""

import os
import random
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from edited_copies import Kind, Kit, Saved, make_copy
from PIL import Image, ImageOps
from suite import TrueFile

CAMERAS = (
    ("Canon", "Canon EOS 750D"), ("NIKON CORPORATION", "NIKON D5300"), ("Apple", "iPhone 11"),
    ("samsung", "SM-G991B"), ("Google", "Pixel 6"), ("SONY", "ILCE-6000"),
    ("Panasonic", "DMC-TZ81"),
)  # fmt: skip
EDITORS = ("GIMP 2.10.34", "Adobe Photoshop 24.0", "Snapseed 2.0")
EPOCH = datetime(2016, 3, 1, tzinfo=UTC)
MAKE, MODEL, ORIENTATION, SOFTWARE, TAKEN = 0x010F, 0x0110, 0x0112, 0x0131, 0x9003
EXIF_FOLDER = 0x8769
LARGE = 1500


@dataclass(frozen=True, slots=True)
class Original:
    """An original as it was written. taken: also the time of its file, in most groups."""

    image: Image.Image
    path: Path
    taken: datetime
    exif: Image.Exif | None


def large_photos(paths: Sequence[Path], chance: random.Random) -> Iterator[Image.Image]:
    """Photos of 1.5 to 12 MP: whole ones, and the cells of a grid of others."""
    for path in paths:
        with Image.open(path) as opened:
            if min(opened.size) < LARGE:
                continue
            photo = opened.convert("RGB")
        if chance.random() < 0.3:
            yield ImageOps.contain(photo, (4000, 4000))
            continue
        side = chance.randint(1250, 2400)
        for top in range(0, photo.height - side * 3 // 4 + 1, side * 3 // 4):
            for left in range(0, photo.width - side + 1, side):
                cell = photo.crop((left, top, left + side, top + side * 3 // 4))
                if _detail(cell) > 12:
                    yield cell


def _detail(photo: Image.Image) -> float:
    """Standard deviation of the grey levels of a small version: sky and walls have little."""
    return float(np.asarray(photo.convert("L").resize((32, 32))).std())


def small_photos(paths: Sequence[Path]) -> Iterator[Image.Image]:
    for path in paths:
        with Image.open(path) as opened:
            if min(opened.size) < LARGE:
                yield ImageOps.exif_transpose(opened).convert("RGB")


def write_original(photo: Image.Image, number: int, chance: random.Random, files: Path) -> Original:
    """Writes the original below `files`, in the folder of a camera or of a download."""
    taken = EPOCH + timedelta(hours=7 * number, seconds=chance.randrange(20_000))
    exif = _exif(taken, chance) if chance.random() < 0.6 else None
    quality = chance.randint(60, 80) if chance.random() < 0.35 else chance.randint(82, 97)
    if exif or chance.random() < 0.5:
        stem = chance.choice((f"IMG_{number:04d}", f"DSC{number:05d}", f"{taken:%Y%m%d_%H%M%S}"))
        path = files / "DCIM" / f"{taken:%Y-%m}" / f"{stem}.jpg"
    else:
        path = files / "Pictures" / f"{chance.getrandbits(40):010x}.jpg"
    path.parent.mkdir(parents=True, exist_ok=True)
    subsampling = chance.choice((0, 2, 2))
    options: dict[str, Any] = {"exif": exif} if exif else {}
    photo.save(path, quality=quality, subsampling=subsampling, **options)
    with Image.open(path) as opened:
        image = opened.convert("RGB")
    return Original(image, path, taken, exif)


def _exif(taken: datetime, chance: random.Random) -> Image.Exif:
    exif = Image.Exif()
    exif[MAKE], exif[MODEL] = chance.choice(CAMERAS)
    exif.get_ifd(EXIF_FOLDER)[TAKEN] = f"{taken:%Y:%m:%d %H:%M:%S}"
    return exif


def write_group(
    photo: Image.Image, number: int, kit: Kit, files: Path, *, kinds: Mapping[str, Kind]
) -> list[TrueFile]:
    """An original and one to six copies of it; their times are in order in 7 of 10 groups."""
    chance, name = kit.chance, f"{number:05d}"
    original = write_original(photo, number, chance, files)
    relative = original.path.relative_to(files).as_posix()
    truth = [TrueFile(relative, name, "original", "original", True)]
    ordered = chance.random() < 0.7
    _date(original.path, original.taken if ordered else _any_time(original.taken, chance))
    for position in range(chance.randint(1, 6)):
        called = chance.choice((*PLAIN, *PLAIN, *kinds))
        kind = PLAIN.get(called) or kinds[called]
        place = _place(called, original, position, chance)
        place.parent.mkdir(parents=True, exist_ok=True)
        if called == "copied":
            shutil.copyfile(original.path, place)
        elif called == "metadata stripped":
            place.write_bytes(without_exif(original.path.read_bytes()))
        else:
            place = _write(make_copy(original.image, kind, kit), place, original, chance)
        later = original.taken + timedelta(days=chance.randint(1, 900), seconds=position)
        _date(place, later if ordered else _any_time(original.taken, chance))
        clean = kind.relation != "edited version"
        relative = place.relative_to(files).as_posix()
        truth.append(TrueFile(relative, name, called, kind.relation, clean))
    return truth


def _any_time(taken: datetime, chance: random.Random) -> datetime:
    return taken + timedelta(days=chance.randint(-900, 900))


def _date(path: Path, when: datetime) -> None:
    os.utime(path, (when.timestamp(), when.timestamp()))


def _place(called: str, original: Original, position: int, chance: random.Random) -> Path:
    """Where the copy lies; its suffix is replaced when it is saved. No two share a place."""
    path = original.path
    files = path.parents[2] if path.parent.parent.name == "DCIM" else path.parents[1]
    if called == "messenger":
        sent = f"IMG-{original.taken:%Y%m%d}-WA{chance.randrange(10_000):04d}-{position}.jpg"
        return files / "WhatsApp" / "Media" / "WhatsApp Images" / sent
    if called == "thumbnail":
        return files / ".thumbnails" / f"thumb_{path.stem}_{position}.jpg"
    folder = chance.choice((path.parent, files / "Downloads", files / "Desktop" / "edited"))
    stem = chance.choice((
        f"{path.stem} ({position + 1})",
        f"{path.stem} copy {position}" if position else f"{path.stem} copy",
        f"{path.stem}-edited-{position}",
        f"{chance.getrandbits(48):012x}",
        f"image {chance.getrandbits(32)}",
    ))  # fmt: skip
    return folder / f"{stem}.jpg"


def _write(made: Saved, place: Path, original: Original, chance: random.Random) -> Path:
    """Saves the copy; one of four keeps the camera's metadata, as editors do."""
    place = place.with_suffix(made.suffix)
    options = dict(made.options)
    if original.exif and made.suffix == ".jpg" and "exif" not in options and chance.random() < 0.25:
        exif = Image.Exif()
        exif.load(original.exif.tobytes())
        exif[SOFTWARE] = chance.choice(EDITORS)
        options["exif"] = exif
    made.image.save(place, **options)
    return place


def without_exif(content: bytes) -> bytes:
    """A JPEG file less its APP1 segments, its pixels untouched."""
    kept, place = bytearray(content[:2]), 2
    while content[place + 1] != 0xDA:
        length = 2 + int.from_bytes(content[place + 2 : place + 4], "big")
        if content[place + 1] != 0xE1:
            kept += content[place : place + length]
        place += length
    return bytes(kept + content[place:])


def _again(image: Image.Image, kit: Kit) -> Saved:
    return Saved(image, ".jpg", {"quality": kit.chance.randint(90, 95)})


def _turned(photo: Image.Image, kit: Kit) -> Saved:
    return _again(photo.transpose(kit.chance.choice(tuple(Image.Transpose))), kit)


def _mirrored(photo: Image.Image, kit: Kit) -> Saved:
    return _again(ImageOps.mirror(photo), kit)


def _upscaled(photo: Image.Image, kit: Kit) -> Saved:
    factor = min(kit.chance.uniform(1.3, 2), 5000 / max(photo.size))
    return _again(ImageOps.scale(photo, factor), kit)


def _messenger(photo: Image.Image, kit: Kit) -> Saved:
    sent = photo.copy()
    sent.thumbnail((kit.chance.choice((800, 1280, 1600)),) * 2)
    return Saved(sent, ".jpg", {"quality": kit.chance.randint(55, 75)})


def _as_is(suffix: str) -> Callable[[Image.Image, Kit], Saved]:
    return lambda photo, kit: Saved(photo, suffix)


PLAIN: dict[str, Kind] = {
    "copied": Kind(_as_is(".jpg"), "exact"),
    "metadata stripped": Kind(_as_is(".jpg"), "exact"),
    "png": Kind(_as_is(".png"), "exact"),
    "bmp": Kind(_as_is(".bmp"), "exact"),
    "saved again": Kind(_again, "same image"),
    "saved again, turned": Kind(_turned, "same image"),
    "saved again, mirrored": Kind(_mirrored, "same image"),
    "saved again, upscaled": Kind(_upscaled, "same image"),
    "messenger": Kind(_messenger, "same image"),
}
