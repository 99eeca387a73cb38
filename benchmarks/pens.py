"""What drawings of one layout with many contents are drawn with: two generators, fonts, words."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from PIL import Image, ImageFont

SYLLABLES = (
    "ra", "ten", "mo", "li", "ver", "sa", "con", "de", "pi", "lo", "ment", "ka", "est", "u", "bri",
    "ge", "an", "tor", "is", "fe", "qua", "ny", "hol", "ster", "e", "min", "dra", "va", "ing", "o",
)  # fmt: skip
COLOURS = ("#b03030", "#2d6a4f", "#1d4e89", "#7b2d8b", "#c77d1e", "#444444")

Font: TypeAlias = ImageFont.FreeTypeFont | ImageFont.ImageFont


@dataclass(frozen=True, slots=True)
class Pens:
    """style: what a family shares. content: what its member says. fonts: TrueType files."""

    style: random.Random
    content: random.Random
    fonts: Sequence[Path] = ()
    faces: dict[str, Path] = field(default_factory=dict)

    def font(self, size: float, role: str = "text") -> Font:
        """One face a role for the whole family."""
        if not self.fonts:
            return ImageFont.load_default(round(size))
        if role not in self.faces:
            self.faces[role] = self.style.choice(self.fonts)
        return ImageFont.truetype(str(self.faces[role]), round(size))

    def words(self, count: int) -> str:
        return " ".join(word(self.content) for _ in range(count))


Draw: TypeAlias = Callable[[Pens], Image.Image]


def word(chance: random.Random) -> str:
    return "".join(chance.choices(SYLLABLES, k=chance.choice((1, 2, 2, 3, 3, 4))))


def title(chance: random.Random, count: int) -> str:
    return " ".join(word(chance).capitalize() for _ in range(count))


def money(chance: random.Random) -> str:
    return f"{chance.uniform(3, 4000):,.2f}"
