"""Cleans the values of metadata blocks: texts, dates, ratings, camera names, coordinates."""

import math
import re
import unicodedata
from datetime import datetime

MAX_LINE = 500
MAX_DESCRIPTION = 4_000
# What cameras and programs write into every file; none of it describes an image.
_BOILERPLATE = re.compile(
    r"(olympus|minolta|konica minolta|pentax|samsung|asahi|kodak|vivitar|hp|ricoh|casio|canon)?\s*"
    r"digital (still )?camera|sony dsc|dcim|default|samsung|jpeg picture|exif[_ ]jpeg[_ ]picture|"
    r"creator: gd-jpeg.*|file (written|source) .*adobe.*|lead technologies.*|"
    r"<?untitled>?|picasa|unknown|ascii|null|none|image description|\W*",
    re.IGNORECASE,
)
_DATE = re.compile(
    r"(\d{4})[:\-/]?(\d\d)?[:\-/]?(\d\d)?"
    r"(?:[T ]+(\d\d):?(\d\d)(?::?(\d\d))?(?:[.,]\d+)?)?\s*(Z|[+-]\d\d:?\d\d)?"
)
_ZONE = re.compile(r"Z|[+-]\d\d:?\d\d")
_YEARS = range(1800, 2200)
_ANGLE = re.compile(r"(\d{1,3}),(\d{1,2}(?:\.\d+)?)(?:,(\d{1,2}(?:\.\d+)?))?\s*([NSEW])")


def line(value: object, *, most: int = MAX_LINE) -> str | None:
    """Returns a text on one line, of at most `most` characters; None for empty and boilerplate."""
    if not isinstance(value, str):
        return None
    # Bounded first: blocks may hold megabytes.
    printable = "".join(
        " " if unicodedata.category(char) in ("Cc", "Cs") else char for char in value[: 2 * most]
    )
    text = unicodedata.normalize("NFC", " ".join(printable.split()))[:most].strip()
    return None if _BOILERPLATE.fullmatch(text) else text


def lines(values: object) -> tuple[str, ...]:
    """Returns the distinct texts of a list, cleaned as by `line`."""
    if not isinstance(values, list | tuple):
        return ()
    return tuple(dict.fromkeys(filter(None, map(line, values))))


def moment(value: object, zone: object = None) -> datetime | None:
    """Parses a date of EXIF, XMP or IPTC, which may lack its end; aware where the zone is known.

    zone: such as '+02:00', of a date that states none itself.
    """
    found = _DATE.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None or int(found[1]) not in _YEARS:
        return None
    year, month, day, hour, minute, second = (
        int(part) if part else least
        for part, least in zip(found.groups()[:6], (0, 1, 1, 0, 0, 0), strict=True)
    )
    offset = found[7] or (zone.strip() if isinstance(zone, str) else "")
    try:
        # A leap second is the last one of its minute here.
        taken = datetime(year, month, day, hour, minute, min(second, 59))
        known = offset if _ZONE.fullmatch(offset) else ""
        return datetime.fromisoformat(taken.isoformat() + known)
    except ValueError:
        return None


def stars(value: object) -> int | None:
    """Returns a rating from -1 (rejected) to 5; None for 0, which means unrated."""
    try:
        rating = round(float(value)) if isinstance(value, str | int | float) else 0
    except (ValueError, OverflowError):
        return None
    return rating if rating and -1 <= rating <= 5 else None


def device(make: object, model: object) -> str | None:
    """Joins maker and model, unless the model names the maker already."""
    maker, name = line(make), line(model)
    if maker is None or name is None:
        return name or maker
    repeated = name.casefold().startswith(maker.split()[0].casefold())
    return name if repeated else f"{maker} {name}"


def degrees(value: object) -> float | None:
    """Parses an angle of XMP, such as '48,8.9032N'; south and west are negative."""
    found = _ANGLE.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        return None
    parts = [float(part or 0) for part in found.groups()[:3]]
    return angle(parts, negative=found[4] in "SW")


def angle(parts: list[float], *, negative: bool) -> float | None:
    """Returns degrees of degrees, minutes and seconds; None where they are no angle."""
    total: float = sum(part / 60.0**place for place, part in enumerate(parts[:3]))
    if not math.isfinite(total) or not 0 <= total <= 180:
        return None
    return round(-total if negative else total, 7)


def position(latitude: float | None, longitude: float | None) -> tuple[float | None, float | None]:
    """Returns a pair of coordinates, or nothing where it is incomplete, invalid or 0, 0."""
    if latitude is None or longitude is None or abs(latitude) > 90 or not (latitude or longitude):
        return None, None
    return latitude, longitude
