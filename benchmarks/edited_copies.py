"""What the two generators of edited copies share: the type of an edit, and saving a copy.

An edit takes a photo (RGB) and a seeded generator and returns a copy. Its relation to the photo is
the one that docs/decisions/0010 gives.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

from PIL import Image, ImageFont

Relation: TypeAlias = Literal["exact", "same image", "edited version"]
STRENGTH: dict[Relation, int] = {"exact": 0, "same image": 1, "edited version": 2}


@dataclass(frozen=True, slots=True)
class Saved:
    """An image and how its file is written. options: of `Image.save`; empty: a usual JPEG."""

    image: Image.Image
    suffix: str = ".jpg"
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Kit:
    """What an edit draws with.

    fonts: TrueType files, empty: Pillow's own. others: photos that fill collages, not in the suite.
    """

    chance: random.Random
    fonts: Sequence[Path] = ()
    others: Sequence[Path] = ()

    def font(self, size: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
        pixels = max(round(size), 6)
        if not self.fonts:
            return ImageFont.load_default(pixels)
        return ImageFont.truetype(str(self.chance.choice(self.fonts)), pixels)

    def other(self) -> Image.Image:
        """A photo that is not in the suite."""
        with Image.open(self.chance.choice(self.others)) as photo:
            return photo.convert("RGB")


Edit: TypeAlias = Callable[[Image.Image, Kit], Image.Image | Saved]


@dataclass(frozen=True, slots=True)
class Kind:
    """chained: whether it may be one of the two or three edits of a chain."""

    edit: Edit
    relation: Relation
    chained: bool = False


def make_copy(photo: Image.Image, kind: Kind, kit: Kit) -> Saved:
    made = kind.edit(photo, kit)
    return made if isinstance(made, Saved) else usual(made, kit.chance)


def usual(image: Image.Image, chance: random.Random) -> Saved:
    """A JPEG as programs and services save it."""
    return Saved(image, ".jpg", {"quality": chance.randint(72, 95)})


def write(made: Saved, path: Path) -> Path:
    """Writes the copy at `path` with its suffix, which is returned."""
    place = path.with_suffix(made.suffix)
    made.image.save(place, **made.options)
    return place


def chain_of(kinds: Mapping[str, Kind], names: Sequence[str]) -> Kind:
    """Several edits, one after the other; the relation is that of the strongest."""
    parts = [kinds[name] for name in names]

    def edit(photo: Image.Image, kit: Kit) -> Image.Image:
        for part in parts:
            made = part.edit(photo, kit)
            photo = made.image if isinstance(made, Saved) else made
        return photo

    return Kind(edit, max((part.relation for part in parts), key=STRENGTH.__getitem__))
