"""Reads the photo sets: products on grocery shelves, and garments."""

import csv
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from mmsearch.pretraining import CaptionedImage, concept_of, require_files

# Photos of one class are many: each counts less than a drawing that is one of a kind.
GROCERY_PHOTO_WEIGHT = 0.25
GARMENT_PHOTO_WEIGHT = 0.2
# Characters; shorter sentences of a description say nothing.
SHORTEST_SENTENCE = 15
# The names of each label, the best first; other labels are their own name.
GARMENTS = {
    "Longsleeve": ("long-sleeve shirt", "long sleeve top", "longsleeve"),
    "Outwear": ("jacket", "outerwear", "coat"),
    "Polo": ("polo shirt", "polo"),
    "T-Shirt": ("t-shirt", "tee shirt", "T shirt"),
    "Undershirt": ("undershirt", "tank top", "sleeveless shirt"),
    "Top": ("top", "women's top", "sleeveless top"),
    "Body": ("bodysuit", "baby bodysuit", "onesie"),
    "Shoes": ("shoes", "a pair of shoes", "footwear"),
    "Pants": ("pants", "trousers", "a pair of trousers"),
    "Shorts": ("shorts", "a pair of shorts"),
}
UNLABELLED = frozenset({"Not sure", "Other", "Skip"})


def read_grocery(name: str, data: Mapping[str, Path]) -> Iterator[CaptionedImage]:
    """Yields the Grocery Store Dataset: an iconic image for each class, and train.txt's photos."""
    root = data[name]
    require_files(root, "classes.csv", "train.txt")
    classes: dict[int, tuple[str, str, str]] = {}
    with (root / "classes.csv").open(newline="", encoding="utf-8") as file:
        for row in list(csv.reader(file))[1:]:
            fine, number, coarse, _, iconic, described = row[:6]
            text = (root / described.lstrip("/")).read_text("utf-8", errors="replace")
            classes[int(number)] = (fine.replace("-", " "), coarse.replace("-", " "), text)
            yield _product(root, root / iconic.lstrip("/"), classes[int(number)], weight=1.0)
    for line in (root / "train.txt").read_text("utf-8").splitlines():
        image, number, _ = (part.strip() for part in line.split(","))
        yield _product(root, root / image, classes[int(number)], weight=GROCERY_PHOTO_WEIGHT)


def _product(
    root: Path, file: Path, labels: tuple[str, str, str], *, weight: float
) -> CaptionedImage:
    """labels: the class, the coarse class, and a description of several sentences."""
    fine, coarse, text = labels
    sentences = [" ".join(s.split()) for s in re.split(r"(?<=[.!?])\s+", text)][:2]
    return CaptionedImage(
        key=f"grocery/{file.relative_to(root).as_posix()}",
        source="grocery",
        concept=concept_of(fine),
        captions=(
            fine,
            f"{fine} {coarse}".strip(),
            *[s for s in sentences if len(s) > SHORTEST_SENTENCE],
        ),
        keywords=(coarse.lower(),),
        path=file,
        photo=True,
        weight=weight,
    )


def read_clothing(name: str, data: Mapping[str, Path]) -> Iterator[CaptionedImage]:
    """Yields the photos of the Clothing Dataset's small set that have a label."""
    root = data[name]
    require_files(root, "images.csv", "images")
    with (root / "images.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            label = row["label"]
            if label in UNLABELLED:
                continue
            names = GARMENTS.get(label, (label.lower(),))
            kind = "children's clothing" if row["kids"] == "True" else "clothing"
            yield CaptionedImage(
                key=f"clothing/{row['image']}",
                source="clothing",
                concept=concept_of(names[0]),
                captions=names,
                keywords=(kind, "garment", "clothes"),
                path=root / row["image"],
                photo=True,
                weight=GARMENT_PHOTO_WEIGHT,
            )
