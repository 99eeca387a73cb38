"""Texts of a fashion shop: near-alike, and mostly about what no picture confirms.

Two ways of writing them: titles (brand, sex, colour, type, as in the Kaggle set "Fashion Product
Images") and descriptions (several sentences, English or German). A decision on wrong texts is
developed on the titles; the descriptions are held out.
"""

import random
from collections.abc import Sequence

import numpy as np
from PIL import Image

_TITLE_TYPES = {
    "Blazer": ("Blazer",),
    "Blouse": ("Top", "Shirt"),
    "Body": ("Romper", "Bodysuit"),
    "Dress": ("Dress",),
    "Hat": ("Cap", "Hat"),
    "Hoodie": ("Sweatshirt", "Hoodie"),
    "Longsleeve": ("Full Sleeve T-shirt", "Sweater"),
    "Outwear": ("Jacket",),
    "Pants": ("Jeans", "Trousers", "Track Pants"),
    "Polo": ("Polo T-shirt",),
    "Shirt": ("Shirt", "Casual Shirt"),
    "Shoes": ("Casual Shoes", "Sports Shoes", "Sandals"),
    "Shorts": ("Shorts",),
    "Skirt": ("Skirt",),
    "T-Shirt": ("T-shirt",),
    "Top": ("Top",),
    "Undershirt": ("Innerwear Vest", "Camisole"),
}
_BRANDS = (
    "Turtle", "Puma", "Peter England", "Nike", "ADIDAS", "Jealous 21", "Lee", "United Colors of "
    "Benetton", "Wrangler", "Scullers", "Inkfruit", "Fabindia", "Mr.Men", "Probase", "s.Oliver",
    "Locomotive", "Basics", "Flying Machine", "Aneri", "French Connection", "Spykar", "Gini and "
    "Jony", "Levis", "Reebok", "Kraus", "Jockey", "Catwalk", "Arrow", "John Miller", "Myntra",
)  # fmt: skip
_PATTERNS = ("", "", "Check", "Printed", "Striped", "Solid", "Slim Fit", "Basic", "Urban", "Nylon")
# Names of colours, with the RGB of each.
_COLOURS = {
    "Black": (25, 25, 28), "White": (235, 235, 235), "Grey": (128, 128, 128),
    "Navy Blue": (30, 35, 75), "Blue": (60, 95, 165), "Red": (170, 40, 45),
    "Maroon": (90, 30, 40), "Green": (60, 115, 65), "Olive": (95, 95, 60),
    "Brown": (100, 70, 50), "Beige": (205, 185, 155), "Pink": (225, 150, 165),
    "Purple": (110, 70, 130), "Yellow": (225, 195, 75), "Orange": (220, 125, 60),
}  # fmt: skip
_DESCRIBED_TYPES = {
    "Blazer": ("tailored jacket", "Sakko"),
    "Blouse": ("blouse", "Bluse"),
    "Body": ("baby bodysuit", "Strampler"),
    "Dress": ("dress", "Kleid"),
    "Hat": ("cap", "Mütze"),
    "Hoodie": ("hooded sweater", "Kapuzenpullover"),
    "Longsleeve": ("long-sleeved top", "Langarmshirt"),
    "Outwear": ("coat", "Jacke"),
    "Pants": ("trousers", "Hose"),
    "Polo": ("polo shirt", "Poloshirt"),
    "Shirt": ("button-down shirt", "Hemd"),
    "Shoes": ("pair of shoes", "Schuhe"),
    "Shorts": ("shorts", "kurze Hose"),
    "Skirt": ("skirt", "Rock"),
    "T-Shirt": ("tee", "T-Shirt"),
    "Top": ("sleeveless top", "Oberteil"),
    "Undershirt": ("tank top", "Unterhemd"),
}
_GERMAN = dict(
    zip(
        _COLOURS,
        ("schwarz", "weiß", "grau", "marine", "blau", "rot", "bordeaux", "grün", "oliv", "braun",
         "beige", "rosa", "lila", "gelb", "orange"),
        strict=True,
    )
)  # fmt: skip
_SENTENCES = (
    ("Regular fit, {size}.", "Normale Passform, Größe {size}."),
    ("Made of {share}% cotton.", "Aus {share}% Baumwolle."),
    (
        "Our model is {tall} cm tall and wears {size}.",
        "Das Model ist {tall} cm groß, trägt {size}.",
    ),
    ("Machine wash cold.", "Maschinenwäsche bei 30 Grad."),
    ("Free returns within 30 days.", "Kostenlose Rückgabe innerhalb von 30 Tagen."),
    ("Art. {number}.", "Art.-Nr. {number}."),
    ("Goes well with the rest of the {season} collection.", "Passt zur Kollektion {season}."),
    ("An everyday favourite that never goes out of style.", "Ein Lieblingsteil für jeden Tag."),
)
_SIZES = ("XS", "S", "M", "L", "XL", "one size")


def colour_of(image: Image.Image) -> str:
    """The named colour nearest to the median of the middle of the picture."""
    width, height = image.size
    box = (int(width * 0.35), int(height * 0.35), int(width * 0.65), int(height * 0.65))
    pixels = np.asarray(image.convert("RGB").crop(box).resize((16, 16)), np.float64)
    middle = np.median(pixels.reshape(-1, 3), axis=0)
    return min(_COLOURS, key=lambda name: float(np.sum((middle - _COLOURS[name]) ** 2)))


def titles(kinds: Sequence[str], colours: Sequence[str], seed: int) -> list[str]:
    """A title for each garment; of ten colours one is not the one that is seen."""
    chance = random.Random(seed)  # noqa: S311
    texts = []
    for kind, seen in zip(kinds, colours, strict=True):
        colour = seen if chance.random() < 0.9 else chance.choice([*_COLOURS])
        parts = (
            chance.choice(_BRANDS),
            chance.choice(("Men", "Women", "Unisex")),
            chance.choice(_PATTERNS),
            colour,
            chance.choice(_TITLE_TYPES[kind]),
        )
        texts.append(" ".join(part for part in parts if part))
    return texts


def descriptions(kinds: Sequence[str], colours: Sequence[str], seed: int) -> list[str]:
    """A description for each garment, one in four in German; of the colours half are not seen."""
    chance = random.Random(f"descriptions {seed}")  # noqa: S311
    texts = []
    for kind, seen in zip(kinds, colours, strict=True):
        german = chance.random() < 0.25
        colour = seen if chance.random() < 0.5 else chance.choice([*_COLOURS])
        name = _DESCRIBED_TYPES[kind][german]
        brand = chance.choice(_BRANDS)
        said = [f"{name} in {_GERMAN[colour]}, {brand}." if german
                else f"{brand} {colour.lower()} {name}."]  # fmt: skip
        said += [pair[german] for pair in chance.sample(_SENTENCES, chance.randint(2, 5))]
        texts.append(
            " ".join(said).format(
                size=chance.choice(_SIZES),
                share=chance.randint(4, 10) * 10,
                tall=chance.randint(165, 192),
                number=chance.randint(10_000, 99_999),
                season=chance.choice(("SS25", "AW24", "Resort", "Basics")),
            )
        )
    return texts
