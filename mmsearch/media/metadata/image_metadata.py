"""What an image file says about itself, as one type, whichever block it comes from."""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from mmsearch.records import Value

# Columns that say where an image was taken; they are stored only on request.
POSITION_COLUMNS = ("latitude", "longitude", "altitude")
_MOST_KEYWORDS = 200


@dataclass(frozen=True, slots=True)
class MetadataRequest:
    """Which metadata of an image to read.

    sidecar: the XMP file beside it. position: also where it was taken. alone: the metadata without
    the pixels.
    """

    sidecar: Path | None = None
    position: bool = False
    alone: bool = False


@dataclass(frozen=True, slots=True)
class ImageMetadata:
    """The metadata of one image; None or empty where it has none.

    rating: 1 to 5, -1 for rejected. taken: aware where the file states a time zone, else naive
    local time. place: city, state and country; sublocation: such as a street. latitude, longitude:
    degrees, north and east positive. altitude: metres.
    """

    title: str | None = None
    description: str | None = None
    keywords: tuple[str, ...] = ()
    creator: str | None = None
    rating: int | None = None
    taken: datetime | None = None
    camera: str | None = None
    lens: str | None = None
    place: str | None = None
    sublocation: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    altitude: float | None = None

    @property
    def texts(self) -> tuple[str, ...]:
        """What describes the image: title, description and keywords."""
        return tuple(filter(None, (self.title, self.description, ", ".join(self.keywords))))

    def columns(self) -> dict[str, Value]:
        """Returns the columns of the store that are not empty.

        `taken` is UTC where the zone is known, with the zone in `taken_zone`, such as '+02:00';
        else it is the local time as if it were UTC.
        """
        taken, zone = self.taken, None
        if taken is not None and taken.tzinfo is not None:
            zone = taken.isoformat()[-len("+00:00") :]
            taken = taken.astimezone(UTC)
        place = ", ".join(filter(None, (self.sublocation, self.place)))
        columns: dict[str, Any] = {
            **{name: getattr(self, name) for name in _STORED_AS_THEY_ARE},
            "keywords": list(self.keywords) or None,
            "taken": taken.replace(tzinfo=UTC) if taken is not None else None,
            "taken_zone": zone,
            "place": place or None,
        }
        return {name: value for name, value in columns.items() if value is not None}

    def without_position(self) -> Self:
        """Returns the metadata without coordinates and without places smaller than a city."""
        hidden = dict.fromkeys((*POSITION_COLUMNS, "sublocation"))
        return type(self)(**{**_values(self), **hidden})

    @classmethod
    def merged(cls, found: Iterable[Self]) -> Self:
        """Merges metadata of several blocks; the first one that has a field gives it.

        Keywords are united, and so are descriptions that differ. A time without a zone gets it from
        a block that has the same time with one.
        """
        blocks = list(found)
        values: dict[str, Any] = {}
        for block in reversed(blocks):
            found_here = _values(block).items()
            values |= {name: value for name, value in found_here if value not in (None, ())}
        times = [block.taken for block in blocks if block.taken is not None]
        zoned = (time for time in times if time.tzinfo and _local(time) == _local(times[0]))
        values["taken"] = next(zoned, times[0] if times else None)
        keywords = dict.fromkeys(word for block in blocks for word in block.keywords)
        values["keywords"] = tuple(keywords)[:_MOST_KEYWORDS]
        descriptions = dict.fromkeys(block.description for block in blocks if block.description)
        values["description"] = "\n".join(descriptions) or None
        return cls(**values)


_STORED_AS_THEY_ARE = (
    "title", "description", "creator", "rating", "camera", "lens", *POSITION_COLUMNS,
)  # fmt: skip
_NAMES = tuple(field.name for field in fields(ImageMetadata))


def _local(time: datetime) -> datetime:
    return time.replace(tzinfo=None)


def _values(metadata: ImageMetadata) -> dict[str, Any]:
    return {name: getattr(metadata, name) for name in _NAMES}
